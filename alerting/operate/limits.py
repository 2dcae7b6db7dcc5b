"""The numbers that an alert's expression compares with: the threshold, and what else must hold beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from ml_monitoring.alerting.model.promql import TEXT, split_matchers

_NUMBER: Final = r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\w.])"
_COMPARISON: Final = r"(?:[=!<>]=|[<>])"
_MATCHING: Final = r"(?:bool\b|(?:on|ignoring|group_left|group_right)\s*\([^)]*\)|group_left\b|group_right\b|\s)*"
# A text, which may hold whatever it likes; else a number on either side of a comparison.
_COMPARED: Final = re.compile(
    rf"{TEXT}"
    rf"|(?P<before>{_COMPARISON}{_MATCHING})(?P<right>{_NUMBER})"
    rf"|(?P<start>(?:^|\(|\b(?:and|or|unless)\b)\s*)(?P<left>{_NUMBER})(?=\s*{_COMPARISON})",
    re.IGNORECASE,
)
_LABELS: Final = re.compile(r"(?<=\bon )\([^)]*\)|(?<=\bignoring )\([^)]*\)", re.IGNORECASE)
_BRACKET_OR_OPERATOR: Final = re.compile(rf"{TEXT}|[(\[{{]|[)\]}}]|(?P<operator>\b(?:and|or|unless)\b)", re.IGNORECASE)
_AT_END: Final = re.compile(rf"(?P<how>[<>]=?){_MATCHING}(?P<number>{_NUMBER})\s*$", re.IGNORECASE)
_AT_START: Final = re.compile(rf"\s*(?P<number>{_NUMBER})\s*(?P<how>[<>]=?)", re.IGNORECASE)
# Nothing but series and what they are compared with: each matcher leaves fewer of them.
_SELECTOR: Final = re.compile(
    rf"(?P<name>[A-Za-z_:][\w:]*)(?:\{{(?P<matchers>(?:{TEXT}|[^{{}}\"'`])*)\}})?(?P<rest>(?:\s*{_COMPARISON}\s*{_NUMBER})?)"
)
_TURNED: Final = str.maketrans("<>", "><")


def thresholds(old: str, new: str) -> tuple[str, str]:
    """Return the thresholds of two versions of an expression; the numbers alone where they are of other signals."""
    limits = threshold(old), threshold(new)
    is_same_signal = len({skeleton(_clauses(expr)[0]) for expr in (old, new)}) == 1
    return limits if is_same_signal else (number(limits[0]), number(limits[1]))


def threshold(expr: str) -> str:
    """Return what an expression compares its signal with, such as `> 0.3`; empty when that is no number.

    It is the number alone where the expression does not say that the alert fires above or below it.
    """
    head = _clauses(expr)[0]
    if found := _AT_END.search(head):
        return f"{found['how']} {found['number']}"
    if found := _AT_START.match(head):
        return f"{found['how'].translate(_TURNED)} {found['number']}"
    return next(iter(_numbers(expr)), "")


def number(limit: str) -> str:
    """Return the number of a threshold."""
    return limit.rpartition(" ")[2]


def skeleton(expr: str) -> str:
    """Return an expression without the numbers that it compares with."""
    return " ".join(_COMPARED.sub(_without_number, _excess(expr).sub("N", expr)).split())


def beside(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Return the parts of an expression in which a number changed that does not follow from the threshold.

    Args:
        old: Before.
        new: After, with the same skeleton.
    """
    limits = (number(threshold(old)), number(threshold(new)))
    for pair in zip(_clauses(old), _clauses(new), strict=True):
        # A test of how far the signal is beyond the threshold: what it takes depends on the threshold.
        follows = limits[0] != limits[1] and _excess(old).search(pair[0])
        numbers = zip(*map(_numbers, pair), strict=True)
        if not follows and any(one != other and (one, other) != limits for one, other in numbers):
            yield pair


def conditions(old: str, new: str) -> tuple[list[str], list[str]]:
    """Return the parts beside its signal that an expression lost, and those that it gained, whatever their numbers.

    None are returned when anything else changed, too, but for the labels by which parts are matched.
    """
    parts = [[_LABELS.sub("", clause) for clause in _clauses(skeleton(expr))] for expr in (old, new)]
    lost, gained = (Counter(one[1:]) - Counter(other[1:]) for one, other in (parts, parts[::-1]))
    if parts[0][0] != parts[1][0] or (lost and gained):
        return [], []
    found: tuple[list[str], list[str]] = ([], [])
    for expr, names, wanted, into in zip((old, new), parts, (lost, gained), found, strict=True):
        for clause, name in zip(_clauses(expr), names, strict=True):
            if wanted[name]:
                wanted[name] -= 1
                into.append(clause)
    # What stands behind an `or` of its own is a condition of that, not of the alert.
    ways = {clause.lower().startswith("or") for clauses in found for clause in clauses}
    return found if len(ways) == 1 else ([], [])


def matches_alike(old: str, new: str) -> bool:
    """Tell whether the parts that both expressions have are matched by the same labels."""
    parts = [_clauses(skeleton(expr)) for expr in (old, new)]
    common = [Counter(_LABELS.sub("", clause) for clause in clauses) for clauses in parts]
    return (Counter(parts[0]) & Counter(parts[1])).total() == (common[0] & common[1]).total()


def end(clause: str) -> str:
    """Return what a part of an expression compares with at its end, such as `> 5`; empty where it is of several."""
    bare = re.sub(r"(?i)^(?:and|or|unless)\b\s*", "", clause)
    found = _AT_END.search(bare)
    return f"{found['how']} {found['number']}" if found and len(_clauses(bare)) == 1 else ""


def selected(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Yield the matchers that the series of a signal lost or gained, when nothing else changed."""
    parts = [_clauses(expr) for expr in (old, new)]
    signals = [_SELECTOR.fullmatch(clauses[0]) for clauses in parts]
    if parts[0][1:] != parts[1][1:] or not all(signals):
        return
    names = [(found["name"], found["rest"]) for found in signals if found]
    asked = [{*split_matchers(found["matchers"] or "")} for found in signals if found]
    if names[0] == names[1]:
        for word, more, fewer in (("added", asked[1], asked[0]), ("removed", asked[0], asked[1])):
            if fewer < more:
                yield word, ", ".join(sorted(more - fewer))


def _clauses(expr: str) -> list[str]:
    """Return the parts of an expression that stand between `and`, `or` and `unless` outside of brackets."""
    depth, starts = 0, [0]
    for found in _BRACKET_OR_OPERATOR.finditer(expr):
        if found["operator"]:
            starts += [] if depth else [found.start()]
        elif not found["text"]:
            depth += 1 if found[0] in "([{" else -1
    return [expr[start:end].strip() for start, end in zip(starts, [*starts[1:], len(expr)], strict=True)]


def _excess(expr: str) -> re.Pattern[str]:
    """Return a pattern of where the threshold is subtracted from the signal, or that from the threshold."""
    limit = re.escape(number(threshold(expr)))
    return re.compile(rf"- {limit}(?=\))|(?<=\(){limit} - " if limit else r"(?!)")


def _numbers(expr: str) -> list[str]:
    return [value for found in _COMPARED.finditer(expr) if (value := found["right"] or found["left"])]


def _without_number(found: re.Match[str]) -> str:
    return found["text"] or f"{found['before'] or found['start']}N"
