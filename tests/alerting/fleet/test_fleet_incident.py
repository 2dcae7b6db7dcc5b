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
from ml_monitoring.alerting.generate.files import files
from tests.support.fleet_files import Clock, replay, samples, write_demo
from tools.demo.cli import ALERT_WAIT
from tools.stack import hurried

# What the generated Prometheus configuration says, and the demo's settings.
SCRAPE = EVALUATION = 15
REFRESH = 5
DURATION = 300
# Two rounds: what the end of the first leaves behind must not fire in the stable phase of the second.
END = 2 * DURATION
BEGINS = {phase.name: phase.begin * DURATION // 1000 for phase in PHASES}


class Firing(NamedTuple):
    """When an alert fires in each round, in seconds of the story.

    Attributes:
        phase: The phase whose beginning it has to tell.
        delays: Seconds from that beginning until somebody is notified, in each round: the rest of a scrape interval,
            and `for`.
        until: In each round, the last evaluation at which it fires.
    """

    phase: str
    delays: tuple[int, int]
    until: tuple[int, int]


# The story begins so many seconds before the first scrape.
EXPECTED = {
    0: {
        "FleetIncidentProbabilityHigh": Firing("escalation", (30, 45), (270, 270)),
        "FleetManyServersDegraded": Firing("escalation", (15, 15), (255, 255)),
        "FleetServerCritical": Firing("peak", (15, 15), (195, 195)),
    },
    5: {
        "FleetIncidentProbabilityHigh": Firing("escalation", (35, 35), (275, 260)),
        "FleetManyServersDegraded": Firing("escalation", (20, 20), (260, 260)),
        "FleetServerCritical": Firing("peak", (20, 20), (200, 200)),
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
    turn, notified = divmod(second + head_start, DURATION)
    return [
        {"labels": f'{{alertname="{name}"}}', "value": 1}
        for name, alert in EXPECTED[head_start].items()
        if turn < 2 and BEGINS[alert.phase] + alert.delays[turn] <= notified <= alert.until[turn]
    ]


@pytest.mark.parametrize("head_start", EXPECTED)
def test_the_right_alerts_fire_in_the_right_phase_and_none_in_the_stable_one(
    head_start: int, programs: dict[str, Path], tmp_path: Path
) -> None:
    story = scrapes(tmp_path, head_start)
    rules = files(hurried(load_thresholds(), wait=ALERT_WAIT))
    for name in ("rules.yml", "alerts.yml"):
        (tmp_path / name).write_text(rules[name], encoding="utf-8")
    test = {
        "rule_files": ["rules.yml", "alerts.yml"],
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
    assert max(max(alert.delays) for alert in expected.values()) <= 45
    # Whatever fires in a round has ended before the next one begins.
    assert all(BEGINS["stable"] < min(alert.until) <= max(alert.until) < DURATION for alert in expected.values())
