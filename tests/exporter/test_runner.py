from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.landing import landing_page
from ml_monitoring.exporter.runner import MAX_BACKOFF, Runner, backoff
from ml_monitoring.exporter.sources.base import SourceSettings
from tests.support.fake_clock import EPOCH, FakeClock
from tests.support.scripted_source import ScriptedSource, failing, scripted

_SETTINGS = SourceSettings(interval="10s", timeout="5s", staleness="60s")
_SERIES = 'mlflow_experiments{lifecycle_stage="active"}'
_UP = 'ml_monitoring_source_up{source="mlflow"}'


def _one_series(families: FamilySet) -> None:
    families["mlflow_experiments"].add(3, "active")


def _other_series(families: FamilySet) -> None:
    families["mlflow_store_rows"].add(7, "runs")


class Harness:
    """A runner of scripted sources on a clock that only the test puts forward."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._runners: list[Runner] = []

    def source(self, collecting: Callable[[FamilySet], None], name: str = "mlflow") -> type[ScriptedSource]:
        return scripted(name, collecting, self.clock)

    def start(self, *kinds: type[ScriptedSource], settings: SourceSettings = _SETTINGS) -> Runner:
        """Start a runner, and let each source refresh once."""
        runner = Runner({kind.name: settings for kind in kinds}, sources=kinds, clock=self.clock)
        self._runners.append(runner)
        runner.start()
        # One thread for each source, and the watcher.
        self.clock.settle(len(kinds) + 1)
        return runner

    def stop(self) -> None:
        for runner in self._runners:
            runner.stop()


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.stop()


class _Outage:
    """A script that fails while the test says so."""

    def __init__(self, *, down: bool = False) -> None:
        self.down = down

    def __call__(self, families: FamilySet) -> None:
        if self.down:
            raise SourceError(Reason.CONNECT, "down")
        _one_series(families)


def _exposed(runner: Runner) -> dict[str, str]:
    lines = runner.snapshots.bodies.text.plain.decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def _left_out(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.__dict__["fields"]["problem"] for record in caplog.records if record.message == "left out"]


def test_a_source_is_refreshed_at_its_interval(harness: Harness) -> None:
    kind = harness.source(_one_series)
    harness.start(kind)
    harness.clock.advance(30)
    assert kind.created[0].refreshes == [0, 10, 20, 30]


def test_what_a_refresh_takes_does_not_add_to_the_interval(harness: Harness) -> None:
    def collecting(families: FamilySet) -> None:
        harness.clock.wait(harness.clock.event(), 4)
        _one_series(families)

    kind = harness.source(collecting)
    harness.start(kind)
    harness.clock.advance(25)
    assert kind.created[0].refreshes == [0, 10, 20]


def test_what_a_source_gave_is_exposed_with_its_own_metrics(harness: Harness) -> None:
    runner = harness.start(harness.source(_one_series))
    harness.clock.advance(10)
    exposed = _exposed(runner)
    assert exposed[_SERIES] == "3.0"
    assert exposed[_UP] == "1.0"
    assert exposed['ml_monitoring_source_series{source="mlflow"}'] == "1.0"
    assert exposed['ml_monitoring_source_interval_seconds{source="mlflow"}'] == "10.0"
    last_success = exposed['ml_monitoring_source_last_success_timestamp_seconds{source="mlflow"}']
    assert float(last_success) == EPOCH + 10
    assert exposed['ml_monitoring_source_errors_total{reason="timeout",source="mlflow"}'] == "0.0"


def test_one_broken_source_does_not_touch_another(harness: Harness) -> None:
    broken = harness.source(failing(SourceError(Reason.CONNECT, "no route")))
    good = harness.source(_other_series, "other")
    runner = harness.start(broken, good)
    assert runner.ready
    harness.clock.advance(30)
    assert good.created[0].refreshes == [0, 10, 20, 30]
    exposed = _exposed(runner)
    assert exposed[_UP] == "0.0"
    assert exposed['ml_monitoring_source_up{source="other"}'] == "1.0"
    refreshes = len(broken.created[0].refreshes)
    assert exposed['ml_monitoring_source_errors_total{reason="connect",source="mlflow"}'] == f"{refreshes}.0"
    assert exposed['mlflow_store_rows{table="runs"}'] == "7.0"


def test_a_defect_in_a_source_is_counted_and_its_thread_lives_on(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    kind = harness.source(failing(ZeroDivisionError("division by zero")))
    runner = harness.start(kind)
    harness.clock.advance(100)
    refreshes = len(kind.created[0].refreshes)
    assert refreshes >= 3
    errors = _exposed(runner)['ml_monitoring_source_errors_total{reason="internal",source="mlflow"}']
    assert errors == f"{refreshes}.0"
    assert runner.statuses[0].error == "ZeroDivisionError: division by zero (this is a defect)"


def test_an_error_is_logged_once_while_it_stays_the_same(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    kind = harness.source(failing(SourceError(Reason.AUTH, "refused", hint="check the password")))
    with caplog.at_level(logging.INFO):
        harness.start(kind)
        harness.clock.advance(100)
        failures = [record for record in caplog.records if record.message == "source failed"]
    assert len(kind.created[0].refreshes) >= 3
    assert [failure.__dict__["fields"] for failure in failures] == [
        {"source": "mlflow", "reason": Reason.AUTH, "error": "refused (check the password)"}
    ]


def test_a_failing_source_backs_off_and_recovers(harness: Harness) -> None:
    outage = _Outage(down=True)
    kind = harness.source(outage)
    runner = harness.start(kind)
    harness.clock.advance(8 + 16 + 32 + 60)
    gaps = [later - earlier for earlier, later in itertools.pairwise(kind.created[0].refreshes)]
    # Each with up to a fifth of jitter.
    for gap, expected in zip(gaps, (10, 20, 40), strict=False):
        assert 0.8 * expected <= gap <= expected
    assert len(gaps) >= 3
    outage.down = False
    harness.clock.advance(MAX_BACKOFF)
    assert _exposed(runner)[_UP] == "1.0"
    assert runner.statuses[0].error == ""
    recovered = kind.created[0].refreshes[-1]
    harness.clock.advance(10)
    assert kind.created[0].refreshes[-1] == recovered + 10


def test_the_page_has_the_last_problem_of_a_source_that_recovered(harness: Harness) -> None:
    outage = _Outage()
    runner = harness.start(harness.source(outage))
    assert "last failed" not in landing_page(runner.statuses, "/metrics")
    outage.down = True
    harness.clock.advance(10)
    assert "<td>down</td>" in landing_page(runner.statuses, "/metrics")
    outage.down = False
    harness.clock.advance(30)
    failed = f"{datetime.fromtimestamp(EPOCH + 10, UTC):%Y-%m-%d %H:%M:%S} UTC"
    page = landing_page(runner.statuses, "/metrics")
    assert '<td class="up">up</td>' in page
    assert f"<td>last failed {failed}: down</td>" in page


def test_back_off_doubles_with_jitter_up_to_its_limit() -> None:
    for failures, expected in ((1, 15), (2, 30), (3, 60), (4, 60), (1000, 60)):
        delays = {backoff(15, failures) for _try in range(50)}
        assert len(delays) > 1
        assert all(0.8 * expected <= delay <= expected for delay in delays)
    assert backoff(300, 5) >= 0.8 * 300 > MAX_BACKOFF


def test_series_are_withdrawn_after_the_staleness_limit(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    outage = _Outage()
    runner = harness.start(harness.source(outage))
    assert _SERIES in _exposed(runner)
    outage.down = True
    harness.clock.advance(10)
    # It stays for as long as a hiccup may last, and ml_monitoring_source_up tells the truth from the first failure.
    assert _exposed(runner)[_UP] == "0.0"
    harness.clock.advance(60)
    assert _SERIES in _exposed(runner)
    # The watcher looks four times a second.
    harness.clock.advance(0.25)
    assert _SERIES not in _exposed(runner)
    assert _exposed(runner)['ml_monitoring_source_series{source="mlflow"}'] == "0.0"
    outage.down = False
    harness.clock.advance(MAX_BACKOFF)
    assert _SERIES in _exposed(runner)


def test_a_refresh_that_takes_too_long_is_broken_off_and_counted(harness: Harness) -> None:
    release = harness.clock.event()

    def collecting(families: FamilySet) -> None:
        harness.clock.wait(release, 3600)
        _one_series(families)

    kind = harness.source(collecting)
    runner = harness.start(kind)
    harness.clock.advance(5)
    assert _UP not in _exposed(runner)
    assert not runner.ready
    harness.clock.advance(0.25)
    assert _exposed(runner)[_UP] == "0.0"
    assert kind.created[0].aborted.is_set()
    assert _exposed(runner)['ml_monitoring_source_errors_total{reason="timeout",source="mlflow"}'] == "1.0"
    assert runner.ready
    release.set()
    harness.clock.settle()
    # What comes after its time is not published; the next refresh is.
    assert _exposed(runner)[_UP] == "0.0"
    assert _SERIES not in _exposed(runner)
    harness.clock.advance(10)
    assert len(kind.created[0].refreshes) == 2
    assert _exposed(runner)[_UP] == "1.0"


def test_numbers_of_a_process_that_stood_still_are_not_up_until_they_are_read_again(harness: Harness) -> None:
    kind = harness.source(_one_series)
    runner = harness.start(kind)
    harness.clock.stand_still(17)
    assert not runner.stood_still
    harness.clock.stand_still(0.1)
    assert runner.stood_still
    harness.clock.advance(0.25)
    assert len(kind.created[0].refreshes) == 2
    assert not runner.stood_still
    assert _exposed(runner)[_UP] == "1.0"


def test_a_source_whose_refresh_never_began_again_is_down(harness: Harness) -> None:
    runner = harness.start(harness.source(_one_series))
    (source,) = runner._runners.values()
    harness.clock.stand_still(17.1)
    source.watch(harness.clock.monotonic())
    assert _exposed(runner)[_UP] == "0.0"
    assert source.status.error == "no refresh for 17 s: the process stood still"
    assert not runner.stood_still


def test_a_source_can_wake_its_refresh(harness: Harness) -> None:
    kind = harness.source(_one_series)
    harness.start(kind, settings=SourceSettings(interval="3600s"))
    source = kind.created[0]
    harness.clock.advance(60)
    assert source.refreshes == [0]
    assert source.wake is not None
    source.wake()
    harness.clock.settle()
    assert source.refreshes == [0, 60]


def test_a_source_that_wakes_all_the_time_is_refreshed_ten_times_a_second(harness: Harness) -> None:
    def collecting(families: FamilySet) -> None:
        _one_series(families)
        wake = kind.created[0].wake
        assert wake is not None
        wake()

    kind = harness.source(collecting)
    harness.start(kind, settings=SourceSettings(interval="3600s"))
    harness.clock.advance(0.5)
    assert kind.created[0].refreshes == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_left_out_rows_are_counted_and_the_source_stays_up(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    def collecting(families: FamilySet) -> None:
        _one_series(families)
        families.skip(Reason.INVALID_VALUE, "row 7 holds text")

    with caplog.at_level(logging.INFO):
        runner = harness.start(harness.source(collecting))
        harness.clock.advance(20)
        assert _left_out(caplog) == ["row 7 holds text"]
    exposed = _exposed(runner)
    assert exposed[_UP] == "1.0"
    assert exposed['ml_monitoring_source_errors_total{reason="invalid_value",source="mlflow"}'] == "3.0"


def test_series_over_the_cap_are_counted_and_logged_once(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    def collecting(families: FamilySet) -> None:
        for number in range(5):
            families["mlflow_store_rows"].add(1, f"table-{number}")

    with caplog.at_level(logging.INFO):
        runner = harness.start(harness.source(collecting), settings=SourceSettings(interval="10s", max_series=2))
        harness.clock.advance(20)
        assert _left_out(caplog) == ["mlflow_store_rows is over max_series (2) or a narrower cap"]
    exposed = _exposed(runner)
    assert exposed['ml_monitoring_series_dropped_total{family="mlflow_store_rows",source="mlflow"}'] == "9.0"
    assert exposed[_UP] == "1.0"


def test_only_sources_whose_settings_changed_are_replaced(harness: Harness) -> None:
    changing = harness.source(_one_series)
    staying = harness.source(_other_series, "other")
    runner = harness.start(changing, staying)
    runner.reconfigure({"mlflow": SourceSettings(interval="7s"), "other": _SETTINGS})
    assert len(changing.created) == 2
    assert changing.created[0].closed
    assert len(staying.created) == 1
    harness.clock.settle(threads=3)
    assert _SERIES in _exposed(runner)
    runner.reconfigure({"other": _SETTINGS})
    exposed = _exposed(runner)
    assert _SERIES not in exposed
    assert _UP not in exposed
    assert exposed['mlflow_store_rows{table="runs"}'] == "7.0"


def test_stopping_closes_the_sources(harness: Harness) -> None:
    kind = harness.source(_one_series)
    runner = harness.start(kind)
    runner.stop()
    assert kind.created[0].closed
    assert not [thread for thread in threading.enumerate() if thread.name == "source-mlflow"]


def test_a_refresh_may_take_what_its_source_allows_and_an_error_names_the_setting(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    def collecting(families: FamilySet) -> None:
        harness.clock.wait(kind.created[0].aborted, 60)
        _one_series(families)

    kind = harness.source(collecting)
    kind.limit = ("first_timeout", 300)
    runner = harness.start(kind)
    harness.clock.advance(60)
    assert _exposed(runner)[_UP] == "1.0"
    kind.limit = ("first_timeout", 30)
    harness.clock.advance(31)
    assert _exposed(runner)[_UP] == "0.0"
    assert runner.statuses[0].error == (
        "refresh took longer than 30 s (if it needs more, raise sources.mlflow.first_timeout)"
    )


def test_waiting_until_every_source_was_tried_ends_with_the_last_one(harness: Harness) -> None:
    runner = harness.start(harness.source(_one_series), harness.source(_other_series, "other"))
    assert runner.wait_until_ready(0)


def test_waiting_for_a_source_that_never_ends_has_an_end(harness: Harness) -> None:
    def collecting(_families: FamilySet) -> None:
        harness.clock.wait(kind.created[0].aborted, 3600)

    kind = harness.source(collecting)
    runner = harness.start(kind, settings=SourceSettings(timeout="600s"))
    assert not runner.wait_until_ready(0)
