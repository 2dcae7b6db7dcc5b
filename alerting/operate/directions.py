"""Whether an expression has more or higher results when a part of it rises; unknown where that is not sure.

Values are taken to be positive, as counts, ratios and durations are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ml_monitoring.alerting.model.promql import TEXT, split_matchers

_TOKEN: Final = re.compile(
    rf"""{TEXT}|(?P<matchers>\{{(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^"'`{{}}])*\}})
    |(?P<number>(?<![\w.])(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?(?![\w.]))
    |[\w:.$]+|[=!<>]=|\S""",
    re.VERBOSE | re.IGNORECASE,
)
_LE: Final = re.compile(r'\ble=~?"([0-9.e+]+)(?:\|[0-9.e+]+)*"', re.IGNORECASE)
_CLOSES: Final = {"(": ")", "[": "]"}
_LOGIC: Final = frozenset({"and", "or", "unless"})
_COMPARED: Final = frozenset({">", ">=", "<", "<=", "==", "!="})
_CALCULATED: Final = ("+", "-", "*", "/", "%", "^")
# Of more or higher values these are more or higher.
_RISING: Final = frozenset(
    {"label_replace", "label_join", "max", "clamp_max", "clamp_min", "rate", "increase", "irate", "max_over_time"}
    | {"sum", "sum_over_time", "last_over_time"}
)
# Of higher values these are higher; of more values they may be anything.
_OF_VALUES: Final = frozenset(
    {"min", "avg", "quantile", "min_over_time", "avg_over_time", "quantile_over_time", "histogram_quantile"}
    | {"sqrt", "ln", "log2", "log10", "exp"}
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What becomes of the results of an expression: 1 for more or higher, -1 for the opposite, 0 for neither.

    Attributes:
        presence: Whether there are more of them; None where that is not known.
        value: Whether they are higher; None where that is not known.
    """

    presence: int | None = 0
    value: int | None = 0


UNKNOWN: Final = Effect(None, None)


@dataclass(slots=True)
class _Group:
    """What stands in brackets, each part with the place of its token."""

    opening: str
    parts: list[tuple[str | _Group, int]]


_Part = str | _Group


def tokens(expr: str) -> list[str]:
    """Return the parts of an expression that white space may stand between."""
    return [found[0] for found in _TOKEN.finditer(expr)]


def replaced(old: Sequence[str], new: Sequence[str]) -> dict[tuple[str, str], None]:
    """Return which parts stand in place of which others, with what is around them; none where more changed."""
    if len(old) != len(new):
        return {}
    found: dict[tuple[str, str], None] = {}
    for place, pair in enumerate(zip(old, new, strict=True)):
        if pair[0] == pair[1]:
            continue
        if all(one.startswith("{") for one in pair):
            before, after = (split_matchers(one[1:-1]) for one in pair)
            texts = [", ".join(sorted({*one} - {*others})) for one, others in ((before, after), (after, before))]
        else:
            around = old[place - 1] if place and not re.match(r"[\w(,{]", old[place - 1]) else ""
            texts = [f"[{one}]" if around == "[" else f"{around} {one}".strip() for one in pair]
        found[texts[0], texts[1]] = None
    return found


def of_change(old: Sequence[str], new: Sequence[str]) -> Effect:
    """Return what becomes of an expression of which numbers changed, by its tokens before and after."""
    if len(old) != len(new):
        return UNKNOWN
    pairs = [(place, one, other) for place, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    rises = [(place, _rise(one, other)) for place, one, other in pairs]
    if any(rise is None for _place, rise in rises):
        return UNKNOWN
    return together(_through(new, place, Effect(0, rise)) for place, rise in rises)


def of_series(expr: Sequence[str], effects: dict[str, Effect]) -> Effect:
    """Return what becomes of an expression, given as tokens, when the series that it reads change."""
    return together(_through(expr, place, effects[one]) for place, one in enumerate(expr) if one in effects)


def together(effects: Iterable[Effect]) -> Effect:
    """Return what several effects are together."""
    listed = [*effects]
    return Effect(_sum(one.presence for one in listed), _sum(one.value for one in listed))


def _rise(old: str, new: str) -> int | None:
    """Return whether a number, or the limit of a bucket, rose."""
    numbers = [_LE.findall(one) if one.startswith("{") else [one] for one in (old, new)]
    if old.startswith("{") and _LE.sub("", old) != _LE.sub("", new):
        return None
    try:
        before, after = (float(one[0]) for one in numbers)
    except (ValueError, IndexError):
        return None
    return (after > before) - (after < before)


def _sum(signs: Iterable[int | None]) -> int | None:
    found = {sign for sign in signs if sign != 0}
    return 0 if not found else found.pop() if len(found) == 1 else None


def _turned(sign: int | None) -> int | None:
    return None if sign is None else -sign


def _through(expr: Sequence[str], place: int, effect: Effect) -> Effect:
    """Return what becomes of an expression by what becomes of the part at a place."""
    if effect in (UNKNOWN, Effect()):
        return effect
    waiting = [_Group("", [])]
    for at, token in enumerate(expr):
        if token in _CLOSES:
            waiting.append(_Group(token, []))
        elif token in _CLOSES.values():
            inner = waiting.pop()
            if not waiting or token != _CLOSES.get(inner.opening):
                return UNKNOWN
            waiting[-1].parts.append((inner, at))
        else:
            waiting[-1].parts.append((token, at))
    return _in_group(waiting[0], place, effect) if len(waiting) == 1 else UNKNOWN


def _in_group(group: _Group, place: int, effect: Effect) -> Effect:
    placed = [*_unwrapped(group.parts)]
    parts = [part for part, _at in placed]
    at = next((number for number, (part, own) in enumerate(placed) if own == place or _holds(part, place)), None)
    if at is None or group.opening == "[":
        return UNKNOWN
    found = parts[at]
    if isinstance(found, _Group):
        effect = _called(parts, at, _in_group(found, place, effect))
    start, end = _around(parts, at, frozenset({","}))
    own = parts[start:end]
    at -= start
    left, right = _around(own, at, _LOGIC)
    effect = _compared(own[left:right], at - left, effect, is_extreme=_is_extreme(own, left, right))
    if left and own[left - 1] == "unless":
        return Effect(_turned(effect.presence), 0)
    if left and own[left - 1] == "and":
        return Effect(effect.presence, 0)
    # More results on the left of `or` hide others on its right.
    hides = "or" in own[right:] and effect.presence != 0
    return Effect(effect.presence, None if hides else effect.value)


def _unwrapped(parts: Sequence[tuple[_Part, int]]) -> Iterator[tuple[_Part, int]]:
    """Yield parts without brackets that change nothing, around what stands on a side of `or`."""
    for number, (part, at) in enumerate(parts):
        beside = [one for one, _at in (*parts[max(0, number - 1) : number], *parts[number + 1 : number + 2])]
        inner = part.parts if isinstance(part, _Group) and part.opening == "(" else []
        is_needed = any(one != "or" for one in beside) or any(
            one in _LOGIC for one, _at in inner if isinstance(one, str)
        )
        yield from [(part, at)] if is_needed or not inner else inner


def _is_extreme(parts: Sequence[_Part], left: int, right: int) -> bool:
    """Tell whether `a < b or b` stands there, the lower of both, or the higher one: it rises as each does."""
    texts = [_flat(part) for part in parts]
    _, *others = re.split(" [<>] ", " ".join(texts[left:right]))
    rest = " ".join(texts[right + 1 :]).split(" or ") if texts[right : right + 1] == ["or"] else []
    return len(others) == 1 and others[0] in rest


def _flat(part: _Part) -> str:
    if isinstance(part, str):
        return part
    inner = "\0".join(_flat(one) for one, _at in part.parts)
    return f"{part.opening}{inner}{_CLOSES[part.opening]}".replace(" ", "\0")


def _holds(part: _Part, place: int) -> bool:
    return isinstance(part, _Group) and any(own == place or _holds(one, place) for one, own in part.parts)


def _around(parts: Sequence[_Part], at: int, ends: frozenset[str]) -> tuple[int, int]:
    """Return where what stands between separators begins and ends."""
    places = [number for number, part in enumerate(parts) if isinstance(part, str) and part.lower() in ends]
    start = max((number + 1 for number in places if number < at), default=0)
    return start, min((number for number in places if number > at), default=len(parts))


def _called(parts: Sequence[_Part], at: int, effect: Effect) -> Effect:
    """Return what becomes of a function by what becomes of what is given to it."""
    function = _function_before(parts, at)
    if not function:
        return effect
    if function in _RISING:
        return Effect(effect.presence, _sum((effect.presence, effect.value)))
    if function in ("count", "count_over_time"):
        return Effect(effect.presence, effect.presence)
    if function in _OF_VALUES:
        return Effect(effect.presence, effect.value if effect.presence == 0 else None)
    return UNKNOWN


def _function_before(parts: Sequence[_Part], at: int) -> str:
    """Return the function before brackets; empty where there is none."""
    before = parts[:at]
    if len(before) > 1 and isinstance(before[-1], _Group) and before[-2] in ("by", "without"):
        before = before[:-2]
    last = before[-1] if before else ""
    return last if isinstance(last, str) and re.fullmatch(r"[a-z_]\w*", last) and last not in _LOGIC else ""


def _compared(parts: Sequence[_Part], at: int, effect: Effect, *, is_extreme: bool) -> Effect:
    signs = [number for number, part in enumerate(parts) if isinstance(part, str) and part in _COMPARED]
    if len(signs) > 1 or "bool" in parts:
        return UNKNOWN
    if not signs:
        return Effect(effect.presence, _calculated(parts, at, effect.value))
    sign = str(parts[signs[0]])
    is_left = at < signs[0]
    side = (parts[: signs[0]], at) if is_left else (parts[signs[0] + 1 :], at - signs[0] - 1)
    value = _calculated(*side, effect.value)
    if is_extreme:
        return Effect(effect.presence, value)
    if sign in ("==", "!="):
        return Effect(effect.presence, value) if value == 0 else UNKNOWN
    holds = value if is_left == sign.startswith(">") else _turned(value)
    # What is compared with is kept, but for a number on the left.
    is_kept = is_left != (signs[0] == 1 and isinstance(parts[0], str) and parts[0][:1].isdigit())
    return Effect(_sum((effect.presence, holds)), value if is_kept else 0)


def _calculated(parts: Sequence[_Part], at: int, value: int | None) -> int | None:
    """Return what becomes of a calculation by what becomes of the value at a place."""
    has_negative = any(one == "-" and parts[max(0, place - 1)] in _CALCULATED for place, one in enumerate(parts))
    if has_negative or "%" in parts or "^" in parts:
        return 0 if value == 0 else None
    start, _end = _around(parts, at, frozenset({"+", "-"}))
    turns = [number for number in (start - 1,) if number >= 0 and parts[number] == "-"]
    left, _right = _around(parts, at, frozenset({"+", "-", "*", "/"}))
    turns += [number for number in (left - 1,) if number >= 0 and parts[number] == "/"]
    return _turned(value) if len(turns) == 1 else value
