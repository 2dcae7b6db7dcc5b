"""Content negotiation of `/metrics`: which body for which request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ml_monitoring.exporter.exposition import OPENMETRICS_CONTENT_TYPE, TEXT_CONTENT_TYPE
from ml_monitoring.exporter.snapshot import Bodies

# Scrapers send the same headers each time.
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Representation:
    """The form of `/metrics` that a client is sent: its format and encoding."""

    openmetrics: bool
    gzip: bool

    @classmethod
    def of(cls, accept: list[str], accept_encoding: list[str]) -> Representation:
        """Choose by the `Accept` and `Accept-Encoding` headers of a request."""
        return _negotiate(",".join(accept), ",".join(accept_encoding))

    def body(self, bodies: Bodies) -> bytes:
        """Return the body in this form."""
        body = bodies.openmetrics if self.openmetrics else bodies.text
        return body.gzip if self.gzip else body.plain

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that tell what the body is."""
        kind = OPENMETRICS_CONTENT_TYPE if self.openmetrics else TEXT_CONTENT_TYPE
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding"}
        return {**headers, "Content-Encoding": "gzip"} if self.gzip else headers


@lru_cache(maxsize=_REMEMBERED)
def _negotiate(accept: str, accept_encoding: str) -> Representation:
    return Representation(_prefers_openmetrics(accept), _accepts_gzip(accept_encoding))


def _prefers_openmetrics(accept: str) -> bool:
    """Tell whether a client wants OpenMetrics more than, or as much as, the text format."""
    openmetrics = text = 0.0
    for name, quality in _weights(accept):
        if name == "application/openmetrics-text":
            openmetrics = max(openmetrics, quality)
        elif name == "text/plain":
            text = max(text, quality)
    return openmetrics > 0 and openmetrics >= text


def _accepts_gzip(accept_encoding: str) -> bool:
    weights = dict(_weights(accept_encoding))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weights(header: str) -> list[tuple[str, float]]:
    """Return each name in an `Accept` or `Accept-Encoding` header with its quality."""
    weights = []
    for part in header.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if name:
            weights.append((name.lower(), quality))
    return weights
