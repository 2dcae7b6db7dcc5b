"""The incident of the demo file, replayed by the real source, fires the right alerts in the right phase.

The source reads the demo file by a clock of the test's own, as the runner would; what each scrape would show becomes
the input of promtool, which evaluates the rules as the demo runs them: its five minutes are shorter than the waits of
`thresholds.yml`.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.fleet_incident import PHASES
from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate.rules import build_alerts
from ml_monitoring.exporter.durations import parse
from tests.support.fleet_files import Clock, replay, samples, write_demo
from tools.demo.cli import ALERT_WAIT, SCRAPE_INTERVAL
from tools.stack import hurried

# The demo's Prometheus evaluates as often as it scrapes.
SCRAPE = EVALUATION = round(parse(SCRAPE_INTERVAL))
REFRESH = 5
DURATION = 300
# Two rounds: what the end of the first leaves behind must not fire in the stable phase of the second.
END = 2 * DURATION
BEGINS = {phase.name: phase.begin * DURATION // 1000 for phase in PHASES}


class Firing(NamedTuple):
    """When an alert fires in each round, in seconds of the story.

    Attributes:
        phase: The phase whose beginning it has to tell.
        delay: Seconds from that beginning until somebody is notified: the rest of a scrape interval, and `for`.
        until: The last evaluation at which it fires.
    """

    phase: str
    delay: int
    until: int


# The story begins so many seconds before the first scrape.
EXPECTED = {
    0: {
        "FleetIncidentProbabilityHigh": Firing("escalation", 45, 270),
        "FleetManyServersDegraded": Firing("escalation", 15, 265),
        "FleetServerCritical": Firing("peak", 15, 205),
    },
    3: {
        "FleetIncidentProbabilityHigh": Firing("escalation", 48, 273),
        "FleetManyServersDegraded": Firing("escalation", 18, 268),
        "FleetServerCritical": Firing("peak", 18, 208),
    },
}


def scrapes(folder: Path, head_start: int) -> dict[str, list[float | None]]:
    """Return the value of each fleet series at each scrape of the story, None where it is absent."""
    clock = Clock(0.0)
    source = replay(write_demo(folder, fleet_size=24), clock)
    seen: list[dict[str, float]] = []
    try:
        source.collect()
        for second in range(0, END + 1, REFRESH):
            clock.now = float(second + head_start)
            shown = samples(source.collect())
            if second % SCRAPE == 0:
                seen.append(shown)
    finally:
        source.close()
    names = sorted(set().union(*seen))
    return {name: [shown.get(name) for shown in seen] for name in names}


def with_target(series: str) -> str:
    target = 'job="ml-monitoring",instance="127.0.0.1:9847"'
    name, brace, labels = series.partition("{")
    return f"{name}{{{target},{labels}" if brace else f"{name}{{{target}}}"


def values(row: list[float | None]) -> str:
    """Return values as promtool reads them; a series that ends is marked stale once."""
    texts = []
    for index, value in enumerate(row):
        missing = "stale" if index and row[index - 1] is not None else "_"
        texts.append(missing if value is None else repr(value))
    return " ".join(texts)


def firing(head_start: int, second: int) -> list[dict[str, object]]:
    """Return what the alerts should be at this second after the first scrape."""
    notified = (second + head_start) % DURATION
    return [
        {"labels": f'{{alertname="{name}"}}', "value": 1}
        for name, alert in EXPECTED[head_start].items()
        if BEGINS[alert.phase] + alert.delay <= notified <= alert.until
    ]


@pytest.mark.parametrize("head_start", EXPECTED)
def test_the_right_alerts_fire_in_the_right_phase_and_none_in_the_stable_one(
    head_start: int, programs: dict[str, Path], tmp_path: Path
) -> None:
    story = scrapes(tmp_path, head_start)
    alerts = build_alerts(hurried(load_thresholds(), wait=ALERT_WAIT))
    alerts["groups"] = [group for group in alerts["groups"] if group["name"].startswith("fleet.")]
    (tmp_path / "alerts.yml").write_text(json.dumps(alerts), encoding="utf-8")
    test = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": f"{EVALUATION}s",
        "tests": [
            {
                "interval": f"{SCRAPE}s",
                "input_series": [{"series": with_target(name), "values": values(row)} for name, row in story.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing",alertname=~"Fleet.*"}) > bool 0',
                        "eval_time": f"{second}s",
                        "exp_samples": firing(head_start, second),
                    }
                    for second in range(0, END + 1, EVALUATION)
                ],
            }
        ],
    }
    path = tmp_path / "incident.test.yml"
    path.write_text(json.dumps(test), encoding="utf-8")
    done = subprocess.run([programs["promtool"], "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("head_start", EXPECTED)
def test_each_phase_but_the_stable_one_alerts_within_45_seconds(head_start: int) -> None:
    expected = EXPECTED[head_start]
    assert {alert.phase for alert in expected.values()} == {"escalation", "peak"}
    for phase in {alert.phase for alert in expected.values()}:
        assert min(alert.delay for alert in expected.values() if alert.phase == phase) <= 45
    # Whatever fires in a round has ended before the next one begins.
    assert all(BEGINS["stable"] < alert.until < DURATION for alert in expected.values())
