"""Users are counted by cell: enough to know how much they vary, nothing to know one of them by."""

from __future__ import annotations

from collections import Counter

from flask import Flask
from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import Recorder, instrument
from ml_monitoring.instrument.catalog import CELLS
from ml_monitoring.instrument.cells import cell_of
from tests.support.wsgi_servers import scrape, wsgi_server


def _recorder(**options: int) -> Recorder:
    return Recorder(registry=CollectorRegistry(), **options)  # type: ignore[arg-type]  # one option, of numbers


def _value(recorder: Recorder, name: str, **labels: str) -> float | None:
    return recorder._metrics.registry.get_sample_value(name, labels)


def _series(recorder: Recorder, family: str) -> int:
    return sum(sample.name == family for metric in recorder._metrics.registry.collect() for sample in metric.samples)


def test_a_unit_has_the_same_cell_in_each_process_and_release() -> None:
    assert [cell_of(unit) for unit in ("anna", "ben", 7, "7", "ü")] == ["14", "31", "14", "14", "10"]


def test_units_are_spread_evenly_over_the_cells() -> None:
    counts = Counter(cell_of(number) for number in range(32_000))
    assert set(counts) == set(CELLS)
    assert 850 < min(counts.values()) <= max(counts.values()) < 1150


def test_requests_with_a_unit_are_counted_by_its_cell_and_its_id_is_nowhere() -> None:
    app = Flask(__name__)
    recorder = _recorder()
    instrument(app, recorder)

    @app.get("/buy/<status>")
    def buy(status: str) -> tuple[str, int]:
        recorder.set_variant("B", unit="anna@example.org")
        return "", int(status)

    with wsgi_server(app) as client:
        for status in (200, 200, 503):
            client.get(f"/buy/{status}")
        page = client.get("/metrics").text
        samples = scrape(client)
    labels = {"cell": cell_of("anna@example.org"), "experiment": "", "metric": "request", "variant": "B"}
    assert samples["ab_test_cell_trials_total", tuple(sorted(labels.items()))] == 3
    labels["metric"] = "error"
    assert samples["ab_test_cell_value_total", tuple(sorted(labels.items()))] == 1
    labels["metric"] = "seconds"
    assert samples["ab_test_cell_value_total", tuple(sorted(labels.items()))] > 0
    assert samples["ab_test_cell_value_squared_total", tuple(sorted(labels.items()))] > 0
    assert "anna" not in page


def test_a_request_without_a_unit_makes_no_cells() -> None:
    recorder = _recorder()
    with recorder.track_request("A"):
        pass
    assert _series(recorder, "ab_test_cell_trials_total") == 0


def test_work_without_a_middleware_is_counted_by_cell() -> None:
    recorder = _recorder()
    with recorder.track_request("A", unit=42):
        pass
    recorder.model("m", variant="A").record_outcome(True, unit=42)
    for metric, value in (("request", "error"), ("accuracy", "accuracy")):
        labels = {"experiment": "", "variant": "A", "cell": cell_of(42)}
        assert _value(recorder, "ab_test_cell_trials_total", metric=metric, **labels) == 1
        assert _value(recorder, "ab_test_cell_value_total", metric=value, **labels) == (value == "accuracy")


def test_an_experiment_counts_successes_values_and_their_squares() -> None:
    recorder = _recorder()
    experiment = recorder.experiment("checkout")
    experiment.record_success("sale", "B", "anna", True)
    experiment.record_success("sale", "B", "anna", False)
    experiment.record_value("basket", "B", "anna", 3)
    experiment.record_value("basket", "B", "anna", 4.5)
    found = {
        (metric, name): _value(
            recorder,
            f"ab_test_cell_{name}_total",
            experiment="checkout",
            variant="B",
            metric=metric,
            cell=cell_of("anna"),
        )
        for metric in ("sale", "basket")
        for name in ("trials", "value", "value_squared")
    }
    assert found == {
        ("sale", "trials"): 2,
        ("sale", "value"): 1,
        ("sale", "value_squared"): 1,
        ("basket", "trials"): 2,
        ("basket", "value"): 7.5,
        ("basket", "value_squared"): 29.25,
    }


def test_a_unit_is_exposed_once_however_often_it_comes() -> None:
    recorder = _recorder()
    experiment = recorder.experiment("checkout")
    for _ in range(3):
        experiment.record_exposure("B", "anna")
    experiment.record_exposure("A", "anna")
    for variant in "AB":
        labels = {"experiment": "checkout", "variant": variant, "cell": cell_of("anna")}
        assert _value(recorder, "ab_test_cell_first_exposures_total", **labels) == 1


def test_a_unit_is_remembered_while_half_as_many_as_are_kept_come_after_it() -> None:
    recorder = _recorder()
    experiment = recorder.experiment("checkout")
    experiment.record_exposure("B", "anna")
    for number in range(50_000):
        experiment.record_exposure("B", number)
    experiment.record_exposure("B", "anna")
    assert len(experiment._seen) + len(experiment._seen_before) <= 100_000
    labels = {"experiment": "checkout", "variant": "B", "cell": cell_of("anna")}
    expected = 1 + sum(cell_of(number) == cell_of("anna") for number in range(50_000))
    assert _value(recorder, "ab_test_cell_first_exposures_total", **labels) == expected


def test_a_value_that_a_counter_cannot_hold_is_an_error_that_is_counted() -> None:
    recorder = _recorder()
    for value in (-1, float("nan"), float("inf")):
        recorder.experiment("checkout").record_value("basket", "B", "anna", value)
    assert _value(recorder, "ml_instrument_errors_total", operation="record_value") == 3
    assert _series(recorder, "ab_test_cell_trials_total") == 0


def test_the_number_of_series_is_bounded() -> None:
    recorder = _recorder(max_label_sets=20)
    experiment = recorder.experiment("checkout")
    for number in range(200):
        experiment.record_value(f"metric {number}", "B", number, 1)
    # A tenth of the label sets, each with its cells, and those that take the rest; as many again may wait at 0.
    assert _series(recorder, "ab_test_cell_trials_total") <= 4 * len(CELLS)


def test_each_request_of_a_variant_without_room_is_booked_elsewhere_and_counted_as_that() -> None:
    recorder = _recorder(max_label_sets=10)
    for number in range(200):
        with recorder.track_request(f"variant {number % 100}", unit="anna"):
            pass
    trials = "ab_test_cell_trials_total"
    cell = cell_of("anna")
    assert _value(recorder, trials, cell=cell, experiment="", metric="request", variant="variant 0") == 2
    booked = _value(recorder, trials, cell=cell, experiment="other", metric="other", variant="other")
    # There is room for 32 variants of one cell.
    assert booked == 2 * (100 - 32)
    assert _value(recorder, "ml_instrument_overflow_total", family=trials) == booked
    # Variants without number take no memory.
    assert len(recorder._variants._series) <= 10
