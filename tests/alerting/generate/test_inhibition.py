"""No alert is muted unless a louder one is sent: for every pair of alerts, by the rules and by a real Alertmanager."""

from __future__ import annotations

import itertools
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.generate.inhibition import INHIBITIONS, matches
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.thresholds import SEVERITIES
from tests.support.alertmanager_server import AT_ONCE, running
from tests.support.promql import surviving_labels

ALERTS = load_alerts()
# critical is the loudest.
RANK: dict[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}


def labels(alert: BoundAlert, job: str) -> dict[str, str]:
    """Return the labels of one of the alert's instances; alike for all alerts, so that as much as can be is muted."""
    own = dict.fromkeys(surviving_labels(alert.expr), "x") | alert.labels | {"alertname": alert.name}
    return own | ({"job": job} if "job" in own else {})


def mutes(loud: BoundAlert, quiet: BoundAlert) -> bool:
    return loud is not quiet and any(rule.mutes(labels(loud, "j"), labels(quiet, "j")) for rule in INHIBITIONS)


PAIRS = [(loud, quiet) for loud, quiet in itertools.permutations(ALERTS, 2) if mutes(loud, quiet)]


def test_some_alerts_mute_others() -> None:
    assert {loud.name for loud, _ in PAIRS} >= {"MlMonitoringDown", "MlMonitoringSourceDown"}


@pytest.mark.parametrize(("loud", "quiet"), PAIRS, ids=lambda alert: alert.name)
def test_only_a_louder_alert_mutes(loud: BoundAlert, quiet: BoundAlert) -> None:
    assert RANK[loud.severity] <= RANK[quiet.severity]
    assert loud.severity == "critical"


def test_whatever_fires_at_least_one_of_the_loudest_is_sent() -> None:
    """A circle of alerts that mute each other would notify nobody; without one, each chain ends at one that is sent."""
    graph: dict[str, set[str]] = {}
    for loud, quiet in PAIRS:
        graph.setdefault(quiet.name, set()).add(loud.name)
    # Raises where there is a circle.
    assert {*TopologicalSorter(graph).static_order()} >= {alert.name for pair in PAIRS for alert in pair}


def test_the_same_name_in_another_store_is_another_subject() -> None:
    def muted(**store: str) -> bool:
        loud = {"job": "j", "experiment": "churn", "severity": "critical", "store": "prod"}
        return any(
            rule.mutes(loud, {"job": "j", "experiment": "churn", "severity": "warning", **store})
            for rule in INHIBITIONS
        )

    assert muted(store="prod")
    assert not muted(store="lab")
    assert not muted()


def test_the_watchdog_is_never_muted() -> None:
    assert "MlMonitoringWatchdog" not in {quiet.name for _, quiet in PAIRS}


def test_alertmanager_mutes_exactly_those_pairs(programs: dict[str, Path], tmp_path: Path) -> None:
    with_job = [alert for alert in ALERTS if "job" in labels(alert, "j")]
    assert {one.name for pair in PAIRS for one in pair} <= {alert.name for alert in with_job}
    fired, expected = [], set()
    for number, (one, other) in enumerate(itertools.combinations(with_job, 2)):
        job = f"job{number}"
        fired += [labels(one, job), labels(other, job)]
        expected |= {(loud.name, quiet.name, job) for loud, quiet in ((one, other), (other, one)) if mutes(loud, quiet)}
    config = alertmanager.build(timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        server.fire(*fired)
        alerts = server.alerts()
    names = {one["fingerprint"]: one["labels"]["alertname"] for one in alerts}
    muted = {
        (names[by], one["labels"]["alertname"], one["labels"]["job"])
        for one in alerts
        for by in one["status"]["inhibitedBy"]
    }
    assert len(alerts) == len(fired)
    assert muted == expected


def about(name: str, severity: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, "job": "node", "instance": "a", **labels}


# Each pair has all that a rule compares, so that it is muted once the alerts are ours.
_SUBJECTS = {
    "disk": {"mountpoint": "/"},
    "source": {"source": "mlflow"},
    "experiment": {"experiment": "churn"},
    "model": {"model": "m", "model_version": "1"},
}


@pytest.mark.parametrize("label", [{}, {"stack": "ml"}], ids=["by team", "by a label of our own"])
def test_alerts_of_others_are_never_muted_and_mute_none_of_ours(
    label: dict[str, str], programs: dict[str, Path], tmp_path: Path
) -> None:
    thresholds = load_thresholds().changed({"teams": [*load_thresholds().teams, "search"], "alert_labels": label})
    ours = {"team": "search", **label}
    # Of nobody, of another team, and where there is a label of our own also of a team that is called as ours is.
    theirs = [{}, {"team": "billing"}, *([{"team": "platform"}] if label else [])]
    fired, muted = [], []
    for name, subject in _SUBJECTS.items():
        for owner in (*theirs, ours):
            loud, quiet = (about(f"{name}-{of}", of, **subject, **owner) for of in ("critical", "warning"))
            fired += [loud, quiet]
            muted += [quiet] if owner is ours else []
    # Apart from all others: theirs is loud and ours is quiet, and the other way round.
    mixed = [
        about("theirs", "critical", mountpoint="/data", **theirs[-1]),
        about("ours", "warning", mountpoint="/data", **ours),
        about("ours", "critical", mountpoint="/srv", **ours),
        about("theirs", "warning", mountpoint="/srv", **theirs[-1]),
        {"alertname": "MlMonitoringDown", "job": "ml-monitoring", "severity": "critical", **ours},
        {"alertname": "TargetDown", "job": "ml-monitoring", "severity": "warning"},
    ]
    config = alertmanager.build(thresholds=thresholds, timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        server.fire(*fired, *mixed)
        found = [one["labels"] for one in server.alerts() if one["status"]["inhibitedBy"]]
    assert sorted(map(sorted, (one.items() for one in found))) == sorted(map(sorted, (one.items() for one in muted)))


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ('team="mlops"', True),
        ('team="growth"', False),
        ('team!="growth"', True),
        ('team=~"ml.+|growth"', True),
        ('team=~"ml"', False),
        ('team!~"ml"', True),
        ('persona=""', True),
        ('persona!=""', False),
    ],
)
def test_a_matcher_is_read_as_alertmanager_reads_it(matcher: str, expected: bool) -> None:
    assert matches(matcher, {"team": "mlops"}) is expected


def test_what_is_no_matcher_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a matcher"):
        matches("team", {})
