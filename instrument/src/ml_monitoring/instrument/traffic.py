"""What both middlewares record of a request: by route, and by the variant that answered it."""

from __future__ import annotations

from typing import Final

from ml_monitoring.instrument.labels import method_label, status_label
from ml_monitoring.instrument.resources import Resources
from ml_monitoring.instrument.store import Store, guarded

# A client that left before the end of the response, as nginx books it.
CLIENT_LEFT: Final = 499
_FAILURE: Final = 500


class Exchange:
    """One request while it is answered.

    Attributes:
        variant: Which variant answers it, once that is known.
    """

    __slots__ = ("variant",)

    def __init__(self) -> None:
        self.variant = ""


class VariantMetrics:
    """The `ab_test_*` metrics."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._requests = store.counter("ab_test_requests_total", "outcome")
        self._errors = store.counter("ab_test_errors_total")
        self._seconds = store.histogram("ab_test_response_time_seconds")
        self.accuracy = store.gauge("ab_test_model_accuracy")
        self.impact = store.gauge("ab_test_business_impact")

    @guarded
    def served(self, variant: str, outcome: str, seconds: float) -> None:
        """Count one request of the variant."""
        self._requests.child(variant, outcome).inc()
        errors = self._errors.child(variant)
        if outcome == "error":
            errors.inc()
        self._seconds.child(variant).observe(seconds)


class HttpMetrics:
    """The `ml_http_*` and `ml_websocket_*` metrics."""

    def __init__(self, store: Store, variants: VariantMetrics, resources: Resources) -> None:
        self.store = store
        self._variants = variants
        self._resources = resources
        self._requests = store.counter("ml_http_requests_total")
        self._seconds = store.histogram("ml_http_request_duration_seconds")
        self._in_progress = store.gauge("ml_http_requests_in_progress")
        self._connections = store.counter("ml_websocket_connections_total")
        self._open = store.gauge("ml_websocket_connections_open")

    @guarded
    def begun(self) -> None:
        """Note that a request came in."""
        self._in_progress.child().inc()

    @guarded
    def ended(self) -> None:
        """Note that a request is over."""
        self._in_progress.child().dec()

    @guarded
    def answered(self, method: str, route: str, status: int, seconds: float, variant: str) -> None:
        """Count a request that is over.

        Args:
            method: As the client sent it.
            route: Template of the route, never the raw path.
            status: What was sent; `CLIENT_LEFT` when the client did not wait for the end.
            seconds: Until the last byte was handed to the server.
            variant: Which variant answered; empty when none did.
        """
        method = method_label(method)
        self._requests.child(method, route, status_label(status)).inc()
        self._seconds.child(method, route).observe(seconds)
        if variant:
            outcome = "error" if status >= _FAILURE else "abandoned" if status == CLIENT_LEFT else "success"
            self._variants.served(variant, outcome, seconds)
        self._resources.refresh_if_due()

    @guarded
    def opened(self) -> None:
        """Note that a WebSocket connection was accepted."""
        self._open.child().inc()

    @guarded
    def closed(self, route: str, outcome: str, *, was_open: bool) -> None:
        """Count a WebSocket connection that is over."""
        if was_open:
            self._open.child().dec()
        self._connections.child(route, outcome).inc()
