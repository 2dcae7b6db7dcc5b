"""What is recorded of a language model: tokens, the times to the first and to each further one, and how answers end."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Final

from ml_monitoring.instrument.blocks import EndedBlock, FilledBlock
from ml_monitoring.instrument.families import FINISH_REASONS, Metrics, guarded
from ml_monitoring.instrument.mistakes import WrongValueError, finite, text

if TYPE_CHECKING:
    from ml_monitoring.instrument.models import ModelRecorder

_OTHER_REASON: Final = "other"


class GenerationMetrics:
    """The families that all language models share; of a service without one there are none."""

    def __init__(self, metrics: Metrics) -> None:
        self.responses = metrics.counter("ml_gen_ai_responses_total")
        self.duration = metrics.histogram("ml_gen_ai_request_duration_seconds")
        self.first_token = metrics.histogram("ml_gen_ai_time_to_first_token_seconds")
        self.per_output_token = metrics.histogram("ml_gen_ai_time_per_output_token_seconds")
        self.usage = metrics.histogram("ml_gen_ai_usage_tokens")
        self.waiting = metrics.gauge("ml_gen_ai_requests_waiting")
        self.cache = metrics.gauge("ml_gen_ai_kv_cache_utilization_ratio")

    def record(
        self,
        key: tuple[str, ...],
        seconds: float,
        *,
        input_tokens: int | None,
        output_tokens: int | None,
        first_token_seconds: float | None,
        finish_reason: str,
    ) -> None:
        """Record one answer of the model with this key.

        Raises:
            WrongValueError: A number is none that can be; then nothing is recorded.
        """
        seconds = finite("seconds", seconds, 0)
        first = None if first_token_seconds is None else finite("first_token_seconds", first_token_seconds, 0)
        if first is not None and first > seconds:
            raise WrongValueError(f"first_token_seconds is {first:g}, after the end at {seconds:g}")
        given = {"input": input_tokens, "output": output_tokens}
        used = {kind: finite(f"{kind}_tokens", tokens, 0) for kind, tokens in given.items() if tokens is not None}
        # None is what streams have before their end.
        known = finish_reason is not None and text("finish_reason", finish_reason) in FINISH_REASONS
        self.responses.child(*key, finish_reason if known else _OTHER_REASON).inc()
        # Tokens cost whatever became of the answer.
        for kind, tokens in used.items():
            self.usage.child(*key, kind).observe(tokens)
        if first is not None:
            self.first_token.child(*key).observe(first)
        if finish_reason in ("abort", "error"):
            # How long it took says how patient somebody was, not how fast the model is.
            return
        self.duration.child(*key).observe(seconds)
        if first is not None and used.get("output", 0) > 1:
            self.per_output_token.child(*key).observe((seconds - first) / (used["output"] - 1))


class Generation(FilledBlock["ModelRecorder"], operation="generate"):
    """One answer of a language model while it is made; `ModelRecorder.generate` makes it.

    Attributes:
        input_tokens: Length of the prompt, if it is known.
        output_tokens: Length of the answer; `add_tokens` counts it, unless it is set.
        finish_reason: Why the answer ended, in the words of the OpenAI and vLLM APIs: stop, length, tool_calls,
            content_filter, abort, error; anything else is recorded as other.
    """

    __slots__ = ("_first_token", "finish_reason", "input_tokens", "output_tokens")
    _attributes = ("finish_reason", "input_tokens", "output_tokens")

    def __init__(self, model: ModelRecorder, input_tokens: int | None) -> None:
        # Not by `super()`, which costs more than all of this.
        self._owner = model
        self._started = 0.0
        self._first_token: float | None = None
        self.input_tokens = input_tokens
        self.output_tokens: int | None = None
        self.finish_reason = "stop"

    @guarded
    def add_tokens(self, number: int = 1) -> None:
        """Count output tokens as they come; the first call is the time to the first token."""
        if self._first_token is None:
            self._first_token = perf_counter() - self._started
        self.output_tokens = (self.output_tokens or 0) + int(finite("number", number, 0))

    def __enter__(self) -> Generation:
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._started
        if kind is not None:
            # A closed generator and a cancelled task: the client left.
            self.finish_reason = "error" if issubclass(kind, Exception) else "abort"
        self._owner.record_generation(
            seconds,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            first_token_seconds=self._first_token,
            finish_reason=self.finish_reason,
        )
        if self.__dict__:
            self._say_unknown()
        self.__class__ = _EndedGeneration


class _EndedGeneration(EndedBlock, Generation):
    __slots__ = ()
