"""Blocks: what `with` times, what a decorator times, and what is said where neither is used."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import Recorder
from tests.support.wsgi_servers import parse

Make = Callable[[Recorder], Any]
# What each leaves once it ended well.
TIMED = {
    "job": (lambda recorder: recorder.job("nightly", every="1d"), "ml_job_last_success_timestamp_seconds"),
    "track_request": (lambda recorder: recorder.track_request("B"), "ab_test_requests_total"),
    "track_load": (lambda recorder: recorder.model("m").track_load(), "ml_model_loaded_timestamp_seconds"),
}
RESULTS = {
    "track_prediction": lambda recorder: recorder.model("m").track_prediction(),
    "generate": lambda recorder: recorder.model("m").generate(),
}
EACH_TIMED = pytest.mark.parametrize(("make", "metric"), TIMED.values(), ids=TIMED)
EACH_RESULT = pytest.mark.parametrize(("operation", "make"), RESULTS.items(), ids=RESULTS)


@pytest.fixture
def recorder() -> Recorder:
    """Give a recorder of its own registry."""
    return Recorder(registry=CollectorRegistry())


def ended(recorder: Recorder, metric: str) -> bool:
    return any(name == metric and value for (name, _), value in parse(recorder.exposition().body.decode()).items())


def next_line() -> str:
    return f"{__file__}:{inspect.currentframe().f_back.f_lineno + 1}"  # type: ignore[union-attr]  # CPython has frames


def not_recorded(operation: str, place: str, problem: str) -> str:
    return f"{operation} at {place}: {problem}; it is not recorded, and the program goes on"


@EACH_TIMED
def test_a_coroutine_function_is_timed_until_it_has_ended(recorder: Recorder, make: Make, metric: str) -> None:
    seen = []

    @make(recorder)  # type: ignore[untyped-decorator]  # of any kind
    async def work() -> str:
        await asyncio.sleep(0)
        seen.append(ended(recorder, metric))
        return "done"

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(work()) == "done"
    assert seen == [False]
    assert ended(recorder, metric)


@EACH_TIMED
def test_a_coroutine_function_that_raises_has_not_ended_well(recorder: Recorder, make: Make, metric: str) -> None:
    @make(recorder)  # type: ignore[untyped-decorator]  # of any kind
    async def work() -> None:
        await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(work())
    outcomes = parse(recorder.exposition().body.decode())
    assert not any(
        value for (name, labels), value in outcomes.items() if name == metric and ("outcome", "error") not in labels
    )


@EACH_TIMED
def test_a_block_may_be_used_again(recorder: Recorder, make: Make, metric: str) -> None:
    block = make(recorder)
    for _ in range(2):
        with block:
            pass
    assert ended(recorder, metric)


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [generator, async_generator])
@pytest.mark.parametrize(("operation", "make"), [(name, make) for name, (make, _) in TIMED.items()], ids=TIMED)
def test_a_generator_is_refused(recorder: Recorder, operation: str, make: Make, function: Any) -> None:
    message = (
        f"^{operation}: {function.__name__} is a generator, which runs after it was called: use `with` inside of it$"
    )
    with pytest.raises(ValueError, match=message):
        make(recorder)(function)


@pytest.mark.parametrize(
    ("operation", "make"), [*((name, make) for name, (make, _) in TIMED.items()), *RESULTS.items()]
)
def test_a_forgotten_with_is_said(
    recorder: Recorder, operation: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    block = make(recorder)
    assert caplog.messages == []
    place = next_line()
    block = None
    gc.collect()
    assert block is None
    assert caplog.messages == [not_recorded(operation, place, "there is no `with` in front of it")]


@EACH_RESULT
def test_what_is_set_after_the_block_is_said(
    recorder: Recorder, operation: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with make(recorder) as result:
        pass
    name = result._attributes[0]
    place = next_line()
    setattr(result, name, 0.7)
    assert getattr(result, name) == 0.7
    assert caplog.messages == [not_recorded(operation, place, f"{name} is set after its `with` block has ended")]


@EACH_RESULT
def test_a_misspelled_attribute_is_said_and_the_rest_counts(
    recorder: Recorder, operation: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    place = next_line()
    with make(recorder) as result:
        right = result._attributes[-1]
        setattr(result, right[:-2] + right[-1] + right[-2], 0.5)
        kind = type(result).__name__
    wrong = right[:-2] + right[-1] + right[-2]
    assert caplog.messages == [
        not_recorded(operation, place, f"{kind} has no attribute {wrong!r}; did you mean {right!r}?")
    ]
    assert ended(recorder, "ml_predictions_total")


def test_a_variant_that_can_be_none_is_of_track_request(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    place = next_line()
    with recorder.track_request(["B"]):  # type: ignore[arg-type]  # what a careless caller does
        pass
    assert caplog.messages == [not_recorded("track_request", place, "variant is of type list, not text")]
