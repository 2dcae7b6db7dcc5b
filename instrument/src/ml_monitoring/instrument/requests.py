"""What a request is recorded as, whatever protocol it came by: by route, and by the variant that answered it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Final, NamedTuple
from weakref import WeakSet

from ml_monitoring.instrument.cells import CellMetrics, CellSeries
from ml_monitoring.instrument.families import FAILURES, OUTCOMES, Metrics, guarded
from ml_monitoring.instrument.labels import UNMATCHED, method_label, status_label
from ml_monitoring.instrument.options import ExtraLabels, Hook, OnFailure, Request, ask, checked_hook, excluded
from ml_monitoring.instrument.process import ProcessMetrics
from ml_monitoring.instrument.routes import KnownRoute
from ml_monitoring.instrument.tracing import Exemplar, Exemplars, of_traceparent

# A client that left before the end of the response, as nginx records it.
CLIENT_LEFT: Final = 499
_FAILURE: Final = 500


class RequestContext:
    """One request while it is answered.

    Attributes:
        variant: Which variant answers it, once that is known.
        exemplar: The trace that it belongs to, if exemplars are on.
        sent: Bytes of the response's body so far.
        cell: Cell of the unit (user, session) that made it, once that is known.
        recorded: Whether it is over, so that nothing is taken from here any more.
    """

    __slots__ = ("cell", "exemplar", "recorded", "sent", "variant")

    def __init__(self) -> None:
        self.variant = ""
        self.cell = ""
        self.recorded = False
        self.exemplar: Exemplar | None = None
        self.sent = 0


# Where a request says which recorder counts it: an application that is mounted in another may be instrumented, too.
COUNTED: Final = "ml_monitoring.instrument"
# The request that is being answered; handlers in a thread pool see the same object through their copied context.
CURRENT: ContextVar[RequestContext | None] = ContextVar("ml_monitoring_request", default=None)


class VariantMetrics:
    """The `ab_test_*` metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._requests = metrics.counter("ab_test_requests_total", "outcome")
        self._errors = metrics.counter("ab_test_errors_total")
        self._seconds = metrics.histogram("ab_test_response_time_seconds")
        self.accuracy = metrics.gauge("ab_test_model_accuracy")
        self.impact = metrics.gauge("ab_test_business_impact")
        self.cells = CellMetrics(metrics)
        # Found at once, since each request needs several. What has no series of its own is not kept: there may be any
        # number of it, and each booking counts as an overflow.
        self._series: dict[tuple[str, str, str], _VariantSeries] = {}

    def prepare(self, variant: str) -> None:
        """Make the variant's errors, at 0. Not its requests: that there are some says that it takes part."""
        self._errors.prepare(variant)

    @guarded
    def record_request(
        self, variant: str, outcome: str, seconds: float, exemplar: Exemplar | None = None, cell: str = ""
    ) -> None:
        """Count one request of the variant, and by the cell of the unit that made it where that is known."""
        series = self._series.get((variant, outcome, cell)) or self._find(variant, outcome, cell)
        failed = outcome == "error"
        series.requests()
        if failed:
            series.errors()
        series.seconds(seconds, exemplar)
        by_cell = series.by_cell
        if by_cell is not None:
            by_cell.requests()
            if failed:
                by_cell.errors()
            by_cell.seconds(seconds)
            by_cell.squares(seconds * seconds)

    def _find(self, variant: str, outcome: str, cell: str) -> _VariantSeries:
        by_cell, own = self.cells.of_requests(variant, cell) if cell else (None, True)
        found = _VariantSeries(
            self._requests.child(variant, outcome).inc,
            self._errors.child(variant).inc,
            self._seconds.child(variant).observe,
            by_cell,
        )
        own = own and self._requests.keeps(variant, outcome)
        if own and self._errors.keeps(variant) and self._seconds.keeps(variant):
            self._series[variant, outcome, cell] = found
        return found


class _VariantSeries(NamedTuple):
    """What counts the requests of one variant that end alike."""

    requests: Callable[[], None]
    errors: Callable[[], None]
    seconds: Callable[[float, Exemplar | None], None]
    by_cell: CellSeries | None


class RequestMetrics:
    """The `ml_http_*` and `ml_websocket_*` metrics."""

    def __init__(
        self,
        metrics: Metrics,
        variants: VariantMetrics,
        process: ProcessMetrics,
        *,
        labels: ExtraLabels,
        exemplars: Exemplars | None,
        sizes: bool,
    ) -> None:
        self._metrics = metrics
        self._variants = variants
        self._process = process
        self._labels = labels
        self.exemplars = exemplars
        self.sizes = sizes
        self._requests = metrics.counter("ml_http_requests_total", extra=True)
        self._seconds = metrics.histogram("ml_http_request_duration_seconds", extra=True)
        if sizes:
            self._received = metrics.histogram("ml_http_request_size_bytes", extra=True)
            self._sent = metrics.histogram("ml_http_response_size_bytes", extra=True)
        self._in_progress = metrics.gauge("ml_http_requests_in_progress")
        self._connections = metrics.counter("ml_websocket_connections_total", extra=True)
        self._open = metrics.gauge("ml_websocket_connections_open")
        # Asked for at each scrape: applications get routes after they are instrumented.
        self.known_routes: list[Callable[[], Iterable[KnownRoute]]] = []
        # A scrape of one recorder shows all of its registry; applications made again and again in tests go.
        self.neighbours: WeakSet[RequestMetrics] = metrics.shared("neighbours", WeakSet)
        self.neighbours.add(self)

    @guarded
    def prepare(self) -> None:
        """Make what is counted of each route that applications have, at 0 before anybody asks for it."""
        if not self._labels.constant:
            # Unknown before the first request, which makes the others with its own.
            return
        extra = self._labels.values(None, self._metrics.hook_failed)
        routes = [route for known in self.known_routes for route in known()]
        for route in routes:
            for outcome in () if route.methods else OUTCOMES:
                self._connections.prepare(route.template, outcome, *extra)
        # What matters most of all routes first: there may not be room for everything.
        for status in (FAILURES[0], "", *FAILURES[1:]):
            for route in routes:
                for method in route.methods:
                    for one in (status,) if status else route.statuses:
                        self._requests.prepare(method, route.template, one, *extra)

    @property
    def disabled(self) -> bool:
        """Return whether nothing is recorded."""
        return self._metrics.disabled

    @property
    def hook_failed(self) -> OnFailure:
        """Return what counts and logs that a hook failed."""
        return self._metrics.hook_failed

    def note(self, operation: str, problem: str) -> None:
        """Log what the service most likely did not mean."""
        self._metrics.note(operation, problem)

    @guarded
    def started(self) -> None:
        """Note that a request came in."""
        self._in_progress.child().inc()

    @guarded
    def finished(self) -> None:
        """Note that a request is over."""
        self._in_progress.child().dec()

    @guarded
    def record(
        self,
        request: Request,
        context: RequestContext,
        *,
        method: str,
        route: str,
        status: int,
        seconds: float,
        received: int | None = None,
    ) -> None:
        """Count a request that is over.

        Args:
            request: What the hooks of `labels` get.
            context: Its variant, exemplar and size.
            method: As the client sent it.
            route: Template of the route, never the raw path.
            status: What was sent; `CLIENT_LEFT` when the client did not wait for the end.
            seconds: Until the last byte was handed to the server.
            received: Size of the request's body, if sizes are on and known.
        """
        context.recorded = True
        method = method_label(method)
        exemplar, variant = context.exemplar, context.variant
        extra = self._labels.values(request, self._metrics.hook_failed) if self._labels.names else ()
        self._requests.child(method, route, status_label(status), *extra).inc()
        self._seconds.child(method, route, *extra).observe(seconds, exemplar)
        if received is not None:
            self._received.child(method, route, *extra).observe(received)
            self._sent.child(method, route, *extra).observe(context.sent)
        if variant:
            outcome = "error" if status >= _FAILURE else "abandoned" if status == CLIENT_LEFT else "success"
            self._variants.record_request(variant, outcome, seconds, exemplar, context.cell)
        self._process.refresh_if_due()

    @guarded
    def connection_opened(self) -> None:
        """Note that a WebSocket connection was accepted."""
        self._open.child().inc()

    @guarded
    def connection_closed(self, request: Request, route: str, outcome: str, *, was_open: bool) -> None:
        """Count a WebSocket connection that is over."""
        if was_open:
            self._open.child().dec()
        extra = self._labels.values(request, self._metrics.hook_failed) if self._labels.names else ()
        self._connections.child(route, outcome, *extra).inc()


class Hooks:
    """What a middleware asks of a request: is it excluded, which route, which variant, which trace.

    Args:
        requests: Where failures of hooks are counted.
        exclude: Regular expressions of paths that are not recorded; the whole path must match.
        get_route: Returns the route template.
        get_variant: Returns the variant.
    """

    def __init__(
        self, requests: RequestMetrics, *, exclude: Iterable[str], get_route: Hook, get_variant: Hook | None
    ) -> None:
        self._hook_failed = requests.hook_failed
        self._exemplars = requests.exemplars
        self._get_route = checked_hook("get_route", get_route) or get_route
        self._get_variant = checked_hook("get_variant", get_variant)
        self._excluded = excluded(exclude)

    def excludes(self, path: str) -> bool:
        """Return whether requests of the path are not recorded."""
        return self._excluded is not None and self._excluded(path) is not None

    def route(self, request: Request) -> str:
        """Return the template of the route that took the request, or `UNMATCHED`."""
        return ask("get_route", self._get_route, request, self._hook_failed) or UNMATCHED

    def set_variant(self, request: Request, context: RequestContext) -> None:
        """Take the variant from the request, unless the handler has set it."""
        if self._get_variant is not None and not context.variant:
            context.variant = ask("get_variant", self._get_variant, request, self._hook_failed)

    def set_trace(self, context: RequestContext, traceparent: str = "") -> None:
        """Take the trace from OpenTelemetry, or from the header that the client sent."""
        if self._exemplars is not None:
            context.exemplar = (
                self._exemplars.current() or (of_traceparent(traceparent) if traceparent else None) or context.exemplar
            )
