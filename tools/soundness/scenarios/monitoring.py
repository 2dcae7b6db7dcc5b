"""Prometheus, Alertmanager and the alert log: restarts, reloads, and few or many notifications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import numpy as np

from tools.soundness.scenario import Scenario, Simulate
from tools.soundness.world import Series, World

_PROMETHEUS: Final = {"job": "prometheus", "instance": "m:9090"}
_ALERTMANAGER: Final = {"job": "alertmanager", "instance": "m:9093"}
_LOG: Final = {"job": "alertlog", "instance": "m:9848"}
_ONE: Final = {"usual": 1.0}


def flags(name: str, labels: Mapping[str, str], a_month: float, shortest: float, longest: float) -> Simulate:
    """Return the simulation of a flag that is 0 so many times a month for some minutes, and from a fault's onset on."""
    return partial(_flag, name, labels, (a_month, shortest, longest))


def _flag(
    name: str,
    labels: Mapping[str, str],
    spells: tuple[float, float, float],
    world: World,
    _traffic: float,
    size: float | None,
) -> Iterator[Series]:
    yield world.flag(name, labels, world.spells(*spells), size)


def _targets(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield targets, each restarted a few times a month; the fault is of the first one."""
    for number in range(round(traffic)):
        down = world.spells(6, 0.5, 4) | (world.random.random(world.scrapes) < 0.001)
        labels = {"job": "node", "instance": f"n{number}:9100"}
        yield world.flag("up", labels, down, None if number else size)


def _rules(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    """Yield failures: single ones, and while old and new targets are there at once, for up to four minutes."""
    failing = world.spells(6, 0.5, 4) * 2.0 + world.bursts(4, 1) + np.where(world.faulty, size or 0, 0)
    labels = {**_PROMETHEUS, "rule_group": "rules.yml;mlflow.rules"}
    yield world.counter("prometheus_rule_evaluation_failures_total", labels, failing)


def _delivered(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield alerts that are sent each minute, and not taken while Alertmanager is restarted."""
    sent = np.full(world.scrapes, float(round(traffic)))
    failed = world.share(sent, np.where(world.spells(6, 0.5, 3), 1.0, world.choose(0.0002, size or 0.0002)))
    labels = {**_PROMETHEUS, "alertmanager": "http://m:9093"}
    yield world.counter("prometheus_notifications_errors_total", labels, failed)
    yield world.counter("prometheus_notifications_sent_total", labels, sent)


def _storage(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    """Yield failures of compactions, one in two months, and in a fault at so many a day."""
    yield world.counter("prometheus_tsdb_wal_writes_failed_total", _PROMETHEUS, np.zeros(world.scrapes))
    yield world.counter("prometheus_tsdb_wal_truncations_failed_total", _PROMETHEUS, np.zeros(world.scrapes))
    failed = world.bursts(0.5, 1) + np.where(world.faulty, world.events((size or 0) / 86400, dispersion=0), 0)
    yield world.counter("prometheus_tsdb_compactions_failed_total", _PROMETHEUS, failed)


def _notifications(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield notifications, of which one in 500 fails, and all while the receiver is away for a few minutes.

    What failed is sent again with its group, every five minutes: there is something to send in a fault.
    """
    again = np.where(world.faulty & (np.arange(world.scrapes) % 5 == 0), 1.0, 0.0)
    sent = world.events(traffic / 60 * world.daily, dispersion=1) + again
    failed = world.share(sent, np.where(world.spells(6, 0.5, 4), 1.0, world.choose(0.002, size or 0.002)))
    labels = {**_ALERTMANAGER, "integration": "email"}
    yield world.counter("alertmanager_notifications_failed_total", {**labels, "reason": "other"}, failed)
    yield world.counter("alertmanager_notifications_total", labels, sent)


def _damaged(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    yield world.gauge("alert_log_damaged_files", _LOG, world.choose(0, size or 0))


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="PrometheusTargetDown",
        healthy="each target is restarted six times a month, within four minutes, and one scrape in a thousand fails",
        simulate=_targets,
        traffic={"low": 1, "usual": 4, "high": 10},
        unit="targets",
        faults={"one is down": 1},
    ),
    Scenario(
        alert="PrometheusConfigUnusable",
        healthy="twice a month a mistake in the configuration is repaired within four minutes",
        simulate=flags("prometheus_config_last_reload_successful", _PROMETHEUS, 2, 0.5, 4),
        traffic=_ONE,
        unit="Prometheus: reloads do not depend on traffic",
        faults={"it stays unusable": 1},
    ),
    Scenario(
        alert="PrometheusRulesFailing",
        healthy="six times a month a rule fails for up to four minutes, while old and new targets overlap",
        simulate=_rules,
        traffic=_ONE,
        unit="Prometheus: rules are evaluated whatever the traffic is",
        faults={"one a minute": 1, "twenty a minute": 20},
    ),
    Scenario(
        alert="PrometheusNoAlertmanager",
        healthy="six times a month discovery finds none for up to four minutes, while it is replaced",
        simulate=flags("prometheus_notifications_alertmanagers_discovered", _PROMETHEUS, 6, 0.5, 4),
        traffic=_ONE,
        unit="Prometheus: discovery does not depend on traffic",
        faults={"there is none": 1},
    ),
    Scenario(
        alert="PrometheusAlertsNotDelivered",
        healthy="six times a month Alertmanager is restarted, within three minutes, and one alert in 5,000 fails",
        simulate=_delivered,
        traffic={"low": 1, "usual": 10, "high": 300},
        unit="alerts sent a minute",
        faults={"10 % fail": 0.1, "all fail": 1},
        cannot={("low", "10 % fail"): "often none of the few within five minutes is among them"},
    ),
    Scenario(
        alert="PrometheusStorageFailing",
        healthy="one compaction in two months fails, and the next one does not",
        simulate=_storage,
        traffic=_ONE,
        unit="Prometheus: compactions come every two hours",
        faults={"each compaction fails": 12, "ten an hour fail": 240},
    ),
    Scenario(
        alert="AlertmanagerConfigUnusable",
        healthy="twice a month a mistake in the configuration is repaired within four minutes",
        simulate=flags("alertmanager_config_last_reload_successful", _ALERTMANAGER, 2, 0.5, 4),
        traffic=_ONE,
        unit="Alertmanager: reloads do not depend on traffic",
        faults={"it stays unusable": 1},
    ),
    Scenario(
        alert="AlertmanagerNotificationsFailing",
        healthy="six times a month the receiver is away for up to four minutes, and one notification in 500 fails",
        simulate=_notifications,
        traffic={"low": 0.005, "usual": 0.2, "high": 10},
        unit="notifications a minute",
        faults={"30 % fail": 0.3, "all fail": 1},
        cannot={("low", "30 % fail"): "often none of the few within ten minutes is among them"},
    ),
    Scenario(
        alert="AlertLogNotWritable",
        healthy="twice a month its disk is full or read-only for up to four minutes",
        simulate=flags("alert_log_writable", _LOG, 2, 0.5, 4),
        traffic=_ONE,
        unit="alert log: whether it can write does not depend on traffic",
        faults={"it cannot write": 1},
    ),
    Scenario(
        alert="AlertLogDamaged",
        healthy="nothing is damaged: each one is worth looking at",
        simulate=_damaged,
        traffic=_ONE,
        unit="alert log: damage does not depend on traffic",
        faults={"one damaged database": 1, "two": 2},
    ),
)
