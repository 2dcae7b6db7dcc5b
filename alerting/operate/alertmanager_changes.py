"""What changed between two configurations of Alertmanager: never a secret or an address of a channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from ml_monitoring.exporter.differences import Change, together

Json = dict[str, Any]

# Inhibitions beyond so many are counted.
_MOST_NAMED: Final = 3
# What goes to the receivers of teams, by the severity at the end of their names.
_OF_TEAMS: Final = {"critical": "critical alerts of", "warning": "warnings of", "info": "info alerts of"}
# How a route chooses alerts, and the routes below it: what it is recognised by.
_PLACE: Final = frozenset({"matchers", "match", "match_re", "routes"})
# Sections of which only the keys are said: they may hold passwords.
_SECTIONS: Final = ("global", "templates", "time_intervals", "mute_time_intervals", "tracing")


def compare(old: Json | None, new: Json | None, *, everything: bool = False) -> list[Change]:
    """Return the changes; with `everything` each of many that are alike."""
    if old is None or new is None:
        return [Change("alertmanager.yml", "no longer written" if new is None else "added")] if old is not new else []
    groups = {"receivers": list(_receivers(old, new)), "routes": list(_routes(old, new))}
    inhibitions = list(_inhibitions(old, new))
    if not everything and len(inhibitions) > _MOST_NAMED:
        kinds = Counter(change.what for change in inhibitions)
        kinds["changed"] = min(kinds["removed"], kinds["added"])
        kinds.subtract({"removed": kinds["changed"], "added": kinds["changed"]})
        inhibitions = [Change("inhibitions", f"{number} {kind}") for kind, number in kinds.items() if number]
    found = [
        change for noun, changes in groups.items() for change in (changes if everything else together(changes, noun))
    ]
    return [*found, *inhibitions, *_sections(old, new)]


def lost_channels(old: Json | None, new: Json | None) -> list[str]:
    """Return the names of the receivers that had a channel, and have none any more."""
    before, after = (_by_name(config or {}) for config in (old, new))
    return [
        name
        for name, receiver in before.items()
        if name in after and any(_channels(receiver).values()) and not any(_channels(after[name]).values())
    ]


def not_notified(names: Iterable[str]) -> Iterator[Change]:
    """Return of what nobody is notified any more, by the names of receivers without a channel."""
    found: dict[str, list[str]] = {words: [] for words in (*_OF_TEAMS.values(), "what goes to")}
    for name in names:
        team, _, severity = name.rpartition("-")
        if team and severity in _OF_TEAMS:
            found[_OF_TEAMS[severity]].append(team)
        else:
            found["what goes to"].append(name)
    for words, whose in found.items():
        if whose:
            yield Change(f"{words} {', '.join(whose)}:", "nobody is notified any more")


def _by_name(config: Json) -> dict[str, Json]:
    return {str(one.get("name")): one for one in _entries(config, "receivers")}


def _receivers(old: Json, new: Json) -> Iterator[Change]:
    before, after = _by_name(old), _by_name(new)
    # What is left without a channel is said by itself.
    quiet = lost_channels(old, new)
    for name in [*before, *(name for name in after if name not in before)]:
        if name in quiet:
            continue
        where = f"receiver {name}"
        if name not in before or name not in after:
            word = "added" if name in after else "removed"
            kinds = ", ".join(map(_channel, _channels((after if name in after else before)[name])))
            yield Change(where, f"{word} ({kinds or 'without a channel'})")
            continue
        channels = [_channels(one[name]) for one in (before, after)]
        for kind in sorted({*channels[0], *channels[1]}):
            one, other = (of_it.get(kind, []) for of_it in channels)
            if len(one) != len(other):
                yield Change(where, f"channels of {_channel(kind)} changed", str(len(one)), str(len(other)))
            elif keys := sorted({key for pair in zip(one, other, strict=True) for key in _differing(*pair)}):
                yield Change(where, f"{_channel(kind)} changed ({', '.join(keys)})")


def _routes(old: Json, new: Json) -> Iterator[Change]:
    before, after = (dict(_flat(config.get("route") or {}, ())) for config in (old, new))
    for path in [*before, *(path for path in after if path not in before)]:
        if path[:-1] and not (path[:-1] in before and path[:-1] in after):
            # The whole branch came or went.
            continue
        where = f"route {' / '.join(path)}" if path else "first route"
        if path not in before or path not in after:
            word, route = ("added", after[path]) if path in after else ("removed", before[path])
            yield Change(where, word, "", str(route.get("receiver") or ""))
            continue
        for key in _differing(before[path], after[path]):
            if key not in _PLACE:
                yield Change(where, f"{key} changed", *(_text(one[path].get(key)) for one in (before, after)))
    orders = [[path for path in one if path in before and path in after] for one in (before, after)]
    if orders[0] != orders[1]:
        yield Change("routes", "are in another order")


def _flat(route: Json, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Return a route and those below it by what they match."""
    yield above, route
    seen: Counter[str] = Counter()
    for child in _entries(route, "routes"):
        text = _matchers(child, "match")
        seen[text] += 1
        yield from _flat(child, (*above, text if seen[text] == 1 else f"{text} #{seen[text]}"))


def _inhibitions(old: Json, new: Json) -> Iterator[Change]:
    before, after = (
        Counter(
            f"{_matchers(rule, 'source_match')} mutes {_matchers(rule, 'target_match')}, "
            f"same {_text(rule.get('equal'))}"
            for rule in _entries(config, "inhibit_rules")
        )
        for config in (old, new)
    )
    for word, difference in (("removed", before - after), ("added", after - before)):
        for text in difference.elements():
            yield Change("inhibition", word, "", text)


def _sections(old: Json, new: Json) -> Iterator[Change]:
    for section in _SECTIONS:
        one, other = old.get(section), new.get(section)
        if isinstance(one, dict) and isinstance(other, dict) and one != other:
            yield Change(section, f"changed ({', '.join(_differing(one, other))})")
        elif one != other:
            yield Change(section, "added" if one is None else "removed" if other is None else "changed")


def _matchers(entry: Json, prefix: str) -> str:
    """Return matchers as one text, those in the older form too."""
    given = entry.get("matchers" if prefix == "match" else f"{prefix}ers") or []
    texts = [str(one) for one in (given if isinstance(given, list) else [given])]
    for key, sign in ((prefix, "="), (f"{prefix}_re", "=~")):
        older = entry.get(key)
        texts += [f'{name}{sign}"{value}"' for name, value in (older.items() if isinstance(older, dict) else ())]
    return ", ".join(texts) or "all"


def _channels(receiver: Json) -> dict[str, list[Json]]:
    return {key: _entries(receiver, key) for key in receiver if key.endswith("_configs")}


def _channel(kind: str) -> str:
    return kind.removesuffix("_configs")


def _differing(old: Json, new: Json) -> list[str]:
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _entries(config: Json, key: str) -> list[Json]:
    """Return what stands in a list of mappings, in which others may have written anything."""
    listed = config.get(key)
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _text(value: Any) -> str:
    if value is None:
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
