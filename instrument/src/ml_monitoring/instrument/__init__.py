"""Monitoring for ML services: one line puts traffic, latency, errors, model quality and variants into Prometheus.

    from ml_monitoring.instrument import instrument
    recorder = instrument(app)                             # FastAPI, Starlette, Flask or Django; serves /metrics too
    model = recorder.model("churn", "3", variant="B")
    with model.track_prediction() as prediction:
        prediction.confidence = ...

Needs `prometheus-client` and nothing else.
"""

from __future__ import annotations

from contextlib import suppress

from ml_monitoring.instrument.asgi import ASGIMiddleware, make_asgi_app
from ml_monitoring.instrument.cells import ExperimentRecorder
from ml_monitoring.instrument.exporters import Pushgateway, Textfile
from ml_monitoring.instrument.exposition import Exposition
from ml_monitoring.instrument.generations import Generation
from ml_monitoring.instrument.instrumentation import instrument
from ml_monitoring.instrument.models import ModelRecorder, Prediction
from ml_monitoring.instrument.options import HEALTH_CHECKS, disabled, from_header
from ml_monitoring.instrument.recorder import CacheRecorder, Recorder
from ml_monitoring.instrument.shared_folder import join
from ml_monitoring.instrument.wsgi import WSGIMiddleware, make_wsgi_app

__all__ = [
    "HEALTH_CHECKS",
    "ASGIMiddleware",
    "CacheRecorder",
    "ExperimentRecorder",
    "Exposition",
    "Generation",
    "ModelRecorder",
    "Prediction",
    "Pushgateway",
    "Recorder",
    "Textfile",
    "WSGIMiddleware",
    "from_header",
    "instrument",
    "make_asgi_app",
    "make_wsgi_app",
]

# Metrics that a service makes itself, maybe before a recorder, need the folder that worker processes share.
with suppress(ValueError):
    # A recorder says what is wrong; a script that imports this goes on.
    if not disabled():
        join()
