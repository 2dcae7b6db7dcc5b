"""The application with OpenTelemetry's instrumentation, and its metrics by OTLP: `python with_... PORT URL`."""

import sys

from application import app, run
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

reader = PeriodicExportingMetricReader(OTLPMetricExporter(sys.argv[2]), export_interval_millis=1000)
metrics.set_meter_provider(MeterProvider([reader], Resource.create({"service.name": "ranker"})))
FastAPIInstrumentor.instrument_app(app)
run()
