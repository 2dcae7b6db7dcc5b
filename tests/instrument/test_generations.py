"""What is recorded of language models: tokens, first-token times, and how answers end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import ModelRecorder, Recorder
from ml_monitoring.instrument.catalog import SERVICE_METRICS
from ml_monitoring.instrument.families import FINISH_REASONS


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def model(registry: CollectorRegistry) -> ModelRecorder:
    return Recorder(registry=registry).model("llama", "2")


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, {"model": "llama", "model_version": "2", "variant": "", **labels})


def ended(registry: CollectorRegistry) -> dict[str, float]:
    counts = {reason: value(registry, "ml_gen_ai_responses_total", finish_reason=reason) for reason in FINISH_REASONS}
    return {reason: count for reason, count in counts.items() if count}


def stream(model: ModelRecorder, tokens: int = 3) -> Iterator[int]:
    with model.generate(input_tokens=12) as generation:
        for number in range(tokens):
            generation.add_tokens()
            yield number


def test_a_streamed_answer_has_tokens_and_times(model: ModelRecorder, registry: CollectorRegistry) -> None:
    assert list(stream(model)) == [0, 1, 2]
    assert ended(registry) == {"stop": 1}
    assert value(registry, "ml_gen_ai_usage_tokens_sum", token_type="input") == 12
    assert value(registry, "ml_gen_ai_usage_tokens_sum", token_type="output") == 3
    first = value(registry, "ml_gen_ai_time_to_first_token_seconds_sum")
    each = value(registry, "ml_gen_ai_time_per_output_token_seconds_sum")
    whole = value(registry, "ml_gen_ai_request_duration_seconds_sum")
    assert first is not None
    assert each is not None
    # Two tokens came after the first one.
    assert whole == pytest.approx(first + 2 * each)
    assert value(registry, "ml_predictions_total") == 1


def test_a_reader_who_leaves_aborts_and_its_tokens_count(model: ModelRecorder, registry: CollectorRegistry) -> None:
    answer = stream(model)
    next(answer)
    answer.close()  # type: ignore[attr-defined]  # it is a generator
    assert ended(registry) == {"abort": 1}
    assert value(registry, "ml_gen_ai_usage_tokens_sum", token_type="output") == 1
    assert value(registry, "ml_gen_ai_time_to_first_token_seconds_count") == 1
    assert value(registry, "ml_gen_ai_request_duration_seconds_count") is None
    assert (value(registry, "ml_predictions_total"), value(registry, "ml_prediction_errors_total")) == (0, 0)


def test_a_cancelled_task_aborts(model: ModelRecorder, registry: CollectorRegistry) -> None:
    async def answer(began: asyncio.Event) -> AsyncIterator[None]:
        with model.generate():
            began.set()
            await asyncio.Event().wait()
            yield

    async def cancelled() -> None:
        began = asyncio.Event()
        reading = asyncio.ensure_future(anext(answer(began)))
        await began.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    asyncio.run(cancelled())
    assert ended(registry) == {"abort": 1}


def test_an_exception_is_an_error_of_the_model(model: ModelRecorder, registry: CollectorRegistry) -> None:
    with pytest.raises(ZeroDivisionError), model.generate():
        raise ZeroDivisionError
    assert ended(registry) == {"error": 1}
    assert value(registry, "ml_prediction_errors_total") == 1


@pytest.mark.parametrize(
    ("reason", "label"), [("length", "length"), ("tool_calls", "tool_calls"), ("end_turn", "other"), ("", "other")]
)
def test_reasons_are_a_closed_set(reason: str, label: str, model: ModelRecorder, registry: CollectorRegistry) -> None:
    model.record_generation(2.0, output_tokens=1, first_token_seconds=0.5, finish_reason=reason)
    assert value(registry, "ml_gen_ai_responses_total", finish_reason=label) == 1
    # There is no time between tokens where there is one.
    assert value(registry, "ml_gen_ai_time_per_output_token_seconds_count") is None
    assert value(registry, "ml_gen_ai_request_duration_seconds_sum") == 2


def test_what_is_unknown_leaves_no_sample(model: ModelRecorder, registry: CollectorRegistry) -> None:
    model.record_generation(2.0)
    assert value(registry, "ml_gen_ai_usage_tokens_count", token_type="input") is None
    assert value(registry, "ml_gen_ai_time_to_first_token_seconds_count") is None
    model.record_generation(float("nan"), input_tokens=None, first_token_seconds=float("nan"))
    assert value(registry, "ml_gen_ai_time_to_first_token_seconds_count") is None


def test_reasons_are_there_at_0_while_the_first_answer_is_made(
    model: ModelRecorder, registry: CollectorRegistry
) -> None:
    with model.generate():
        counts = [value(registry, "ml_gen_ai_responses_total", finish_reason=reason) for reason in FINISH_REASONS]
        assert counts == [0] * len(FINISH_REASONS)


def test_a_queue_and_a_cache_are_what_was_set(model: ModelRecorder, registry: CollectorRegistry) -> None:
    model.set_queue(4)
    model.set_kv_cache(0.25)
    assert value(registry, "ml_gen_ai_requests_waiting") == 4
    assert value(registry, "ml_gen_ai_kv_cache_utilization_ratio") == 0.25


def test_a_service_without_language_models_has_none_of_it(model: ModelRecorder, registry: CollectorRegistry) -> None:
    with model.track_prediction():
        pass
    assert "gen_ai" not in Recorder(registry=registry).exposition().body.decode()
    # What the catalog declares is what an answer leaves.
    list(stream(model))
    model.set_queue(0)
    model.set_kv_cache(0)
    declared = {metric.name.removesuffix("_total") for metric in SERVICE_METRICS if "gen_ai" in metric.name}
    assert {family.name for family in registry.collect() if "gen_ai" in family.name} == declared
