"""Where an alert goes: the routes of Alertmanager's configuration, followed as Alertmanager follows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml_monitoring.alerting.generate.inhibition import INHIBITIONS, Inhibition, matches

# Said where alerts have a label of their own, so that others may use the same Alertmanager.
BESIDE_OTHERS: Final = "(with `alerts generate --into` the names of receivers begin with ml-monitoring-)"


@dataclass(frozen=True, slots=True)
class Stop:
    """A receiver that is notified.

    Attributes:
        receiver: Its name.
        group_wait: How long alerts that begin together are collected first.
        repeat_interval: When it is notified again while the alert fires.
        muted_at: Names of the times in which it is not notified.
    """

    receiver: str
    group_wait: str
    repeat_interval: str
    muted_at: tuple[str, ...]


def stops(config: Mapping[str, Any], labels: Mapping[str, str]) -> list[Stop]:
    """Return who is notified of an alert with these labels, in the order of the routes.

    Args:
        config: What `alerting.alertmanager.build` gives.
        labels: Labels of the alert, `alertname` included.
    """
    return [
        Stop(
            route["receiver"],
            route["group_wait"],
            route["repeat_interval"],
            tuple(route.get("mute_time_intervals", ())),
        )
        for route in _matching(config["route"], {}, labels)
    ]


def mutes_of(labels: Mapping[str, str]) -> list[Inhibition]:
    """Return the rules that could mute an alert with these labels, whatever fires beside it."""
    return [
        rule
        for rule in INHIBITIONS
        if all(matches(matcher, labels) for matcher in rule.target) and all(labels.get(label) for label in rule.equal)
    ]


def _matching(route: Mapping[str, Any], above: Mapping[str, Any], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    if not all(matches(matcher, labels) for matcher in route.get("matchers", ())):
        return []
    # What a route does not say it has from the one above; times of silence are not inherited.
    inherited = {key: value for key, value in above.items() if key not in ("mute_time_intervals", "continue")}
    own = inherited | {key: value for key, value in route.items() if key not in ("routes", "matchers")}
    found: list[dict[str, Any]] = []
    for child in route.get("routes", ()):
        of_child = _matching(child, own, labels)
        found += of_child
        if of_child and not child.get("continue"):
            break
    return found or [own]
