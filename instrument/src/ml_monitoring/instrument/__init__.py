"""Monitoring for ML services: one line puts traffic, latency, errors, model quality and variants into Prometheus.

    from ml_monitoring.instrument import instrument
    recorder = instrument(app)                             # FastAPI, Starlette or Flask; serves /metrics too
    model = recorder.model("churn", "3", variant="B")
    with model.predict() as prediction:
        prediction.confidence = ...

Needs `prometheus-client` and nothing else of this project's dependencies.
"""

from __future__ import annotations

from ml_monitoring.instrument.asgi import ASGIMiddleware, MetricsApp
from ml_monitoring.instrument.attach import instrument
from ml_monitoring.instrument.recorder import CacheRecorder, ModelRecorder, Prediction, Recorder
from ml_monitoring.instrument.wsgi import WSGIMiddleware, wsgi_metrics_app

__all__ = [
    "ASGIMiddleware",
    "CacheRecorder",
    "MetricsApp",
    "ModelRecorder",
    "Prediction",
    "Recorder",
    "WSGIMiddleware",
    "instrument",
    "wsgi_metrics_app",
]
