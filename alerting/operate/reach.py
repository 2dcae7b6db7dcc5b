"""Which channels each alert reaches, and reaches no more, by the routes of two configurations of Alertmanager."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Final

from ml_monitoring.alerting.operate.routing import Stop, mappings, stops
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.differences import Change, few

Json = dict[str, Any]
# A key of a route and what became of it: its values before and after, or `now` or `not` and the times of silence.
ShiftedRoute = tuple[str, str, str]

# Alerts that a line names; of more it says which severities and teams they are of, when these are all.
_MOST_NAMED: Final = 10
# By what a channel is another one; whatever else a channel has changes how it is written to.
_ADDRESS: Final = re.compile(
    r"(?:.*url(?:_file)?|.*(?:key|token)(?:_file)?|to|to_\w+|chat_id|room_id|corp_id|agent_id|topic_arn|target_arn"
    r"|phone_number|responders)"
)


OUTSIDE: Final = "outside of the time {} (`active_time_intervals`)"
_OTHER_FILE: Final = " at the address that another file holds: as before only where that is the same"
# The waits of a route, and what each is of, for those who read no routes.
WAITS: Final = {
    "group_wait": "first (`group_wait`) after",
    "group_interval": "what changes of its group (`group_interval`) after",
    "repeat_interval": "again, while it fires (`repeat_interval`), every",
}


@dataclass(frozen=True, slots=True)
class ReachedChannel:
    """Where notifications go.

    Attributes:
        kind: As Alertmanager calls it, such as `slack`.
        address: May be secret.
        file: The files that hold the address.
        shown: What is no secret of it: the name of a channel of Slack.
        receiver: That by which it is reached once more; empty for the one by which it is reached first.
    """

    kind: str
    address: str
    file: str
    shown: str
    receiver: str = ""

    def __str__(self) -> str:
        """Return it without a secret."""
        more = ", ".join(filter(None, (self.shown, f"once more by {self.receiver}" if self.receiver else "")))
        return f"{self.kind} ({more})" if more else self.kind

    def may_be(self, other: ReachedChannel) -> bool:
        """Tell whether it is the same channel if files hold what they held, or what stood in the configuration."""
        is_alike = (self.kind, self.shown, self.receiver) == (other.kind, other.shown, other.receiver)
        return is_alike and self.file != other.file and len({self.address, other.address} - {""}) < 2


@dataclass(frozen=True, slots=True)
class ReachedWhen:
    """When a channel is reached.

    Attributes:
        receiver: The receiver by which it is.
        waits: Of the route, in seconds.
        silent: When it is not, in words.
        instead: How it is reached even then, in words; empty where it is not.
    """

    receiver: str
    waits: Mapping[str, float]
    silent: frozenset[str]
    instead: str = ""

    def after(self) -> str:
        """Return how soon in words."""
        wait = self.waits["group_wait"]
        return f"after {durations.format_seconds(wait)}" if wait else "at once"


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the channels that alerts reach, how many alerts that is, and what of routes it says."""

    lost: list[Change]
    gained: list[Change]
    sooner: list[Change]
    later: list[Change]
    otherwise: list[Change]
    instead: list[Change]
    _: KW_ONLY
    losing: int
    gaining: int
    shifting: int
    moving: int
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

    def before(self, rule: Json) -> dict[ReachedChannel, ReachedWhen] | None:
        """Return what an alert reached; None where its routes cannot be followed."""
        return self._of(rule, 0)

    def after(self, rule: Json) -> dict[ReachedChannel, ReachedWhen] | None:
        """Return what an alert reaches now; None where its routes cannot be followed."""
        return self._of(rule, 1)

    def moved(
        self, alerts: Mapping[str, tuple[Json, Json]], silent: Collection[str], *, everything: bool = False
    ) -> Moved:
        """Return which alerts reach fewer or other channels, those with the same change in one line.

        Args:
            alerts: The rule before and after, by the name of the alert.
            silent: Receivers that were left without a channel, of which it is said already.
            everything: Whether to name each of many.
        """
        found: tuple[dict[str, list[str]], ...] = ({}, {}, {}, {}, {}, {})
        lost, gained, sooner, later, otherwise, instead = found
        routes: set[ShiftedRoute] = set()
        for name, (old, new) in alerts.items():
            before, after = self.before(old), self.after(new)
            if before is None or after is None:
                continue
            gone, come = (
                [one for one in these if one not in those] for these, those in ((before, after), (after, before))
            )
            kept = {one: (before[one], after[one]) for one in after if one in before}
            for one, late in _first_by_a_later(before, after):
                gone.remove(late)
                kept[late] = (before[late], kept.pop(one)[1])
                what = f"only by {late.receiver} {after[one].after()} (before: {before[one].after()})"
                later.setdefault(f"reaches {one} {what}", []).append(name)
            for one, late in _first_by_a_later(after, before):
                come.remove(late)
                kept[late] = (kept.pop(one)[0], after[late])
                what = f"{after[one].after()} (before: only by {late.receiver} {before[one].after()})"
                sooner.setdefault(f"reaches {one} {what}", []).append(name)
            elsewhere = [*_by_other_files(gone, come)]
            if elsewhere:
                otherwise.setdefault(f"reaches {_named(new for _old, new in elsewhere)}{_OTHER_FILE}", []).append(name)
            kept |= {other: (before[one], after[other]) for one, other in elsewhere}
            for one, other in _by_the_same_receiver(gone, come, before, after):
                kept[other] = (before[one], after[other])
                where = str(other) if str(one) != str(other) else f"{other} at another address"
                what = f"reaches {where}, no longer {one if where == str(other) else 'at the former'}"
                instead.setdefault(what, []).append(name)
            if gone and not after:
                if not {stop.receiver for stop in stops(self._configs[1] or {}, labels_of(new))} <= {*silent}:
                    lost.setdefault(f"reaches no channel any more (before: {_named(gone)})", []).append(name)
            elif gone:
                where = " at the former address" * ({*map(str, gone)} == {*map(str, come)})
                lost.setdefault(f"no longer reaches {_named(gone)}{where}", []).append(name)
            if come:
                where = " at another address" * ({*map(str, gone)} == {*map(str, come)})
                gained.setdefault(f"reaches {_named(come, after)}{where}", []).append(name)
            for is_later, what in _shifts(kept, routes):
                (later if is_later else sooner).setdefault(what, []).append(name)
        rules = {name: new for name, (_old, new) in alerts.items()}
        lists = [
            [
                Change(name_alerts(names, rules, everything=everything), _agreeing(what, names))
                for what, names in of_it.items()
            ]
            for of_it in found
        ]
        losing, gaining, shifting, moving = (
            len({name for of_it in kinds for names in of_it.values() for name in names})
            for kinds in ((lost,), (gained,), (sooner, later), (instead,))
        )
        return Moved(*lists, losing=losing, gaining=gaining, shifting=shifting, moving=moving, routes=frozenset(routes))

    def _of(self, rule: Json, version: int) -> dict[ReachedChannel, ReachedWhen] | None:
        config = self._configs[version]
        try:
            # `amtool` names what Alertmanager would not read.
            found = stops(config or {}, labels_of(rule))
            times = [_when(stop) for stop in found]
        except (ValueError, TypeError, AttributeError, KeyError, re.error):
            return None
        reached: dict[ReachedChannel, ReachedWhen] = {}
        for stop, when in sorted(zip(found, times, strict=True), key=lambda pair: pair[1].waits["group_wait"]):
            for channel in self._receivers[version].get(stop.receiver, frozenset()) - self._everywhere:
                if first := reached.get(channel):
                    if first.silent - when.silent and not first.instead:
                        reached[channel] = replace(first, instead=f"by {stop.receiver} {when.after()}")
                    reached[replace(channel, receiver=stop.receiver)] = when
                else:
                    reached[channel] = when
        return reached


def labels_of(rule: Json) -> dict[str, str]:
    """Return the labels by which an alert is routed."""
    labels = {str(name): str(value) for name, value in (rule.get("labels") or {}).items()}
    return labels | {"alertname": str(rule["alert"])}


def _by_other_files(
    gone: list[ReachedChannel], come: list[ReachedChannel]
) -> Iterator[tuple[ReachedChannel, ReachedChannel]]:
    """Take away, and yield, the channels of which no more is known than that another file holds their address."""
    for one in [*gone]:
        if other := next((other for other in come if one.may_be(other)), None):
            gone.remove(one)
            come.remove(other)
            yield one, other


def _by_the_same_receiver(
    gone: list[ReachedChannel],
    come: list[ReachedChannel],
    before: Mapping[ReachedChannel, ReachedWhen],
    after: Mapping[ReachedChannel, ReachedWhen],
) -> Iterator[tuple[ReachedChannel, ReachedChannel]]:
    """Take away, and yield, the channels that are another place of the same receiver, its only ones of a kind."""

    def key(one: ReachedChannel, when: Mapping[ReachedChannel, ReachedWhen]) -> tuple[str, str, str]:
        return one.kind, one.receiver, when[one].receiver

    keys = [[key(one, when) for one in channels] for channels, when in ((gone, before), (come, after))]
    for one in [*gone]:
        same = key(one, before)
        if keys[0].count(same) == keys[1].count(same) == 1:
            other = next(other for other in come if key(other, after) == same)
            gone.remove(one)
            come.remove(other)
            yield one, other


def _when(stop: Stop) -> ReachedWhen:
    waits = {key: durations.parse(str(getattr(stop, key))) for key in WAITS}
    silent = {f"in the time {name}" for name in stop.muted_at}
    # Each of several gives a time in which it is sent.
    if stop.active_at:
        silent.add(OUTSIDE.format(" or ".join(sorted(stop.active_at))))
    return ReachedWhen(stop.receiver, waits, frozenset(silent))


def _first_by_a_later(
    old: Mapping[ReachedChannel, ReachedWhen], new: Mapping[ReachedChannel, ReachedWhen]
) -> list[tuple[ReachedChannel, ReachedChannel]]:
    """Return the channels that are first reached by what reached them once more, with this; the first is gone."""
    found = []
    for one, when in new.items():
        late, first = (replace(one, receiver=by.receiver) for by in (when, old.get(one, when)))
        if not one.receiver and late in old and late != first and first not in new:
            found.append((one, late))
    return found


def _shifts(
    channels: Mapping[ReachedChannel, tuple[ReachedWhen, ReachedWhen]], routes: set[ShiftedRoute]
) -> Iterator[tuple[bool, str]]:
    """Yield whether the same channels are reached later or less, and how that is said; and add what of routes it is."""
    found: dict[tuple[bool, str, str], list[str]] = {}
    for channel, (old, new) in channels.items():
        for is_later in (False, True):
            said = []
            for key, words in WAITS.items():
                before, after = (durations.format_seconds(one.waits[key]) for one in (old, new))
                if before != after and (new.waits[key] > old.waits[key]) == is_later:
                    said.append(f"{words} `{before}` → `{after}`")
                    routes.add((key, before, after))
            if said:
                found.setdefault((is_later, "sent to", f": {'; '.join(said)}"), []).append(str(channel))
            silent = new.silent - old.silent if is_later else old.silent - new.silent
            if silent:
                word, times = "not" if is_later else "now", ", ".join(sorted(silent))
                instead = f" (but {new.instead})" * bool(is_later and new.instead)
                found.setdefault((is_later, f"{word} sent to", f" {times}"), []).append(f"{channel}{instead}")
                routes.update(("silent", word, one) for one in silent)
    for (is_later, verb, what), names in found.items():
        yield is_later, f"{verb} {', '.join(sorted(names))}{what}"


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
    if kind == "slack" and options.get("channel"):
        return ReachedChannel(kind, "", "", str(options["channel"]))
    address = {key: value for key, value in options.items() if _ADDRESS.fullmatch(str(key))} or options
    file = {key: value for key, value in address.items() if str(key).endswith("_file")}
    inline = {key: value for key, value in address.items() if key not in file}
    texts = [json.dumps(one, sort_keys=True, default=str) if one else "" for one in (inline, file)]
    return ReachedChannel(kind, texts[0], texts[1], "")


def _shared(receivers: Mapping[str, frozenset[ReachedChannel]]) -> frozenset[ReachedChannel]:
    """Return the webhooks of all receivers, of which there are several."""
    found = frozenset.intersection(*receivers.values()) if len(receivers) > 1 else frozenset[ReachedChannel]()
    return frozenset(channel for channel in found if channel.kind == "webhook")


def _named(channels: Iterable[ReachedChannel], when: Mapping[ReachedChannel, ReachedWhen] | None = None) -> str:
    """Return channels without their addresses, each with how soon it is reached."""
    return ", ".join(
        dict.fromkeys(f"{one} {when[one].after()}" if when else str(one) for one in sorted(channels, key=str))
    )


def name_alerts(names: list[str], rules: Mapping[str, Json], *, everything: bool = False) -> str:
    """Return the names of alerts; of many the severities and teams that they are all the alerts of."""
    if everything:
        return ", ".join(names)
    if len(names) > _MOST_NAMED:
        kinds = Counter(_kind(rules[name]) for name in names)
        if kinds == {kind: number for kind, number in Counter(map(_kind, rules.values())).items() if kind in kinds}:
            teams: dict[str, list[str]] = {}
            for severity, team in kinds:
                teams.setdefault(severity, []).append(team)
            if len(names) == len(rules):
                return f"all {len(names)} alerts"
            of_it = " and ".join(f"{severity} ({', '.join(sorted(found))})" for severity, found in teams.items())
            return f"all {len(names)} alerts of severity {of_it}"
    return name_some(names, _MOST_NAMED)


def name_some(names: Sequence[str], most: int) -> str:
    """Return so many names at most, and what lists the others."""
    return f"{', '.join(few(names, most))}{' (`--all` names them)' * (len(names) > most)}"


def _agreeing(what: str, names: list[str]) -> str:
    return what if len(names) == 1 else what.replace("reaches", "reach", 1)


def _kind(rule: Json) -> tuple[str, str]:
    labels = rule.get("labels") or {}
    return str(labels.get("severity", "unset")), str(labels.get("team", "no team"))
