"""What a service records: requests by variant, predictions and their truth, caches and model loads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import timedelta
from functools import cached_property, wraps
from numbers import Integral
from typing import ClassVar, Concatenate, Final, Literal, ParamSpec, TypeVar, cast

from prometheus_client import REGISTRY, CollectorRegistry

from ml_monitoring.instrument.attributes import WithoutAttributes
from ml_monitoring.instrument.blocks import ReusableBlock, makes_block
from ml_monitoring.instrument.calls import explained, mismatch
from ml_monitoring.instrument.catalog import INFERENCE_BUCKETS, RESPONSE_BUCKETS
from ml_monitoring.instrument.cells import ExperimentRecorder, cell_of
from ml_monitoring.instrument.exporters import Exporter, MetricsExporter
from ml_monitoring.instrument.exposition import Exposition, render
from ml_monitoring.instrument.families import Metrics, add_operation, guarded
from ml_monitoring.instrument.jobs import Job, interval_seconds
from ml_monitoring.instrument.mistakes import WrongValueError, finite, shown, text
from ml_monitoring.instrument.models import ModelRecorder, PredictionMetrics
from ml_monitoring.instrument.options import ExtraLabels, Hook, checked_buckets, checked_name, checked_type, disabled
from ml_monitoring.instrument.process import ProcessMetrics
from ml_monitoring.instrument.quality import RollingAccuracy
from ml_monitoring.instrument.requests import CURRENT, RequestMetrics, VariantMetrics
from ml_monitoring.instrument.tracing import Exemplars

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")

_NO_REQUEST: Final = (
    "no request is recorded here, or it is excluded or over: use track_request where there is no HTTP, and "
    "copy_context().run for a thread"
)


def _forgiven_in_requests(
    method: Callable[Concatenate[Recorder, _Given], _Made],
) -> Callable[Concatenate[Recorder, _Given], _Made]:
    """Make a method log wrong arguments while a request is answered, and return what records nothing."""
    operation = add_operation(method.__name__)
    bare = cast("Callable[[Recorder, str], _Made]", method)

    @wraps(method)
    def call(self: Recorder, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Made:
        try:
            return method(self, *args, **kwargs)
        except (TypeError, ValueError) as error:
            if CURRENT.get() is None:
                raise
            problem = str(error).removeprefix(f"{operation}: ")
            if isinstance(error, TypeError):
                problem = mismatch(method, (self, *args), kwargs) or problem
            self._metrics.failed(operation, WrongValueError(problem))
            return bare(self._silent, "none")

    return call


class Recorder(WithoutAttributes):
    """Records into one Prometheus registry. Several recorders may share one, if they have the same options.

    With the environment variable `ML_MONITORING_INSTRUMENT_DISABLED=1` it records nothing.

    Args:
        registry: Where the metrics are registered; the client library's own by default, so that metrics of yours
            are served along.
        origin: Value of the label `origin` on everything; leave it out for real traffic.
        labels: Labels that requests get beside `method`, `route` and `status`: constant values, or functions that
            return the value for an ASGI scope, WSGI environment or gRPC call (see `from_header`).
        max_label_sets: Cap on the label sets of each metric; what exceeds it is recorded under `other`.
        response_buckets: Upper bounds of the response time histograms, in seconds.
        inference_buckets: Upper bounds of the prediction time histogram, in seconds.
        exemplars: Whether response and prediction times carry the `trace_id` of sampled traces.
        sizes: Whether sizes of requests and responses are recorded.
        exporter: Where everything is sent, by `otlp` or an `Otlp` of that module; or only jobs, which may end before a
            scrape: a `Pushgateway` or `Textfile`.

    Raises:
        ValueError: An option is wrong, or a recorder of the same registry has other ones.
    """

    _is_silent: ClassVar[bool] = False

    @explained
    def __init__(
        self,
        *,
        registry: CollectorRegistry = REGISTRY,
        origin: str | None = None,
        labels: Mapping[str, str | Hook] | None = None,
        max_label_sets: int = 500,
        response_buckets: Iterable[float] | None = None,
        inference_buckets: Iterable[float] | None = None,
        exemplars: bool = False,
        sizes: bool = False,
        exporter: Exporter | Literal["otlp"] | None = None,
    ) -> None:
        response = checked_buckets("response_buckets", response_buckets, RESPONSE_BUCKETS)
        inference = checked_buckets("inference_buckets", inference_buckets, INFERENCE_BUCKETS)
        extra = ExtraLabels({} if labels is None else labels)
        checked_type("registry", registry, CollectorRegistry, "a CollectorRegistry")
        if origin is not None:
            checked_type("origin", origin, str, "text")
        checked_type("max_label_sets", max_label_sets, Integral, "a whole number")
        checked_type("exemplars", exemplars, bool, "True or False")
        checked_type("sizes", sizes, bool, "True or False")
        if max_label_sets < 1:
            raise ValueError(f"max_label_sets: {max_label_sets} is less than 1")
        by_name = exporter is None or (isinstance(exporter, str) and exporter == "otlp")
        if isinstance(exporter, type) and hasattr(exporter, "_push_job"):
            raise ValueError(f"exporter: {shown(exporter)} is a class: call it, {shown(exporter)}(...)")
        if not by_name and (isinstance(exporter, type) or not hasattr(exporter, "_push_job")):
            raise ValueError(f"exporter: {shown(exporter)} is none: give 'otlp', an Otlp, a Pushgateway or a Textfile")
        self._metrics = Metrics(
            registry,
            origin=origin,
            extra_labels=extra.names,
            buckets={
                "ml_http_request_duration_seconds": response,
                "ab_test_response_time_seconds": response,
                "ml_prediction_duration_seconds": inference,
            },
            max_label_sets=max_label_sets,
            disabled=self._is_silent or disabled(),
        )
        traces = Exemplars() if exemplars else None
        # One for each registry: two would count the processor's time twice.
        self._process = self._metrics.shared(
            f"process {origin} {self._metrics.disabled}", lambda: ProcessMetrics(self._metrics)
        )
        self._variants = VariantMetrics(self._metrics)
        self._requests = RequestMetrics(
            self._metrics, self._variants, self._process, labels=extra, exemplars=traces, sizes=sizes
        )
        self._predictions = PredictionMetrics(self._metrics, self._variants, traces)
        self._caches = _CacheMetrics(self._metrics)
        self._exporter: Exporter | None = self._otlp() if exporter == "otlp" else exporter
        self._metrics_exporter: MetricsExporter | None = None
        if hasattr(self._exporter, "_start") and not self._metrics.disabled:
            self._metrics_exporter = cast("MetricsExporter", self._exporter)
            self._metrics_exporter._start(self._send_metrics)
        self._accuracies: dict[str, RollingAccuracy] = {}
        self._lock = threading.Lock()

    @cached_property
    def _silent(self) -> Recorder:
        return _SilentRecorder(registry=CollectorRegistry())

    @explained
    @_forgiven_in_requests
    def model(self, name: str, version: str = "", *, variant: str = "") -> ModelRecorder:
        """Return the recorder of one model version; keep it, it is cheaper than asking for each prediction.

        Args:
            name: Of the model.
            version: As text or a number.
            variant: Which variant of a test it answers for, if any.

        Raises:
            ValueError: One of them is something else.
        """
        name = checked_name("model: name", name)
        if version is None:
            self._metrics.note("model", f"the version of {name!r} is None; it is recorded without one")
        version = checked_name("model: version", version, optional=True)
        variant = checked_name("model: variant", variant, optional=True)
        with self._lock:
            # Shared by all versions of the variant.
            accuracy = self._accuracies.setdefault(variant, RollingAccuracy())
        model = ModelRecorder(self._predictions, accuracy, name, version, variant)
        model._prepare()
        return model

    @explained
    @_forgiven_in_requests
    def cache(self, name: str) -> CacheRecorder:
        """Return the recorder of one cache."""
        cache = CacheRecorder(self._caches, checked_name("cache: name", name))
        cache._prepare()
        return cache

    @explained
    @_forgiven_in_requests
    def experiment(self, name: str) -> ExperimentRecorder:
        """Return the recorder of an experiment whose units (users, sessions) come back; keep it."""
        return ExperimentRecorder(self._variants.cells, checked_name("experiment: name", name))

    @guarded
    def set_variant(self, variant: str, *, unit: Hashable | None = None) -> None:
        """Attribute the current request to the variant; where none is recorded, that is logged and nothing else.

        Args:
            variant: Which one answers it.
            unit: What is given a variant once and makes many requests, such as a user's or a session's id. Only the
                cell that it is hashed into is kept: errors and times are then counted by cell as well.
        """
        context = CURRENT.get()
        if context is None or context.recorded:
            self._metrics.note("set_variant", f"{_NO_REQUEST}; it is not recorded")
            return
        context.variant = text("variant", variant)
        if unit is not None:
            context.cell = cell_of(unit)

    @makes_block
    @_forgiven_in_requests
    def track_request(self, variant: str, *, unit: Hashable | None = None) -> TrackedRequest:
        """Record what happens inside as one request of the variant: for queues and batches, where no middleware is.

        A context manager, and a decorator of functions, coroutine functions among them.

        Args:
            variant: Which one answers it.
            unit: As that of `set_variant`.

        Raises:
            ValueError: The variant is a function, as where a decorator lacks its brackets.
        """
        if callable(variant):
            raise ValueError(  # noqa: TRY004  # as all wrong options
                'track_request: give a variant: @recorder.track_request("...")'
            )
        request = TrackedRequest(self._variants)
        # Here, where the caller is known: a decorated function is called by anybody.
        request._track_request(variant, unit)
        return request

    @makes_block
    @_forgiven_in_requests
    def job(self, name: str, *, every: str | float | timedelta | None = None) -> Job:
        """Record a run of a batch job or notebook: when it started, how it ended and how long it took.

        It fails with any exception, an interrupt or a `SystemExit` other than 0 among them. Also a decorator
        of functions, coroutine functions among them.

        Args:
            name: Of the job, the same for each run.
            every: How soon it is to succeed again, in seconds or as `30m`, `12h`, `1d`; without it no alert expects it.

        Raises:
            ValueError: The name is no text, or `every` no positive duration.
        """
        if callable(name):
            raise ValueError(  # noqa: TRY004  # as all wrong options
                f'job: give a name: @recorder.job("{getattr(name, "__name__", "...")}")'
            )
        return Job(self, checked_name("job: name", name), interval_seconds(every))

    @guarded
    def set_business_impact(self, variant: str, per_day: float) -> None:
        """Set the money a day that the service itself attributes to the variant."""
        self._variants.impact.child(text("variant", variant)).set(finite("per_day", per_day))

    @explained
    def exposition(self, accept: str | None = "", accept_encoding: str | None = "") -> Exposition:
        """Return what a scrape gets, for web frameworks that are neither ASGI nor WSGI.

        Args:
            accept: The scraper's `Accept` header; None where there is none.
            accept_encoding: Its `Accept-Encoding` header; the same.
        """
        for name, header in (("accept", accept), ("accept_encoding", accept_encoding)):
            if header is not None:
                checked_type(name, header, str, "the text of a header")
        self._refresh()
        return render(self._metrics.registry, accept or "", accept_encoding or "")

    def _otlp(self) -> Exporter | None:
        if self._metrics.disabled:
            return None
        try:
            from ml_monitoring.instrument.otlp import Otlp  # noqa: PLC0415  # an extra, which most do without
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("opentelemetry"):
                raise
            raise ModuleNotFoundError(
                f"exporter='otlp' needs {error.name}: pip install 'ml-monitoring-instrument[otlp]'", name=error.name
            ) from None

        # One for each registry: two would send everything twice.
        return self._metrics.shared("otlp", Otlp)

    @guarded
    def _send_metrics(self) -> None:
        if self._metrics_exporter is not None:
            self._refresh()
            self._metrics_exporter._send(self._metrics.registry.collect())

    @guarded
    def _refresh(self) -> None:
        self._process.refresh()
        for requests in tuple(self._requests.neighbours):
            requests.prepare()


class _SilentRecorder(Recorder):
    _is_silent = True


class TrackedRequest(ReusableBlock[VariantMetrics], operation="track_request"):
    """A request where no middleware is; `Recorder.track_request` makes it."""

    _variant = ""
    _cell = ""

    @guarded
    def _track_request(self, variant: str, unit: Hashable | None) -> None:
        self._cell = "" if unit is None else cell_of(unit)
        self._variant = text("variant", variant)

    def _end(self, seconds: float, error: BaseException | None) -> None:
        if self._variant:
            self._owner.record_request(self._variant, "success" if error is None else "error", seconds, cell=self._cell)


class _CacheMetrics:
    """The families that all caches share."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.requests = metrics.counter("ml_cache_requests_total")
        self.size = metrics.gauge("ml_cache_size_bytes")
        self.entries = metrics.gauge("ml_cache_entries")


class CacheRecorder(WithoutAttributes):
    """Records what one cache does."""

    def __init__(self, families: _CacheMetrics, name: str) -> None:
        self._metrics = families.metrics
        self._families = families
        self._name = name

    @guarded
    def _prepare(self) -> None:
        for outcome in ("hit", "miss"):
            self._families.requests.prepare(self._name, outcome)

    @guarded
    def record_hit(self) -> None:
        """Count a look-up that found its entry."""
        self._families.requests.child(self._name, "hit").inc()

    @guarded
    def record_miss(self) -> None:
        """Count a look-up that did not."""
        self._families.requests.child(self._name, "miss").inc()

    @guarded
    def set_size(self, *, size_bytes: float | None = None, entries: int | None = None) -> None:
        """Set what the cache holds now."""
        if size_bytes is None and entries is None:
            raise WrongValueError("neither size_bytes nor entries is given")
        if size_bytes is not None:
            self._families.size.child(self._name).set(finite("size_bytes", size_bytes, 0))
        if entries is not None:
            self._families.entries.child(self._name).set(finite("entries", entries, 0))
