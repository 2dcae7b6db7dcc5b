from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.runner import MAX_BACKOFF, Runner, backoff
from ml_monitoring.exporter.sources.base import SourceSettings
from tests.support.scripted_source import ScriptedSource, failing, scripted
from tools.processes import wait_until

_FAST = SourceSettings(interval="20ms", timeout="5s", staleness="60s")


def _one_series(families: FamilySet) -> None:
    families["mlflow_experiments"].add(3, "active")


def _other_series(families: FamilySet) -> None:
    families["mlflow_store_rows"].add(7, "runs")


class Harness:
    """A runner of scripted sources, and what it exposes."""

    def __init__(self) -> None:
        self._runners: list[Runner] = []

    def start(self, *kinds: type[ScriptedSource], settings: SourceSettings = _FAST) -> Runner:
        runner = Runner({kind.name: settings for kind in kinds}, sources=kinds)
        self._runners.append(runner)
        runner.start()
        return runner

    def stop(self) -> None:
        for runner in self._runners:
            runner.stop()


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.stop()


def _wait(condition: Callable[[], bool], what: str, timeout: float = 10) -> None:
    assert wait_until(condition, timeout=timeout, poll=0.005), f"waited in vain: {what}"


def _shown(runner: Runner) -> dict[str, str]:
    lines = runner.board.bodies.text.plain.decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_a_source_is_refreshed_at_its_interval(harness: Harness) -> None:
    kind = scripted("mlflow", _one_series)
    harness.start(kind, settings=SourceSettings(interval="100ms"))
    _wait(lambda: len(kind.created[0].refreshes) >= 6, "six refreshes")
    refreshes = kind.created[0].refreshes[:6]
    gaps = [later - earlier for earlier, later in itertools.pairwise(refreshes)]
    assert all(gap > 0.09 for gap in gaps), gaps


def test_what_a_source_gave_is_exposed_with_its_own_metrics(harness: Harness) -> None:
    runner = harness.start(scripted("mlflow", _one_series))
    _wait(lambda: 'mlflow_experiments{lifecycle_stage="active"}' in _shown(runner), "the source's series")
    shown = _shown(runner)
    assert shown['mlflow_experiments{lifecycle_stage="active"}'] == "3.0"
    assert shown['ml_monitoring_source_up{source="mlflow"}'] == "1.0"
    assert shown['ml_monitoring_source_series{source="mlflow"}'] == "1.0"
    assert shown['ml_monitoring_source_interval_seconds{source="mlflow"}'] == "0.02"
    assert abs(float(shown['ml_monitoring_source_last_success_timestamp_seconds{source="mlflow"}']) - time.time()) < 60
    assert shown['ml_monitoring_source_errors_total{reason="timeout",source="mlflow"}'] == "0.0"


def test_one_broken_source_does_not_touch_another(harness: Harness) -> None:
    broken = scripted("mlflow", failing(SourceError(Reason.CONNECT, "no route")))
    good = scripted("other", _other_series)
    runner = harness.start(broken, good)
    _wait(lambda: runner.ready, "both tried")
    _wait(lambda: len(good.created[0].refreshes) > 3, "the good one going on")
    shown = _shown(runner)
    assert shown['ml_monitoring_source_up{source="mlflow"}'] == "0.0"
    assert shown['ml_monitoring_source_up{source="other"}'] == "1.0"
    assert float(shown['ml_monitoring_source_errors_total{reason="connect",source="mlflow"}']) >= 1
    assert shown['mlflow_store_rows{table="runs"}'] == "7.0"


def test_a_defect_in_a_source_is_counted_and_its_thread_lives_on(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    kind = scripted("mlflow", failing(ZeroDivisionError("division by zero")))
    runner = harness.start(kind)
    _wait(lambda: len(kind.created[0].refreshes) >= 3, "further refreshes")
    assert float(_shown(runner)['ml_monitoring_source_errors_total{reason="internal",source="mlflow"}']) >= 1
    assert "ZeroDivisionError: division by zero (this is a defect)" in runner.statuses[0].error


def test_an_error_is_logged_once_while_it_stays_the_same(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    kind = scripted("mlflow", failing(SourceError(Reason.AUTH, "refused", hint="check the password")))
    with caplog.at_level(logging.INFO):
        harness.start(kind)
        _wait(lambda: len(kind.created[0].refreshes) >= 4, "four refreshes")
        failures = [record for record in caplog.records if record.message == "source failed"]
    assert len(failures) == 1
    assert failures[0].__dict__["fields"] == {
        "source": "mlflow",
        "reason": Reason.AUTH,
        "error": "refused (check the password)",
    }


def test_a_failing_source_backs_off_and_recovers(harness: Harness) -> None:
    broken = threading.Event()
    broken.set()

    def collecting(families: FamilySet) -> None:
        if broken.is_set():
            raise SourceError(Reason.CONNECT, "down")
        _one_series(families)

    kind = scripted("mlflow", collecting)
    runner = harness.start(kind)
    _wait(lambda: len(kind.created[0].refreshes) >= 5, "five failures")
    gaps = [later - earlier for earlier, later in itertools.pairwise(kind.created[0].refreshes[:5])]
    assert gaps[3] > gaps[0]
    broken.clear()
    _wait(lambda: _shown(runner)['ml_monitoring_source_up{source="mlflow"}'] == "1.0", "recovery")
    assert runner.statuses[0].error == ""


def test_back_off_doubles_with_jitter_up_to_its_limit() -> None:
    for failures, expected in ((1, 15), (2, 30), (3, 60), (4, 60), (1000, 60)):
        delays = {backoff(15, failures) for _try in range(50)}
        assert len(delays) > 1
        assert all(0.8 * expected <= delay <= expected for delay in delays)
    assert backoff(300, 5) >= 0.8 * 300 > MAX_BACKOFF


def test_series_are_withdrawn_after_the_staleness_limit(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    broken = threading.Event()

    def collecting(families: FamilySet) -> None:
        if broken.is_set():
            raise SourceError(Reason.CONNECT, "down")
        _one_series(families)

    runner = harness.start(
        scripted("mlflow", collecting), settings=SourceSettings(interval="20ms", timeout="5s", staleness="1s")
    )
    series = 'mlflow_experiments{lifecycle_stage="active"}'
    _wait(lambda: series in _shown(runner), "the series")
    broken.set()
    _wait(lambda: _shown(runner)['ml_monitoring_source_up{source="mlflow"}'] == "0.0", "the failure")
    # It stays for as long as a hiccup may last, and ml_monitoring_source_up tells the truth from the first failure.
    assert series in _shown(runner)
    _wait(lambda: series not in _shown(runner), "withdrawal")
    assert _shown(runner)['ml_monitoring_source_series{source="mlflow"}'] == "0.0"
    broken.clear()
    _wait(lambda: series in _shown(runner), "the return", timeout=70)


def test_a_refresh_that_takes_too_long_is_broken_off_and_counted(harness: Harness) -> None:
    release = threading.Event()

    def collecting(families: FamilySet) -> None:
        release.wait(30)
        _one_series(families)

    kind = scripted("mlflow", collecting)
    runner = harness.start(kind, settings=SourceSettings(interval="20ms", timeout="200ms"))
    _wait(lambda: _shown(runner).get('ml_monitoring_source_up{source="mlflow"}') == "0.0", "the timeout")
    assert kind.created[0].aborted.is_set()
    assert _shown(runner)['ml_monitoring_source_errors_total{reason="timeout",source="mlflow"}'] == "1.0"
    assert runner.ready
    release.set()
    # What comes after its time is not published; the next refresh is.
    _wait(lambda: len(kind.created[0].refreshes) >= 2, "the next refresh")
    _wait(lambda: _shown(runner)['ml_monitoring_source_up{source="mlflow"}'] == "1.0", "recovery")


def test_a_source_can_wake_its_refresh(harness: Harness) -> None:
    kind = scripted("mlflow", _one_series)
    harness.start(kind, settings=SourceSettings(interval="1h"))
    source = kind.created[0]
    _wait(lambda: len(source.refreshes) == 1, "the first refresh")
    assert source.wake is not None
    source.wake()
    _wait(lambda: len(source.refreshes) == 2, "the woken refresh")


def test_left_out_rows_are_counted_and_the_source_stays_up(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    def collecting(families: FamilySet) -> None:
        _one_series(families)
        families.skip(Reason.INVALID_VALUE, "row 7 holds text")

    kind = scripted("mlflow", collecting)
    with caplog.at_level(logging.INFO):
        runner = harness.start(kind)
        _wait(lambda: len(kind.created[0].refreshes) >= 3, "three refreshes")
        left_out = [record.__dict__["fields"]["problem"] for record in caplog.records if record.message == "left out"]
    assert left_out == ["row 7 holds text"]
    shown = _shown(runner)
    assert shown['ml_monitoring_source_up{source="mlflow"}'] == "1.0"
    assert float(shown['ml_monitoring_source_errors_total{reason="invalid_value",source="mlflow"}']) >= 1


def test_series_over_the_cap_are_counted_and_logged_once(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    def collecting(families: FamilySet) -> None:
        for number in range(5):
            families["mlflow_store_rows"].add(1, f"table-{number}")

    kind = scripted("mlflow", collecting)
    with caplog.at_level(logging.INFO):
        runner = harness.start(kind, settings=SourceSettings(interval="20ms", max_series=2))
        _wait(lambda: len(kind.created[0].refreshes) >= 3, "three refreshes")
        left_out = [record.__dict__["fields"]["problem"] for record in caplog.records if record.message == "left out"]
    assert left_out == ["mlflow_store_rows is over max_series (2) or a narrower cap"]
    dropped = _shown(runner)['ml_monitoring_series_dropped_total{family="mlflow_store_rows",source="mlflow"}']
    assert float(dropped) >= 3
    assert _shown(runner)['ml_monitoring_source_up{source="mlflow"}'] == "1.0"


def test_only_sources_whose_settings_changed_are_replaced(harness: Harness) -> None:
    changing = scripted("mlflow", _one_series)
    staying = scripted("other", _other_series)
    runner = harness.start(changing, staying)
    _wait(lambda: runner.ready, "both tried")
    runner.reconfigure({"mlflow": SourceSettings(interval="30ms"), "other": _FAST})
    assert len(changing.created) == 2
    assert changing.created[0].closed
    assert len(staying.created) == 1
    _wait(lambda: 'mlflow_experiments{lifecycle_stage="active"}' in _shown(runner), "the replaced source")
    runner.reconfigure({"other": _FAST})
    shown = _shown(runner)
    assert 'mlflow_experiments{lifecycle_stage="active"}' not in shown
    assert 'ml_monitoring_source_up{source="mlflow"}' not in shown
    assert shown['mlflow_store_rows{table="runs"}'] == "7.0"


def test_stopping_closes_the_sources(harness: Harness) -> None:
    kind = scripted("mlflow", _one_series)
    runner = harness.start(kind)
    _wait(lambda: runner.ready, "the first refresh")
    runner.stop()
    assert kind.created[0].closed
    assert not [thread for thread in threading.enumerate() if thread.name == "source-mlflow"]


def test_a_refresh_may_take_what_its_source_allows_and_an_error_names_the_setting(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def collecting(families: FamilySet) -> None:
        time.sleep(0.8)
        _one_series(families)

    kind = scripted("mlflow", collecting)
    kind.limit = ("first_timeout", 5)
    runner = harness.start(kind, settings=SourceSettings(interval="20ms", timeout="200ms"))
    _wait(lambda: _shown(runner).get('ml_monitoring_source_up{source="mlflow"}') == "1.0", "a long refresh")
    kind.limit = ("first_timeout", 0.3)
    _wait(lambda: _shown(runner).get('ml_monitoring_source_up{source="mlflow"}') == "0.0", "the limit")
    kind.limit = None
    assert runner.statuses[0].error == (
        "refresh took longer than 0.3 s (if it needs more, raise sources.mlflow.first_timeout)"
    )
