"""The application with OpenTelemetry's instrumentation, and its metrics for Prometheus, as its documentation says."""

from application import app, run
from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import make_asgi_app

metrics.set_meter_provider(MeterProvider([PrometheusMetricReader()], Resource.create({"service.name": "ranker"})))
FastAPIInstrumentor.instrument_app(app, excluded_urls="metrics")
app.mount("/metrics", make_asgi_app())
run()
