"""Metrics of language models as OpenTelemetry's conventions say, by its SDK: `python with_gen_ai.py PORT [URL]`.

They are exposed for Prometheus on the port, and sent to the URL where one is given. The model `gpt` is asked by this
service; `llama` is served by it, and asked by it too.
"""

import sys
from threading import Event

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics as names
from prometheus_client import start_http_server

port, *urls = sys.argv[1:]
readers = [PrometheusMetricReader()]
readers += [PeriodicExportingMetricReader(OTLPMetricExporter(url), export_interval_millis=1000) for url in urls]
meter = MeterProvider(readers, Resource.create({"service.name": "assistant"})).get_meter("answers")


def seconds(name: str, *bounds: float):
    """Return a histogram of times."""
    return meter.create_histogram(name, "s", explicit_bucket_boundaries_advisory=bounds)


asked = seconds(names.GEN_AI_CLIENT_OPERATION_DURATION, 0.64, 1.28, 2.56)
served = seconds(names.GEN_AI_SERVER_REQUEST_DURATION, 0.5, 1.0, 2.5)
first = seconds(names.GEN_AI_SERVER_TIME_TO_FIRST_TOKEN, 0.1, 0.25, 0.5)
first_chunk = seconds(names.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK, 0.1, 0.25, 0.5)
per_token = seconds(names.GEN_AI_SERVER_TIME_PER_OUTPUT_TOKEN, 0.025, 0.05)
usage = meter.create_histogram(
    names.GEN_AI_CLIENT_TOKEN_USAGE, "{token}", explicit_bucket_boundaries_advisory=(64, 256)
)


def attributes(model: str, operation: str = "chat", **more: str) -> dict[str, str]:
    """Return what the conventions require, and what may be there."""
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "server.address": "127.0.0.1",
        **{name.replace("_", ".", 2): value for name, value in more.items()},
    }


def tokens(model: str, read: int, written: int) -> None:
    """Record what an answer used."""
    usage.record(read, attributes(model, gen_ai_token_type="input"))
    usage.record(written, attributes(model, gen_ai_token_type="output"))


for _ in range(12):
    asked.record(1.0, attributes("gpt"))
    first_chunk.record(0.2, attributes("gpt"))
    tokens("gpt", 100, 50)
for _ in range(3):
    asked.record(2.0, {**attributes("gpt"), "error.type": "timeout"})
for _ in range(5):
    asked.record(0.1, attributes("gpt", "embeddings"))
for _ in range(8):
    served.record(2.0, attributes("llama"))
    first.record(0.3, attributes("llama"))
    per_token.record(0.03, attributes("llama"))
    tokens("llama", 300, 200)
for _ in range(7):
    asked.record(2.2, attributes("llama"))
start_http_server(int(port), "127.0.0.1")
Event().wait()
