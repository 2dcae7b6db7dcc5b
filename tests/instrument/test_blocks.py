"""Blocks: what `with` times, what a decorator times, and what is said where neither is used."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
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
RESULTS: dict[str, Make] = {
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
    block = None
    gc.collect()
    assert block is None
    place = f"{__file__}:{make.__code__.co_firstlineno}"
    assert caplog.messages == [not_recorded(operation, place, "there is no `with` in front of it")]


def test_a_forgotten_with_is_said_of_the_line_that_lacks_it(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    model = recorder.model("m")

    def predict() -> str:
        prediction = model.track_prediction()
        prediction.confidence = 0.9
        return "B"

    assert predict() == "B"
    place = f"{__file__}:{predict.__code__.co_firstlineno + 1}"
    assert caplog.messages == [not_recorded("track_prediction", place, "there is no `with` in front of it")]


def test_what_an_object_makes_for_later_may_go_with_it(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    class Trainer:
        def __init__(self) -> None:
            self.run = recorder.job("nightly")
            self.load = recorder.model("m").track_load()

    Trainer()
    gc.collect()
    assert caplog.messages == []


@EACH_RESULT
def test_what_has_attributes_is_no_decorator(recorder: Recorder, operation: str, make: Make) -> None:
    message = f"^{operation}: it is no decorator: use `with model.{operation}\\(\\) as ...:` inside$"
    for decorator in (make(recorder), getattr(recorder.model("m"), operation)):
        with pytest.raises(TypeError, match=message):
            decorator(generator)


def test_a_decorator_that_needs_no_argument_needs_no_brackets(recorder: Recorder) -> None:
    model: Any = recorder.model("m")

    @model.track_load  # type: ignore[untyped-decorator]  # typed as what it is with them
    def load() -> str:
        return "loaded"

    assert load() == "loaded"
    assert ended(recorder, "ml_model_loaded_timestamp_seconds")


def test_a_decorator_of_no_function_is_refused(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match=r"^job: as a decorator it takes a function, not NoneType$"):
        recorder.job("n")(None)  # type: ignore[type-var]  # what a call in its place gives


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


@pytest.mark.parametrize(
    ("make", "metric"), [*TIMED.values(), *((make, "ml_predictions_total") for make in RESULTS.values())]
)
def test_a_block_may_be_opened_by_async_with(recorder: Recorder, make: Make, metric: str) -> None:
    async def work() -> None:
        async with make(recorder):
            assert not ended(recorder, metric)

    asyncio.run(work())
    assert ended(recorder, metric)


def test_a_variant_that_can_be_none_is_of_track_request(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    place = next_line()
    with recorder.track_request(["B"]):  # type: ignore[arg-type]  # what a careless caller does
        pass
    assert caplog.messages == [not_recorded("track_request", place, "variant is of type list, not text")]


@EACH_TIMED
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", ["coroutine", "task", "generator"])
def test_work_that_a_function_returns_is_timed_until_it_has_ended(
    recorder: Recorder, make: Make, metric: str, kind: str, fails: bool
) -> None:
    async def main() -> None:
        await asyncio.sleep(0)
        if fails:
            raise KeyError

    def steps() -> Iterator[int]:
        yield 1
        if fails:
            raise KeyError

    async def run() -> None:
        returned: dict[str, Callable[[], Any]] = {
            "coroutine": main,
            "task": lambda: asyncio.ensure_future(main()),
            "generator": steps,
        }

        def plain() -> Any:
            return returned[kind]()

        result = make(recorder)(plain)()
        assert not ended(recorder, metric)
        if kind == "generator":
            assert list(result) == [1]
        else:
            await result

    with pytest.raises(KeyError) if fails else nullcontext():
        asyncio.run(run())
    samples = parse(recorder.exposition().body.decode()).items()
    failures = sum(
        value > 0 and ("failure" in name or dict(labels).get("outcome") == "error") for (name, labels), value in samples
    )
    succeeded = sum(
        value > 0 and name == metric and dict(labels).get("outcome") != "error" for (name, labels), value in samples
    )
    assert (succeeded, failures) == ((0, int(metric != TIMED["track_load"][1])) if fails else (1, 0))
