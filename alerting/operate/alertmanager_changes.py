"""What changed between two configurations of Alertmanager: never a secret or an address of a channel."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from ml_monitoring.alerting.operate.contents import duration
from ml_monitoring.alerting.operate.matching import matcher_changes, pairs
from ml_monitoring.alerting.operate.reach import OUTSIDE, ShiftedRoute
from ml_monitoring.alerting.operate.routing import DEFAULT_WAITS, NOT_INHERITED, listed, mappings, matchers
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.differences import Change, together

Json = dict[str, Any]

# Whether alerts come earlier, or are more, by a change.
SOONER: Final = "Sooner or louder"
LATER: Final = "Later or quieter"
OTHERWISE: Final = "Changed otherwise"
# When an alert that is reported no more counts as ended.
_RESOLVE: Final = "resolve_timeout"
# What goes to the receivers of teams, by the severity at the end of their names.
_OF_TEAMS: Final = {"critical": "critical alerts of", "warning": "warnings of", "info": "info alerts of"}
# Options without which the other side refuses what is sent; the address of Slack is a secret, too.
_CREDENTIALS: Final = re.compile(
    r"^(?:http_config|slack_api_url(?:_file)?|api_url(?:_file)?|smtp_auth_\w+|auth_\w+)$"
    r"|(?:credentials|password|token|secret|key)(?:_file)?$|\b(?:authorization|basic_auth|oauth2|tls_config)\b"
)
# What is said by itself; of other sections only the keys are: they may hold passwords.
_APART: Final = frozenset({"route", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals"})


def compare(
    old: Json | None, new: Json | None, *, everything: bool = False, said: Collection[ShiftedRoute] = ()
) -> list[Change]:
    """Return the changes but for those of inhibitions.

    Args:
        old: Before.
        new: After.
        everything: Whether to return each of many that are alike.
        said: What is said already of waits and mute times.
    """
    if old is None or new is None:
        return [Change("alertmanager.yml", "added")] if new is not None else []
    groups = {
        "receivers": [
            *(change for change in shared_changes(old, new) if not _is_loss(change)),
            *_receivers(old, new),
        ],
        "routes": [
            change
            for change in _routes(old.get("route"), new.get("route"), ())
            if everything or not _is_said(change, said)
        ],
    }
    found = [
        change for noun, changes in groups.items() for change in (changes if everything else together(changes, noun))
    ]
    return [*found, *_sections(old, new)]


def is_of_credentials(change: Change) -> bool:
    """Tell whether a change is one of what Alertmanager logs on with: with a wrong one nothing arrives."""
    _kind, _, keys = change.what.partition("changed (")
    return bool(keys) and any(map(_CREDENTIALS.search, keys.partition(")")[0].split(", ")))


def _is_said(change: Change, said: Collection[ShiftedRoute]) -> bool:
    key = change.what.partition(" ")[0]
    if key in DEFAULT_WAITS:
        waits = [DEFAULT_WAITS[key] if one == "nothing" else one for one in (change.old, change.new)]
        return (key, *(_seconds(one) for one in waits)) in said
    times = {"mute_time_intervals": "in the time {}", "active_time_intervals": OUTSIDE}.get(key)
    if times is None:
        return False
    silent = [("silent", word, times.format(one)) for word, one in (("now", change.old), ("not", change.new)) if one]
    return all(one in said or one[2] == times.format("nothing") for one in silent)


def _seconds(text: str) -> str:
    seconds = duration(text)
    return durations.format_seconds(seconds) if isinstance(seconds, float) else text


def lost_channels(old: Json | None, new: Json | None) -> list[str]:
    """Return the names of the receivers that had a channel, and have none any more, but for those that all have."""
    before, after = (_by_name(config or {}) for config in (old, new))
    of_all = len(_shared(before))
    own = {name: sum(map(len, _channels(one).values())) - of_all for name, one in before.items()}
    return [name for name in before if name in after and own[name] and not any(_channels(after[name]).values())]


def not_notified(names: Iterable[str]) -> Iterator[Change]:
    """Return of what nobody is notified any more, by the names of receivers without a channel."""
    found: dict[str, list[str]] = {words: [] for words in (*_OF_TEAMS.values(), "what goes to")}
    for name in names:
        team, _, severity = name.rpartition("-")
        if team and severity in _OF_TEAMS:
            found[_OF_TEAMS[severity]].append(team)
        elif name.endswith("watchdog"):
            yield Change(f"what goes to {name}:", "the dead man's switch gets nothing more")
        else:
            found["what goes to"].append(name)
    for words, whose in found.items():
        if whose:
            yield Change(f"{words} {', '.join(whose)}:", "nobody is notified any more")


def _by_name(config: Json) -> dict[str, Json]:
    return {str(one.get("name")): one for one in mappings(config.get("receivers"))}


def lost_by_all(old: Json | None, new: Json | None) -> list[Change]:
    """Return which channels all receivers had, and have no more."""
    changes = shared_changes(old, new) if old and new else ()
    return [*filter(_is_loss, changes)]


def _is_loss(change: Change) -> bool:
    return change.what.endswith("removed")


def shared_changes(old: Json, new: Json) -> Iterator[Change]:
    """Return which channels all receivers have from now on, or have no more, such as the alert log."""
    before, after = (_by_name(config) for config in (old, new))
    # What some have still, or had, neither came nor went for all; another address of the same is no more and no less.
    come, gone = (
        sum(one not in _webhooks(those) for one in _shared(these))
        for these, those in ((after, before), (before, after))
    )
    for word, number in (("added", come - gone), ("removed", gone - come)):
        if number > 0:
            yield Change(
                "all receivers",
                f"channels of webhook that all have, such as the alert log, {word}",
                "",
                str(number),
            )


def _webhooks(receivers: Mapping[str, Json]) -> list[Json]:
    return [one for receiver in receivers.values() for one in _channels(receiver).get("webhook_configs", [])]


def _shared(receivers: Mapping[str, Json]) -> list[Json]:
    """Return each webhook that all receivers have."""
    webhooks = [_channels(one).get("webhook_configs", []) for one in receivers.values()]
    is_of_several = len(webhooks) > 1
    return [one for one in (webhooks[0] if is_of_several else []) if all(one in other for other in webhooks)]


def _receivers(old: Json, new: Json) -> Iterator[Change]:
    before, after = _by_name(old), _by_name(new)
    shared = [{"webhook_configs": len(_shared(one))} for one in (before, after)]
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
                # What came or went of all is said once.
                if len(one) - shared[0].get(kind, 0) != len(other) - shared[1].get(kind, 0):
                    yield Change(where, f"channels of {_channel(kind)} changed", str(len(one)), str(len(other)))
            elif keys := sorted({key for pair in zip(one, other, strict=True) for key in _paths(*pair)}):
                # The name of a channel of Slack is no secret.
                names = [
                    ", ".join(str(each["channel"]) for each in of_it if each.get("channel")) for of_it in (one, other)
                ]
                shown = names if "channel" in keys and kind == "slack_configs" else ["", ""]
                said = f"{_channel(kind)} changed ({', '.join(keys)})"
                if "send_resolved" in keys:
                    ends = [each.get("send_resolved") for each in other]
                    said += ": no notice of the end of alerts" if False in ends else ": notice of their end, too"
                yield Change(where, said, *shown)


def _routes(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[Change]:
    """Return what changed of a route and of those below it, which are recognised by what they match."""
    old, new = (one if isinstance(one, dict) else {} for one in (old, new))
    where = f"route {' / '.join(path)}" if path else "first route"
    for key in _differing(old, new):
        if key not in NOT_INHERITED and not (key in DEFAULT_WAITS and duration(old.get(key)) == duration(new.get(key))):
            yield Change(where, f"{key} changed", *(_text(one.get(key)) for one in (old, new)))
    before, after = (_below(one) for one in (old, new))
    became = pairs(before, after, lambda one, other: before[one].get("receiver") == after[other].get("receiver"))
    for one, route in before.items():
        below = (*path, ", ".join(one) or "all")
        if one in became:
            yield from matcher_changes(f"route {' / '.join(below)}", one, became[one])
            yield from _routes(route, after[became[one]], below)
        else:
            yield Change(f"route {' / '.join(below)}", "removed", "", str(route.get("receiver") or ""))
    for one, route in after.items():
        if one not in became.values():
            below = (*path, ", ".join(one) or "all")
            yield Change(f"route {' / '.join(below)}", "added", "", str(route.get("receiver") or ""))
    if [became[one] for one in before if one in became] != [one for one in after if one in became.values()]:
        yield Change(f"routes below {' / '.join(path)}" if path else "routes", "are in another order")


def _below(route: Json) -> dict[tuple[str, ...], Json]:
    """Return the routes below one by their matchers, and by which it is of several with the same."""
    found: dict[tuple[str, ...], Json] = {}
    seen: Counter[tuple[str, ...]] = Counter()
    for child in mappings(route.get("routes")):
        own = tuple(matchers(child, "match"))
        seen[own] += 1
        found[own if seen[own] == 1 else (*own, f"#{seen[own]}")] = child
    return found


def _sections(old: Json, new: Json) -> Iterator[Change]:
    for section in (key for key in {**old, **new} if key not in _APART):
        one, other = old.get(section), new.get(section)
        if section == "global":
            waits, (one, other) = zip(*(_without_wait(values) for values in (one, other)), strict=True)
            if waits[0] != waits[1]:
                yield Change(section, f"{_RESOLVE} changed", *map(_text, waits))
        if isinstance(one, dict) and isinstance(other, dict) and one != other:
            yield Change(section, f"changed ({', '.join(_differing(one, other))})")
        elif one != other:
            yield Change(section, "added" if one is None else "removed" if other is None else "changed")


def _without_wait(values: Any) -> tuple[Any, Any]:
    """Return when an alert that is reported no more counts as ended, and what else is said of all."""
    if not isinstance(values, dict):
        return None, values
    return values.get(_RESOLVE), {key: value for key, value in values.items() if key != _RESOLVE} or None


def _channels(receiver: Json) -> dict[str, list[Json]]:
    return {key: mappings(receiver.get(key)) for key in receiver if key.endswith("_configs")}


def _channel(kind: str) -> str:
    return kind.removesuffix("_configs")


def _differing(old: Json, new: Json) -> list[str]:
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _paths(old: Json, new: Json) -> Iterator[str]:
    """Yield which options differ, those of options with a dot between."""
    for key in _differing(old, new):
        one, other = old.get(key), new.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from (f"{key}.{below}" for below in _paths(one, other))
        else:
            yield str(key)


def _text(value: Any) -> str:
    if value is None:
        return "nothing"
    return ", ".join(listed(value)) if isinstance(value, list) else str(value)
