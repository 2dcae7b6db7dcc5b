"""A wrong value given to a recording method is said in one line that names the method, the argument and the caller."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pandas
import pytest
from prometheus_client import CollectorRegistry

from ml_monitoring import instrument
from ml_monitoring.instrument import CacheRecorder, ExperimentRecorder, Generation, ModelRecorder, Recorder
from ml_monitoring.instrument.requests import CURRENT, RequestContext

# By the first word of the annotation: a right value, a wrong one, and what is said of the wrong one.
VALUES: dict[str, tuple[Any, Any, str]] = {
    "float": (0.5, "12 EUR", "of type str, not a number"),
    "int": (1, object(), "of type object, not a number"),
    "bool": (False, "yes", "of type str, not True or False"),
    "str": ("B", ["B"], "of type list, not text"),
    "Hashable": ("user-1", {}, "of type dict, not an id"),
}


def recording_methods() -> Iterator[tuple[type, str]]:
    """Yield each public method that records something, of all public classes."""
    for name in instrument.__all__:
        kind = getattr(instrument, name)
        if inspect.isclass(kind):
            for method in vars(kind):
                if method.startswith(("record_", "set_", "add_")):
                    yield kind, method


def made(kind: type) -> Any:
    recorder = Recorder(registry=CollectorRegistry())
    model = recorder.model("m", variant="B")
    these = (recorder, model, recorder.cache("c"), recorder.experiment("e"), model.generate().__enter__())
    return next(each for each in these if isinstance(each, kind))


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert not any(record.exc_info for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


NUMBERS = (numpy.float16, numpy.float32, numpy.float64, numpy.int64, numpy.array, float, int, Decimal, Fraction)


@pytest.mark.parametrize("of", [*NUMBERS, lambda value: numpy.array([value]), lambda value: pandas.Series([value])])
@pytest.mark.filterwarnings("error")
def test_numbers_of_any_package_are_numbers_everywhere(of: Any, caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    recorder = Recorder(registry=registry)
    model = recorder.model("m", variant="B")
    model.record_prediction(of(1), score=of(1), confidence=of(1), failed=of(0))
    model.record_regression(of(3), of(1))
    model.record_generation(of(2), input_tokens=of(1), output_tokens=of(2), first_token_seconds=of(1))
    model.record_outcome(of(1))
    model.record_load(of(1))
    model.set_queue(of(1))
    model.set_kv_cache(of(1))
    with model.generate() as generation:
        generation.add_tokens(of(1))
    recorder.cache("c").set_size(size_bytes=of(1), entries=of(1))
    recorder.experiment("e").record_value("basket", "B", "u", of(1))
    recorder.set_business_impact("B", of(1))
    assert logged(caplog) == []
    labels = {"model": "m", "variant": "B", "model_version": ""}
    assert registry.get_sample_value("ml_prediction_absolute_error_sum", labels) == 2


def test_a_share_that_rounding_puts_beyond_its_end_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    model = Recorder(registry=registry).model("m")
    rounded: Any = numpy.float32(1.0000002)
    model.set_kv_cache(rounded)
    assert [each.samples[0].value for each in registry.collect() if "kv_cache" in each.name] == [1]
    assert logged(caplog) == []
    model.set_kv_cache(1.01)
    (line,) = logged(caplog)
    assert "used is 1.01, not a share from 0 to 1" in line


@pytest.fixture
def request_under_way() -> Iterator[None]:
    """Answer a request meanwhile."""
    token = CURRENT.set(RequestContext())
    yield
    CURRENT.reset(token)


@pytest.mark.usefixtures("request_under_way")
@pytest.mark.parametrize(("kind", "method"), list(recording_methods()))
def test_each_argument_of_each_method_is_named(kind: type, method: str, caplog: pytest.LogCaptureFixture) -> None:
    parameters = list(inspect.signature(getattr(kind, method)).parameters.values())[1:]
    types = {each.name: str(each.annotation).split(" | ")[0] for each in parameters}
    right = {name: VALUES[word][0] for name, word in types.items()}
    getattr(made(kind), method)(**right)
    assert logged(caplog) == []
    for name, word in types.items():
        _, wrong, said = VALUES[word]
        if said:
            call = getattr(made(kind), method)
            line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]  # CPython has frames
            call(**{**right, name: wrong})
            assert logged(caplog) == [
                f"{method} at {__file__}:{line}: {name} is {said}; it is not recorded, and the program goes on"
            ]
            caplog.clear()


@pytest.mark.usefixtures("request_under_way")
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda recorder: recorder.track_request("B", user="u1"),
            "track_request: there is no 'user': it is called as track_request(variant, *, unit=None)",
        ),
        (
            lambda recorder: recorder.track_request(),
            "track_request: missing a required argument: 'variant': it is called as "
            "track_request(variant, *, unit=None)",
        ),
        (lambda recorder: recorder.model(None, "3").track_prediction(), "model: name: None is not text or a number"),
        (lambda recorder: recorder.cache([7]).record_hit(), "cache: name: [7] is not text or a number"),
        (lambda recorder: recorder.experiment(""), "experiment: name: it is empty"),
        (
            lambda recorder: recorder.job("n", every="daily"),
            "job: every: 'daily' is not a duration such as 30m, 1d or 1d12h",
        ),
    ],
)
def test_what_is_refused_elsewhere_is_only_said_while_a_request_is_answered(
    call: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    made = call(recorder)
    if hasattr(made, "__enter__"):
        with made:
            pass
    operation, _, problem = said.partition(": ")
    (line,) = logged(caplog)
    assert line.startswith(f"{operation} at {__file__}:")
    assert line.endswith(f": {problem}; it is not recorded, and the program goes on")
    labels = {"operation": operation}
    assert recorder._metrics.registry.get_sample_value("ml_instrument_errors_total", labels) == 1


def test_a_name_may_be_a_number() -> None:
    recorder = Recorder(registry=CollectorRegistry())
    recorder.cache(7).record_hit()  # type: ignore[arg-type]  # what a careless caller does
    assert b'ml_cache_requests_total{cache="7",outcome="hit"} 1.0' in recorder.exposition().body


def test_a_wrong_score_loses_no_confidence(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    Recorder(registry=registry).model("m").record_prediction(0.1, score=-2.3, confidence=0.5)
    labels = {"model": "m", "model_version": "", "variant": ""}
    assert registry.get_sample_value("ml_prediction_confidence_ratio_count", labels) == 1
    (line,) = logged(caplog)
    assert "score is -2.3, not a share from 0 to 1" in line


def test_a_call_with_other_arguments_says_how_it_is_called(caplog: pytest.LogCaptureFixture) -> None:
    cache: Any = made(instrument.CacheRecorder)
    cache.set_size("x")
    assert [message.partition(": ")[2] for message in logged(caplog)] == [
        "too many positional arguments: it is called as set_size(*, size_bytes=None, entries=None); "
        "it is not recorded, and the program goes on"
    ]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda model: model.record_regression(None, 2.0), "predicted is None, not a number"),
        (lambda model: model.record_regression(b"1", 2.0), "predicted is of type bytes, not a number"),
        (lambda model: model.record_load(10**400), "seconds is inf, not a number of 0 or more"),
        (lambda model: model.record_prediction(-1.0), "seconds is -1, not a number of 0 or more"),
        (lambda model: model.record_prediction(math.nan), "seconds is nan, not a number of 0 or more"),
        (lambda model: model.record_prediction(numpy.ones(2)), "seconds is of type ndarray, not a number"),
        (lambda model: model.record_prediction(1.0, confidence=95), "confidence is 95, not a share from 0 to 1"),
        (lambda model: model.record_prediction(1.0, confidence=math.nan), "confidence is nan, not a share from 0 to 1"),
        (lambda model: model.record_prediction(1.0, score=85), "score is 85, not a share from 0 to 1"),
        (lambda model: model.record_prediction(1.0, score=math.inf), "score is inf, not a share from 0 to 1"),
        (
            lambda model: model.record_prediction(1.0, failed=numpy.ones(2)),
            "failed is of type ndarray, not True or False",
        ),
        (lambda model: model.record_regression(math.nan, 1), "predicted is nan, not a finite number"),
        (lambda model: model.record_regression(1, -math.inf), "actual is -inf, not a finite number"),
        (lambda model: model.record_load(math.inf), "seconds is inf, not a number of 0 or more"),
        (lambda model: model.record_generation(1, input_tokens=-5), "input_tokens is -5, not a number of 0 or more"),
        (lambda model: model.record_generation(math.nan), "seconds is nan, not a number of 0 or more"),
        (
            lambda model: model.record_generation(1, first_token_seconds=3),
            "first_token_seconds is 3, after the end at 1",
        ),
        (lambda model: model.set_queue(-1), "waiting is -1, not a number of 0 or more"),
        (lambda model: model.set_kv_cache(85), "used is 85, not a share from 0 to 1"),
        (lambda model: model.set_kv_cache(-1), "used is -1, not a share from 0 to 1"),
        (lambda model: model.record_outcome(0.7), "correct is 0.7, not True or False"),
        (lambda model: model.record_outcome(2), "correct is 2, not True or False"),
        (lambda model: model.record_outcome(math.nan), "correct is nan, not True or False"),
        (lambda model: model.record_outcome(numpy.ones(2) == 1), "correct is of type ndarray, not True or False"),
        (
            lambda model: model.record_outcome(1, 0),
            "too many positional arguments: it is called as record_outcome(correct, *, unit=None)",
        ),
    ],
)
def test_a_value_that_cannot_be_is_said(call: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    say(lambda: call(made(ModelRecorder)), said, caplog)


@pytest.mark.parametrize(
    ("kind", "call", "said"),
    [
        (CacheRecorder, lambda cache: cache.set_size(), "neither size_bytes nor entries is given"),
        (CacheRecorder, lambda cache: cache.set_size(entries=-5), "entries is -5, not a number of 0 or more"),
        (CacheRecorder, lambda cache: cache.set_size(size_bytes=-5), "size_bytes is -5, not a number of 0 or more"),
        (Recorder, lambda recorder: recorder.set_business_impact("B", math.nan), "per_day is nan, not a finite number"),
        (Generation, lambda answer: answer.add_tokens(-1), "number is -1, not a number of 0 or more"),
        *(
            (ExperimentRecorder, call, "unit is None, not an id: leave the call out where there is none")
            for call in (
                lambda experiment: experiment.record_exposure("B", unit=None),
                lambda experiment: experiment.record_success("sale", "B", unit=None, success=True),
                lambda experiment: experiment.record_value("basket", "B", unit=None, value=1.0),
            )
        ),
    ],
)
def test_a_value_that_cannot_be_is_said_of_others(
    kind: type, call: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    say(lambda: call(made(kind)), said, caplog)


@pytest.mark.parametrize("correct", [True, 1, 1.0, numpy.bool_(True), numpy.int64(1)])
def test_what_equals_true_is_an_outcome(correct: Any, caplog: pytest.LogCaptureFixture) -> None:
    made(ModelRecorder).record_outcome(correct)
    assert logged(caplog) == []


def say(call: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    call()
    assert [message.partition(": ")[2] for message in logged(caplog)] == [
        f"{said}; it is not recorded, and the program goes on"
    ]


def test_a_mistake_in_a_block_is_of_the_line_that_opens_it(caplog: pytest.LogCaptureFixture) -> None:
    prediction: Any
    generation: Generation
    model = made(ModelRecorder)
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]  # CPython has frames
    with model.track_prediction() as prediction:
        prediction.score = "high"
    with model.generate() as generation:
        generation.add_tokens("many")  # type: ignore[arg-type]  # what a careless caller does
    assert logged(caplog) == [
        f"{method} at {__file__}:{place}: {name} is of type str, not a number; it is not recorded, and the program "
        "goes on"
        for method, place, name in (("record_prediction", line, "score"), ("add_tokens", line + 3, "number"))
    ]


def test_a_line_is_logged_once_a_minute_and_another_line_at_once(caplog: pytest.LogCaptureFixture) -> None:
    model = made(ModelRecorder)
    for _ in range(100):
        model.record_load("long")
    model.record_load("long")
    assert len(logged(caplog)) == 2
    labels = {"operation": "record_load"}
    assert model._metrics.registry.get_sample_value("ml_instrument_errors_total", labels) == 101


def test_what_is_no_mistake_of_the_caller_keeps_its_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(ModelRecorder)
    monkeypatch.setattr(model._families, "load_duration", None)
    with caplog.at_level(logging.WARNING):
        model.record_load(1.0)
    assert [(record.getMessage(), record.exc_info is not None) for record in caplog.records] == [
        ("record_load could not be recorded; the program goes on", True)
    ]
