"""What is recorded of a model: predictions, their truth once it is known, and loads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable
from functools import cached_property
from time import perf_counter, time
from types import TracebackType
from typing import Final, NamedTuple

from ml_monitoring.instrument.attributes import WithoutAttributes
from ml_monitoring.instrument.blocks import EndedBlock, FilledBlock, ReusableBlock, makes_block
from ml_monitoring.instrument.catalog import SCORE_BINS
from ml_monitoring.instrument.cells import ACCURACY, cell_of
from ml_monitoring.instrument.families import FINISH_REASONS, Metrics, guarded
from ml_monitoring.instrument.generations import Generation, GenerationMetrics
from ml_monitoring.instrument.mistakes import finite, is_true, share
from ml_monitoring.instrument.quality import RollingAccuracy, RollingR2
from ml_monitoring.instrument.requests import CURRENT, VariantMetrics
from ml_monitoring.instrument.tracing import Exemplar, Exemplars

_BIN_BOUNDS: Final = tuple(float(bound) for bound in SCORE_BINS)
# R2 looks at up to 1000 pairs each time, so not after every single truth of a burst.
_R2_INTERVAL: Final = 1.0


class PredictionMetrics:
    """The families that all models share."""

    def __init__(self, metrics: Metrics, variants: VariantMetrics, exemplars: Exemplars | None) -> None:
        self.metrics = metrics
        self.variants = variants
        self.exemplars = exemplars
        self.made = metrics.counter("ml_predictions_total")
        self.errors = metrics.counter("ml_prediction_errors_total")
        self.duration = metrics.histogram("ml_prediction_duration_seconds")
        self.confidence = metrics.histogram("ml_prediction_confidence_ratio")
        self.scores = metrics.counter("ml_prediction_scores_total")
        self.truths = metrics.counter("ml_prediction_truths_total")
        self.absolute_error = metrics.histogram("ml_prediction_absolute_error")
        self.r2 = metrics.gauge("ml_model_r2_ratio")
        self.last = metrics.gauge("ml_last_prediction_timestamp_seconds")
        self.load_duration = metrics.gauge("ml_model_load_duration_seconds")
        self.loaded = metrics.gauge("ml_model_loaded_timestamp_seconds")

    @cached_property
    def generations(self) -> GenerationMetrics:
        """Return the families of language models, which are made when the first one answers."""
        return GenerationMetrics(self.metrics)

    def exemplar(self) -> Exemplar | None:
        """Return the trace of the present work, if exemplars are on."""
        if self.exemplars is None:
            return None
        context = CURRENT.get()
        return self.exemplars.current() or (context.exemplar if context is not None else None)


class _Series(NamedTuple):
    """What is recorded of each prediction of a model."""

    made: Callable[[], None]
    seconds: Callable[[float, Exemplar | None], None]
    last: Callable[[float], None]


class ModelRecorder(WithoutAttributes):
    """Records what one version of one model does; `Recorder.model` makes it."""

    def __init__(
        self, families: PredictionMetrics, accuracy: RollingAccuracy, name: str, version: str, variant: str
    ) -> None:
        self._metrics = families.metrics
        self._families = families
        self._variant = variant
        self._key = (name, version, variant)
        self._accuracy = accuracy
        self._r2 = RollingR2()
        self._next_r2 = 0.0
        # Found once, as each prediction needs them; not kept where there was no room for them.
        self._series: _Series | None = None

    @guarded
    def _prepare(self) -> None:
        # What first shows as 1 has lost that 1 for `increase`.
        self._families.made.prepare(*self._key)
        self._families.errors.prepare(*self._key)
        for outcome in ("correct", "incorrect"):
            self._families.truths.prepare(*self._key, outcome)
        if self._variant:
            self._families.variants.prepare(self._variant)

    @makes_block
    def track_prediction(self) -> Prediction:
        """Time and count one prediction, as a context manager; set its `confidence` and `score` inside.

        The current request is attributed to the model's variant.
        """
        if self._variant:
            self._attribute()
        return Prediction(self)

    def _attribute(self) -> None:
        context = CURRENT.get()
        if context is not None:
            context.variant = self._variant

    @guarded
    def record_prediction(
        self, seconds: float, *, confidence: float | None = None, score: float | None = None, failed: bool = False
    ) -> None:
        """Count one prediction that was timed elsewhere.

        Args:
            seconds: Time that it took.
            confidence: How sure the model is, 0 to 1.
            score: What is compared for drift, 0 to 1: a probability, or a value scaled to its usual range.
            failed: Whether it raised; then only the failure counts.
        """
        families, key = self._families, self._key
        if failed is not False and is_true("failed", failed):
            families.errors.child(*key).inc()
            return
        series = self._series or self._find()
        series.made()
        series.seconds(finite("seconds", seconds, 0), families.exemplar() if families.exemplars is not None else None)
        series.last(time())
        try:
            if score is not None:
                families.scores.child(*key, SCORE_BINS[bisect_left(_BIN_BOUNDS, share("score", score))]).inc()
        finally:
            # A wrong score is no reason to lose it.
            if confidence is not None:
                families.confidence.child(*key).observe(share("confidence", confidence))

    def _find(self) -> _Series:
        made, duration, last = self._families.made, self._families.duration, self._families.last
        key = self._key
        found = _Series(made.child(*key).inc, duration.child(*key).observe, last.child(*key).set)
        if made.keeps(*key) and duration.keeps(*key) and last.keeps(*key):
            self._series = found
        return found

    @makes_block
    def generate(self, input_tokens: int | None = None) -> Generation:
        """Time and count one answer of a language model, as a context manager; call `add_tokens` as its tokens come.

        It is a prediction as well. One whose client leaves (a closed generator, a cancelled task) is aborted.

        Args:
            input_tokens: Length of the prompt, if it is known before.
        """
        if self._variant:
            self._attribute()
        self._prepare_generations()
        return Generation(self, input_tokens)

    @guarded
    def _prepare_generations(self) -> None:
        for reason in FINISH_REASONS:
            self._families.generations.responses.prepare(*self._key, reason)

    @guarded
    def record_generation(
        self,
        seconds: float,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        first_token_seconds: float | None = None,
        finish_reason: str = "stop",
    ) -> None:
        """Count one answer of a language model that was timed elsewhere.

        Args:
            seconds: Time from the request to the last token.
            input_tokens: Length of the prompt.
            output_tokens: Length of the answer.
            first_token_seconds: Time from the request to the first token.
            finish_reason: Why it ended, see `Generation`; of what was aborted, only tokens and the first one's time
                count, and of errors the failure too.
        """
        self._families.generations.record(
            self._key,
            seconds,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            first_token_seconds=first_token_seconds,
            finish_reason=finish_reason,
        )
        if finish_reason != "abort":
            self.record_prediction(seconds, failed=finish_reason == "error")

    @guarded
    def set_queue(self, waiting: int) -> None:
        """Set how many requests wait for a place in a batch of the model."""
        self._families.generations.waiting.child(*self._key).set(finite("waiting", waiting, 0))

    @guarded
    def set_kv_cache(self, used: float) -> None:
        """Set the used share, 0 to 1, of the memory for keys and values of attention."""
        self._families.generations.cache.child(*self._key).set(share("used", used))

    @guarded
    def record_outcome(self, correct: bool, *, unit: Hashable | None = None) -> None:
        """Record a classification whose truth is known.

        Args:
            correct: Whether the prediction was the truth.
            unit: As that of `Recorder.set_variant`: the user or session that it was made for.
        """
        correct = is_true("correct", correct)
        self._families.truths.child(*self._key, "correct" if correct else "incorrect").inc()
        if self._variant:
            self._families.variants.accuracy.child(self._variant).set(self._accuracy.add(correct=correct))
            if unit is not None:
                cells = self._families.variants.cells
                cells.add("", self._variant, ACCURACY, cell_of(unit), 1.0 if correct else 0.0)

    @guarded
    def record_regression(self, predicted: float, actual: float) -> None:
        """Record a predicted number whose truth is known."""
        predicted, actual = finite("predicted", predicted), finite("actual", actual)
        self._families.absolute_error.child(*self._key).observe(abs(predicted - actual))
        self._r2.add(predicted, actual)
        now = perf_counter()
        if now >= self._next_r2:
            self._next_r2 = now + _R2_INTERVAL
            r2 = self._r2.value()
            if r2 is not None:
                self._families.r2.child(*self._key).set(r2)

    @guarded
    def record_load(self, seconds: float) -> None:
        """Record that the model was loaded, and how long that took."""
        self._families.load_duration.child(*self._key).set(finite("seconds", seconds, 0))
        self._families.loaded.child(*self._key).set(time())

    @makes_block
    def track_load(self) -> Load:
        """Time a load, as a context manager or decorator; a load that raises is not recorded."""
        return Load(self)


class Load(ReusableBlock[ModelRecorder], operation="track_load"):
    """A load of a model; `ModelRecorder.track_load` makes it."""

    def _end(self, seconds: float, error: BaseException | None) -> None:
        if error is None:
            self._owner.record_load(seconds)


class Prediction(FilledBlock[ModelRecorder], operation="track_prediction"):
    """One prediction while it is made; `ModelRecorder.track_prediction` makes it.

    Attributes:
        confidence: How sure the model is, 0 to 1; optional.
        score: What is compared for drift, 0 to 1; optional.
    """

    __slots__ = ("confidence", "score")
    _attributes = ("confidence", "score")

    def __init__(self, model: ModelRecorder) -> None:
        # Not by `super()`, which costs more than all of this.
        self._owner = model
        self._started = 0.0
        self.confidence: float | None = None
        self.score: float | None = None

    def __enter__(self) -> Prediction:
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._started
        self._owner.record_prediction(seconds, confidence=self.confidence, score=self.score, failed=kind is not None)
        if self.__dict__:
            self._say_unknown()
        self.__class__ = _EndedPrediction


class _EndedPrediction(EndedBlock, Prediction):
    __slots__ = ()
