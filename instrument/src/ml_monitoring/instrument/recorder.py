"""What a service records: predictions and their truth, caches, model loads, and the variant that answers a request."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter, time
from types import TracebackType
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter

from ml_monitoring.exporter.catalog.services import SCORE_BINS
from ml_monitoring.instrument.labels import clean
from ml_monitoring.instrument.resources import Resources
from ml_monitoring.instrument.scrape import Exposition, render
from ml_monitoring.instrument.store import Family, Store, guarded
from ml_monitoring.instrument.traffic import Exchange, HttpMetrics, VariantMetrics
from ml_monitoring.instrument.truth import Accuracy, Determination

_BIN_BOUNDS: Final = tuple(float(bound) for bound in SCORE_BINS)
# R2 looks at up to 1000 pairs each time, so not after every single truth of a burst.
_R2_INTERVAL: Final = 1.0

# The request that is being answered; handlers in a thread pool see the same object through their copied context.
CURRENT: ContextVar[Exchange | None] = ContextVar("exporter_instrument_exchange", default=None)


class Recorder:
    """Records into one Prometheus registry; make one for each service.

    Args:
        registry: Where the metrics are registered; the client library's own by default, so that metrics of yours
            are served along.
        origin: Value of the label `origin` on everything; leave it out for real traffic.
        max_label_sets: Cap on the label sets of each metric; what exceeds it is booked under `other`.
    """

    def __init__(
        self, *, registry: CollectorRegistry = REGISTRY, origin: str | None = None, max_label_sets: int = 500
    ) -> None:
        self.store = Store(registry, origin=origin, max_label_sets=max_label_sets)
        self.resources = Resources(self.store)
        self.variants = VariantMetrics(self.store)
        self.http = HttpMetrics(self.store, self.variants, self.resources)
        self._predictions = _PredictionMetrics(self.store)
        self._caches = _CacheMetrics(self.store)
        self._accuracies: dict[str, Accuracy] = {}
        self._lock = threading.Lock()

    def model(self, name: str, version: str = "", *, variant: str = "") -> ModelRecorder:
        """Return the recorder of one model version; keep it, it is cheaper than asking for each prediction."""
        return ModelRecorder(self, self._predictions, clean(name), clean(version), clean(variant))

    def cache(self, name: str) -> CacheRecorder:
        """Return the recorder of one cache."""
        return CacheRecorder(self.store, self._caches, clean(name))

    def assign(self, variant: str) -> None:
        """Book the present request under the variant; without a request this does nothing."""
        exchange = CURRENT.get()
        if exchange is not None:
            exchange.variant = variant

    @contextmanager
    def serving(self, variant: str) -> Iterator[None]:
        """Book what happens inside as one request of the variant: for queues and batches, where no middleware is."""
        started = perf_counter()
        outcome = "error"
        try:
            yield
            outcome = "success"
        finally:
            self.variants.served(variant, outcome, perf_counter() - started)

    @guarded
    def business_impact(self, variant: str, money_a_day: float) -> None:
        """Set what the service itself reckons the variant to be worth."""
        self.variants.impact.child(variant).set(money_a_day)

    def accuracy_of(self, variant: str) -> Accuracy:
        """Return the running accuracy of a variant, shared by its model versions."""
        with self._lock:
            return self._accuracies.setdefault(variant, Accuracy())

    def exposition(self, accept: str = "", accept_encoding: str = "") -> Exposition:
        """Return the metrics as a scrape gets them: of all worker processes in multi-process mode."""
        self.refresh()
        return render(self.store.registry, accept, accept_encoding)

    @guarded
    def refresh(self) -> None:
        """Bring the process's own metrics up to date."""
        self.resources.refresh()


class _PredictionMetrics:
    """The families that all models share."""

    def __init__(self, store: Store) -> None:
        self.made = store.counter("ml_predictions_total")
        self.errors = store.counter("ml_prediction_errors_total")
        self.duration = store.histogram("ml_prediction_duration_seconds")
        self.confidence = store.histogram("ml_prediction_confidence_ratio")
        self.scores = store.counter("ml_prediction_scores_total")
        self.truths = store.counter("ml_prediction_truths_total")
        self.absolute_error = store.histogram("ml_prediction_absolute_error")
        self.r2 = store.gauge("ml_model_r2_ratio")
        self.last = store.gauge("ml_last_prediction_timestamp_seconds")
        self.load_duration = store.gauge("ml_model_load_duration_seconds")
        self.loaded = store.gauge("ml_model_loaded_timestamp_seconds")


class ModelRecorder:
    """Records what one version of one model does."""

    def __init__(self, recorder: Recorder, metrics: _PredictionMetrics, name: str, version: str, variant: str) -> None:
        self.store = recorder.store
        self.variant = variant
        self._recorder = recorder
        self._metrics = metrics
        self._key = (name, version, variant)
        self._determination = Determination()
        self._next_r2 = 0.0
        self._prepared: set[str] = set()

    def predict(self) -> Prediction:
        """Time and count one prediction, as a context manager; set its `confidence` and `score` inside.

        The present request is booked under the model's variant.
        """
        return Prediction(self)

    @guarded
    def observed(
        self, seconds: float, *, confidence: float | None = None, score: float | None = None, failed: bool = False
    ) -> None:
        """Count one prediction that was timed elsewhere.

        Args:
            seconds: Time that it took.
            confidence: How sure the model is, 0 to 1.
            score: What is compared for drift, 0 to 1: a probability, or a value scaled to its usual range.
            failed: Whether it raised; then only the failure counts.
        """
        metrics, key = self._metrics, self._key
        if failed:
            metrics.errors.child(*key).inc()
            return
        metrics.errors.child(*key)
        metrics.made.child(*key).inc()
        metrics.duration.child(*key).observe(seconds)
        metrics.last.child(*key).set(time())
        if confidence is not None and not math.isnan(confidence):
            metrics.confidence.child(*key).observe(confidence)
        if score is not None and not math.isnan(score):
            self._prepare(metrics.scores, SCORE_BINS)
            bin_label = SCORE_BINS[min(bisect_left(_BIN_BOUNDS, score), len(SCORE_BINS) - 1)]
            metrics.scores.child(*key, bin_label).inc()

    @guarded
    def correct(self, correct: bool) -> None:
        """Book a classification whose truth became known."""
        self._prepare(self._metrics.truths, ("correct", "incorrect"))
        self._metrics.truths.child(*self._key, "correct" if correct else "incorrect").inc()
        if self.variant:
            # A comparison of arrays gives an array's own kind of truth.
            share = self._recorder.accuracy_of(self.variant).add(correct=bool(correct))
            self._recorder.variants.accuracy.child(self.variant).set(share)

    @guarded
    def truth(self, predicted: float, actual: float) -> None:
        """Book a regression whose truth became known."""
        error = abs(predicted - actual)
        if not math.isfinite(error):
            return
        self._metrics.absolute_error.child(*self._key).observe(error)
        self._determination.add(predicted, actual)
        now = perf_counter()
        if now >= self._next_r2:
            self._next_r2 = now + _R2_INTERVAL
            r2 = self._determination.value()
            if r2 is not None:
                self._metrics.r2.child(*self._key).set(r2)

    @guarded
    def loaded(self, seconds: float) -> None:
        """Book that the model was loaded, and how long that took."""
        self._metrics.load_duration.child(*self._key).set(seconds)
        self._metrics.loaded.child(*self._key).set(time())

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Time a load; a load that raises is not booked."""
        started = perf_counter()
        yield
        self.loaded(perf_counter() - started)

    def _prepare(self, family: Family[Counter], last_labels: Sequence[str]) -> None:
        # A counter that first shows as 1 has lost that 1 for `increase`; a bin that nobody hit is empty, not unknown.
        if last_labels[0] not in self._prepared:
            self._prepared.add(last_labels[0])
            for label in last_labels:
                family.child(*self._key, label)


class Prediction:
    """One prediction while it is made.

    Attributes:
        confidence: How sure the model is, 0 to 1; optional.
        score: What is compared for drift, 0 to 1; optional.
    """

    __slots__ = ("_model", "_started", "confidence", "score")

    def __init__(self, model: ModelRecorder) -> None:
        self._model = model
        self._started = 0.0
        self.confidence: float | None = None
        self.score: float | None = None

    def __enter__(self) -> Prediction:
        if self._model.variant:
            exchange = CURRENT.get()
            if exchange is not None:
                exchange.variant = self._model.variant
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._started
        self._model.observed(seconds, confidence=self.confidence, score=self.score, failed=kind is not None)


class _CacheMetrics:
    """The families that all caches share."""

    def __init__(self, store: Store) -> None:
        self.requests = store.counter("ml_cache_requests_total")
        self.size = store.gauge("ml_cache_size_bytes")
        self.entries = store.gauge("ml_cache_entries")


class CacheRecorder:
    """Records what one cache does."""

    def __init__(self, store: Store, metrics: _CacheMetrics, name: str) -> None:
        self.store = store
        self._metrics = metrics
        self._name = name

    @guarded
    def hit(self) -> None:
        """Count a look-up that found its entry."""
        self._metrics.requests.child(self._name, "hit").inc()

    @guarded
    def miss(self) -> None:
        """Count a look-up that did not."""
        self._metrics.requests.child(self._name, "miss").inc()

    @guarded
    def size(self, *, size_bytes: float | None = None, entries: int | None = None) -> None:
        """Set what the cache holds at present."""
        if size_bytes is not None:
            self._metrics.size.child(self._name).set(size_bytes)
        if entries is not None:
            self._metrics.entries.child(self._name).set(entries)
