"""Which channels each alert reaches, and reaches no more, by the routes of two configurations of Alertmanager."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from ml_monitoring.alerting.operate.routing import mappings, stops
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.differences import Change, few

Json = dict[str, Any]
# When a channel is reached, in seconds, and the times in which it is not.
_When = tuple[float, frozenset[str]]
# A key of a route and what became of it: its values before and after, or `now` or `not` and the times of silence.
ShiftedRoute = tuple[str, str, str]

# Alerts that a line names; of more it says which severities and teams they are of, when these are all.
_MOST_NAMED: Final = 10
# By what a channel is another one; whatever else a channel has changes how it is written to.
_ADDRESS: Final = re.compile(
    r"(?:.*url(?:_file)?|.*(?:key|token)(?:_file)?|to|to_\w+|chat_id|room_id|corp_id|agent_id|topic_arn|target_arn"
    r"|phone_number|responders)"
)


@dataclass(frozen=True, slots=True)
class ReachedChannel:
    """Where notifications go.

    Attributes:
        kind: As Alertmanager calls it, such as `slack`.
        address: May be secret.
        shown: What is no secret of it: the name of a channel of Slack.
    """

    kind: str
    address: str
    shown: str

    def __str__(self) -> str:
        """Return it without a secret."""
        return f"{self.kind} ({self.shown})" if self.shown else self.kind


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the channels that alerts reach, how many alerts that is, and what of routes it says."""

    lost: list[Change]
    gained: list[Change]
    sooner: list[Change]
    later: list[Change]
    _: KW_ONLY
    losing: int
    gaining: int
    shifting: int
    routes: frozenset[ShiftedRoute]


class Reaches:
    """The channels that alerts reach by two configurations, but for webhooks of all, such as the alert log."""

    def __init__(self, old: Json | None, new: Json | None) -> None:
        """Read both configurations; None where there is none."""
        self._configs = (old, new)
        self._receivers = tuple(_receivers(config or {}) for config in self._configs)
        shared = [_shared(receivers) for receivers in self._receivers]
        # What some receivers have now notified somebody before, too, although all had it.
        now = frozenset[ReachedChannel]().union(*self._receivers[1].values())
        self._everywhere = shared[1] | (shared[0] - now)

    def before(self, rule: Json) -> dict[ReachedChannel, _When] | None:
        """Return what an alert reached; None where its routes cannot be followed."""
        return self._of(rule, 0)

    def after(self, rule: Json) -> dict[ReachedChannel, _When] | None:
        """Return what an alert reaches now; None where its routes cannot be followed."""
        return self._of(rule, 1)

    def moved(self, alerts: Mapping[str, tuple[Json, Json]], silent: Collection[str]) -> Moved:
        """Return which alerts reach fewer or other channels, those with the same change in one line.

        Args:
            alerts: The rule before and after, by the name of the alert.
            silent: Receivers that were left without a channel, of which it is said already.
        """
        found: tuple[dict[str, list[str]], ...] = ({}, {}, {}, {})
        lost, gained, sooner, later = found
        routes: set[ShiftedRoute] = set()
        for name, (old, new) in alerts.items():
            before, after = self.before(old), self.after(new)
            if before is None or after is None:
                continue
            gone, come = ([one for one in these if one not in those] for these, those in _both(before, after))
            if gone and not after:
                if not {stop.receiver for stop in stops(self._configs[1] or {}, labels_of(new))} <= {*silent}:
                    lost.setdefault(f"reaches no channel any more (before: {_named(gone)})", []).append(name)
            elif gone:
                where = " at the former address" * ({*map(str, gone)} == {*map(str, come)})
                lost.setdefault(f"no longer reaches {_named(gone)}{where}", []).append(name)
            if come:
                where = " at another address" * ({*map(str, gone)} == {*map(str, come)})
                gained.setdefault(f"reaches {_named(come, after)}{where}", []).append(name)
            for channel in (one for one in before if one in after):
                for is_later, what, route in _waits(channel, before[channel], after[channel]):
                    (later if is_later else sooner).setdefault(what, []).append(name)
                    routes.add(route)
        rules = {name: new for name, (_old, new) in alerts.items()}
        lists = [
            [Change(name_alerts(names, rules), _agreeing(what, names)) for what, names in of_it.items()]
            for of_it in found
        ]
        losing, gaining, shifting = (
            len({name for of_it in kinds for names in of_it.values() for name in names})
            for kinds in ((lost,), (gained,), (sooner, later))
        )
        return Moved(*lists, losing=losing, gaining=gaining, shifting=shifting, routes=frozenset(routes))

    def _of(self, rule: Json, version: int) -> dict[ReachedChannel, _When] | None:
        config = self._configs[version]
        try:
            # `amtool` names what Alertmanager would not read.
            found = stops(config or {}, labels_of(rule))
            waits = [durations.parse(str(stop.group_wait)) for stop in found]
        except (ValueError, TypeError, AttributeError, KeyError, re.error):
            return None
        reached: dict[ReachedChannel, _When] = {}
        for stop, wait in zip(found, waits, strict=True):
            for channel in self._receivers[version].get(stop.receiver, frozenset()) - self._everywhere:
                first = reached.get(channel, (wait, frozenset(stop.muted_at)))
                reached[channel] = min(wait, first[0]), first[1] & {*stop.muted_at}
        return reached


def labels_of(rule: Json) -> dict[str, str]:
    """Return the labels by which an alert is routed."""
    labels = {str(name): str(value) for name, value in (rule.get("labels") or {}).items()}
    return labels | {"alertname": str(rule["alert"])}


def _both(
    old: dict[ReachedChannel, _When], new: dict[ReachedChannel, _When]
) -> tuple[tuple[dict[ReachedChannel, _When], dict[ReachedChannel, _When]], ...]:
    return (old, new), (new, old)


def _waits(channel: ReachedChannel, old: _When, new: _When) -> Iterator[tuple[bool, str, ShiftedRoute]]:
    """Yield whether the same channel is reached later or less, how that is said, and what of a route it is."""
    if old[0] != new[0]:
        before, after = (durations.format_seconds(seconds) for seconds, _muted in (old, new))
        said = f"reaches {channel} after another `group_wait`: `{before}` → `{after}`"
        yield new[0] > old[0], said, ("group_wait", before, after)
    for is_later, names in ((True, new[1] - old[1]), (False, old[1] - new[1])):
        if names:
            word, times = "not" if is_later else "now", ", ".join(sorted(names))
            yield is_later, f"{word} sent to {channel} in the time {times}", ("mute_time_intervals", word, times)


def _receivers(config: Json) -> dict[str, frozenset[ReachedChannel]]:
    """Return the channels of each receiver."""
    return {
        str(one.get("name")): frozenset(
            _channel(str(kind).removesuffix("_configs"), channel)
            for kind, channels in one.items()
            if str(kind).endswith("_configs") and isinstance(channels, list)
            for channel in channels
        )
        for one in mappings(config.get("receivers"))
    }


def _channel(kind: str, given: Any) -> ReachedChannel:
    options = given if isinstance(given, dict) else {"": given}
    # A channel of Slack is the same one with a new secret.
    shown = str(options.get("channel") or "") if kind == "slack" else ""
    address = {key: value for key, value in options.items() if _ADDRESS.fullmatch(str(key))} or options
    return ReachedChannel(kind, "" if shown else json.dumps(address, sort_keys=True, default=str), shown)


def _shared(receivers: Mapping[str, frozenset[ReachedChannel]]) -> frozenset[ReachedChannel]:
    """Return the webhooks of all receivers, of which there are several."""
    found = frozenset.intersection(*receivers.values()) if len(receivers) > 1 else frozenset[ReachedChannel]()
    return frozenset(channel for channel in found if channel.kind == "webhook")


def _named(channels: Iterable[ReachedChannel], when: Mapping[ReachedChannel, _When] | None = None) -> str:
    """Return channels without their addresses, each with how soon it is reached."""
    found: dict[str, None] = {}
    for channel in sorted(channels, key=str):
        after = f" after {durations.format_seconds(when[channel][0])}" if when and when[channel][0] else ""
        found[f"{channel}{after or ' at once' * (when is not None)}"] = None
    return ", ".join(found)


def name_alerts(names: list[str], rules: Mapping[str, Json]) -> str:
    """Return the names of alerts; of many the severities and teams that they are all the alerts of."""
    if len(names) > _MOST_NAMED:
        kinds = Counter(_kind(rules[name]) for name in names)
        if kinds == {kind: number for kind, number in Counter(map(_kind, rules.values())).items() if kind in kinds}:
            teams: dict[str, list[str]] = {}
            for severity, team in kinds:
                teams.setdefault(severity, []).append(team)
            of_it = "; ".join(f"{severity} of {', '.join(sorted(found))}" for severity, found in teams.items())
            return f"all {len(names)} alerts that are {of_it}"
    return ", ".join(few(names, _MOST_NAMED))


def _agreeing(what: str, names: list[str]) -> str:
    return what if len(names) == 1 else what.replace("reaches", "reach", 1)


def _kind(rule: Json) -> tuple[str, str]:
    labels = rule.get("labels") or {}
    return str(labels.get("severity", "no severity")), str(labels.get("team", "no team"))
