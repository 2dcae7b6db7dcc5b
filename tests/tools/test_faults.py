from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_alerts
from tools.faults.catalogue import FAULTS, Fault
from tools.faults.cli import Row, main, run, table
from tools.faults.world import World, hastened_wait
from tools.stack import ROOT


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world")) as world:
        yield world


def fault(name: str) -> Fault:
    (found,) = [each for each in FAULTS if each.name == name]
    return found


def test_who_must_be_notified_is_notified_and_nobody_else(world: World) -> None:
    # The quickest; `make faults` runs all of them.
    killed = fault("exporter-killed")
    (row,), problems = run(world, killed)
    assert problems == []
    assert (row.fault, row.alert, row.who) == (killed.title, "MlMonitoringDown", "platform-critical, mail to platform")
    assert 0 < row.seconds < 60 < row.usual


def test_an_alert_that_is_sent_besides_is_reported(world: World) -> None:
    unexpected = dataclasses.replace(fault("exporter-killed"), alerts=())
    assert run(world, unexpected, settle=12) == (
        [],
        [
            "exporter-killed: notified besides: [('platform-critical', 'MlMonitoringDown')]",
            "exporter-killed: notified besides: [('mail to platform', 'MlMonitoringDown')]",
        ],
    )


def test_faults_name_alerts_that_there_are() -> None:
    assert {name for each in FAULTS for name in each.alerts} <= {alert.name for alert in load_alerts()}
    assert len({each.name for each in FAULTS}) == len(FAULTS) == 8


def test_the_documented_table_is_one_of_these_faults() -> None:
    rows = [line.split(" | ") for line in (ROOT / "docs/alert-testing.md").read_text().splitlines()]
    notified = {(row[0].lstrip("| "), row[1]) for row in rows if len(row) == 5}
    assert notified >= {(each.title, name) for each in FAULTS for name in each.alerts}


def test_waits_are_a_twentieth_and_at_most_fifteen_seconds() -> None:
    assert [hastened_wait(seconds) for seconds in (0, 15, 60, 120, 300, 1800)] == [0, 1, 3, 6, 15, 15]


def test_the_table_gives_seconds_and_minutes() -> None:
    rows = [Row("it breaks", "MlMonitoringDown", "platform-critical, mail to platform", 7.6, 131.0)]
    assert table(rows).splitlines()[2:] == [
        "| it breaks | MlMonitoringDown | platform-critical, mail to platform | 8 s | 2.2 min |"
    ]


def test_a_fault_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["flood"])
    assert "there is no fault flood; there are exporter-killed," in capsys.readouterr().err
