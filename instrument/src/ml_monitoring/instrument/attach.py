"""Attach the middleware that fits an application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ml_monitoring.instrument.asgi import ASGIMiddleware
from ml_monitoring.instrument.recorder import Recorder
from ml_monitoring.instrument.wsgi import WSGIMiddleware


def instrument(
    app: Any,
    recorder: Recorder | None = None,
    *,
    metrics_path: str | None = "/metrics",
    variant_of: Callable[[Any], str | None] | None = None,
) -> Recorder:
    """Put the middleware on a FastAPI, Starlette or Flask application and serve its metrics.

    Args:
        app: The application, before it serves its first request.
        recorder: Where to record; a new one with its defaults unless given.
        metrics_path: Path of the scrape endpoint; None when it is served elsewhere.
        variant_of: Tells the variant from the ASGI scope or WSGI environment, for services that know it beforehand.

    Returns:
        The recorder, for predictions, caches and model loads.

    Raises:
        TypeError: The application is of another framework; wrap it in `ASGIMiddleware` or `WSGIMiddleware`.
    """
    kept = recorder or Recorder()
    if callable(getattr(app, "add_middleware", None)):
        app.add_middleware(ASGIMiddleware, recorder=kept, metrics_path=metrics_path, variant_of=variant_of)
    elif callable(getattr(app, "wsgi_app", None)):
        app.wsgi_app = WSGIMiddleware(app.wsgi_app, kept, metrics_path=metrics_path, variant_of=variant_of)
    else:
        raise TypeError(
            f"{type(app).__name__} is neither Starlette, FastAPI nor Flask: wrap it in ASGIMiddleware or WSGIMiddleware"
        )
    return kept
