"""Where an alert goes: the routes of Alertmanager's configuration, followed as Alertmanager follows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml_monitoring.alerting.generate.inhibition import INHIBITIONS, Inhibition, matches

# Said where alerts have a label of their own, so that others may use the same Alertmanager.
BESIDE_OTHERS: Final = "(with `alerts generate --into` the names of receivers begin with ml-monitoring-)"
# How a route chooses alerts, and the routes below it.
NOT_INHERITED: Final = frozenset({"matchers", "match", "match_re", "routes"})
# The times of a route: in which it is silent, and outside of which it is.
TIMES: Final = ("mute_time_intervals", "active_time_intervals")
# The sections that say when these times are, the older one too.
TIME_SECTIONS: Final = ("time_intervals", "mute_time_intervals")
# What Alertmanager does where a route says nothing of how long it waits.
DEFAULT_WAITS: Final = {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}
# What the routes below one do not have from it.
_OF_ITS_OWN: Final = frozenset({*TIMES, "continue"})
# Matchers that stand in one text, with quotes or without.
_EACH: Final = re.compile(r'\s*((?:"(?:\\.|[^"\\])*"|[^",])+)')
_PARTS: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stop:
    """A receiver that is notified.

    Attributes:
        receiver: Its name.
        group_wait: How long alerts that begin together are collected first.
        repeat_interval: When it is notified again while the alert fires.
        muted_at: Names of the times in which it is not notified.
        group_interval: When what changed of alerts that began together is sent.
        active_at: Names of the times outside of which it is not notified; empty where there is no such limit.
    """

    receiver: str
    group_wait: str
    repeat_interval: str
    muted_at: tuple[str, ...]
    group_interval: str
    active_at: tuple[str, ...]


def stops(config: Mapping[str, Any], labels: Mapping[str, str]) -> list[Stop]:
    """Return who is notified of an alert with these labels, in the order of the routes.

    Args:
        config: Alertmanager's.
        labels: Labels of the alert, `alertname` included.

    Raises:
        ValueError: A matcher is none that Alertmanager takes.
    """
    muting, sending = TIMES
    return [
        Stop(
            str(route.get("receiver", "")),
            route["group_wait"],
            route["repeat_interval"],
            tuple(route.get(muting, ())),
            route["group_interval"],
            tuple(route.get(sending, ())),
        )
        for route in _matching(config["route"], DEFAULT_WAITS, labels)
    ]


def mutes_of(labels: Mapping[str, str]) -> list[Inhibition]:
    """Return the rules that could mute an alert with these labels, whatever fires beside it."""
    return [
        rule
        for rule in INHIBITIONS
        if all(matches(matcher, labels) for matcher in rule.target) and all(labels.get(label) for label in rule.equal)
    ]


def mappings(listed: Any) -> list[dict[str, Any]]:
    """Return what stands in a list of mappings, in which others may have written anything."""
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def listed(value: Any) -> list[str]:
    """Return what stands in a list, or alone in place of one, as texts."""
    return [str(one) for one in (value if isinstance(value, list) else [] if value is None else [value])]


def routes(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the first route of a configuration and those below it, in which others may have written anything."""
    waiting = mappings([config.get("route")])
    while waiting:
        route = waiting.pop(0)
        waiting += mappings(route.get("routes"))
        yield route


def matchers(entry: Mapping[str, Any], prefix: str) -> list[str]:
    """Return the matchers of a route or an inhibition in one form, those that are written in an older form too.

    Args:
        entry: As in the file.
        prefix: `match`, `source_match` or `target_match`.
    """
    given = entry.get("matchers" if prefix == "match" else f"{prefix}ers") or []
    found = [one for text in (given if isinstance(given, list) else [given]) for one in _one_each(str(text))]
    for key, sign in ((prefix, "="), (f"{prefix}_re", "=~")):
        older = entry.get(key)
        found += [f'{name}{sign}"{value}"' for name, value in (older.items() if isinstance(older, dict) else ())]
    return found


def _one_each(text: str) -> Iterator[str]:
    """Yield the matchers of a text such as `{a="1", b=~x}`, quoted; what is none as it stands."""
    for one in _EACH.findall(text.strip().removeprefix("{").removesuffix("}")):
        parts = _PARTS.fullmatch(one)
        yield f'{parts[1]}{parts[2]}"{parts[3]}"' if parts else one


def _matching(route: Mapping[str, Any], above: Mapping[str, Any], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    if not all(matches(matcher, labels) for matcher in matchers(route, "match")):
        return []
    # What a route does not say it has from the one above; times of silence are not inherited.
    inherited = {key: value for key, value in above.items() if key not in _OF_ITS_OWN}
    own = inherited | {key: value for key, value in route.items() if key not in NOT_INHERITED}
    found: list[dict[str, Any]] = []
    for child in route.get("routes") or ():
        of_child = _matching(child, own, labels)
        found += of_child
        if of_child and not child.get("continue"):
            break
    return found or [own]
