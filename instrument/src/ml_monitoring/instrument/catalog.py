"""Every metric that this library exposes, declared once: traffic by variant, HTTP, predictions, caches, the process.

Dashboards and alerts of the stack are written against these names, labels and buckets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

# Says where the data comes from: left out for real traffic, `simulated` for a demo's.
ORIGIN_LABEL: Final = "origin"
# A batch job's name: `job` is what Prometheus calls a group of targets.
JOB_LABEL: Final = "job_name"
# Says by which way a job's series come that are there for some minutes only: `otlp`, else it is left out.
EXPORTER_LABEL: Final = "exporter"

# Fine around the usual objectives (100 ms, 250 ms, 500 ms), so that a percentile near one of them means something.
RESPONSE_BUCKETS: Final = (
    *(0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25),
    *(0.35, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0),
)
# One forward pass takes a fraction of a millisecond (a tree) to seconds (a language model).
INFERENCE_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CONFIDENCE_BUCKETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
# The unit is the target's own, so the bounds span magnitudes; the mean error is exact whatever the bounds.
ABSOLUTE_ERROR_BUCKETS: Final = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 50.0, 100.0, 1000.0)
SIZE_BUCKETS: Final = (100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0, 10_000_000.0, 100_000_000.0)
# As OpenTelemetry's conventions on generative AI advise; what they advise for tokens beyond a million is left out.
FIRST_TOKEN_BUCKETS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25),
    *(0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
PER_TOKEN_BUCKETS: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
GENERATION_BUCKETS: Final = tuple(0.01 * 2**power for power in range(14))
TOKEN_BUCKETS: Final = tuple(float(4**power) for power in range(11))
# Upper bounds of the bins in which prediction scores are counted for drift.
SCORE_BINS: Final = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0")
# Cells that units (users, sessions) are hashed into.
CELLS: Final = tuple(str(cell) for cell in range(32))

Kind = Literal["counter", "gauge", "histogram"]
Unit = Literal["count", "seconds", "timestamp_seconds", "bytes", "ratio", "currency", "any"]
# How prometheus_client makes one value out of those of several worker processes.
MultiprocessMode = Literal["mostrecent", "max", "livesum", "livemin", "livemax"]


@dataclass(frozen=True, slots=True)
class ServiceMetric:
    """One metric as Prometheus sees it.

    Attributes:
        name: Full name; a counter's ends in `_total`.
        kind: Prometheus type.
        help: One sentence for the `# HELP` line.
        unit: Base unit of the sample values.
        labels: Label names, in the order in which values are given.
        optional_labels: Labels that an emitter may leave out.
        buckets: Upper bounds of a histogram without +Inf, ascending, in the base unit.
        multiprocess_mode: How a gauge's values of several worker processes become one.
    """

    name: str
    kind: Kind
    help: str
    unit: Unit
    labels: tuple[str, ...]
    optional_labels: tuple[str, ...] = (ORIGIN_LABEL,)
    buckets: tuple[float, ...] = ()
    multiprocess_mode: MultiprocessMode = "mostrecent"


def _counter(name: str, help: str, unit: Unit, *labels: str) -> ServiceMetric:
    return ServiceMetric(name, "counter", help, unit, labels)


def _gauge(name: str, help: str, unit: Unit, *labels: str, mode: MultiprocessMode) -> ServiceMetric:
    return ServiceMetric(name, "gauge", help, unit, labels, multiprocess_mode=mode)


def _histogram(name: str, help: str, unit: Unit, *labels: str, buckets: tuple[float, ...]) -> ServiceMetric:
    return ServiceMetric(name, "histogram", help, unit, labels, buckets=buckets)


_CELL = ("experiment", "variant", "metric", "cell")
_MODEL = ("model", "model_version", "variant")

_AB_TEST = (
    replace(
        _counter(
            "ab_test_requests_total",
            "Requests that the variant answered, by outcome (success, error, abandoned).",
            "count",
            "variant",
        ),
        # A service that counts by hand may leave the outcome out.
        optional_labels=("outcome", ORIGIN_LABEL),
    ),
    _counter(
        "ab_test_errors_total",
        "Requests of the variant that failed: an exception, or a status of 500 and above.",
        "count",
        "variant",
    ),
    _histogram(
        "ab_test_response_time_seconds",
        "Time from a request of the variant to the last byte of its response.",
        "seconds",
        "variant",
        buckets=RESPONSE_BUCKETS,
    ),
    _gauge(
        "ab_test_model_accuracy",
        "Share of right predictions among the variant's latest ones whose truth is known (at most 1000).",
        "ratio",
        "variant",
        mode="mostrecent",
    ),
    _gauge(
        "ab_test_business_impact",
        "Money a day that the service itself attributes to the variant; negative when it loses.",
        "currency",
        "variant",
        mode="mostrecent",
    ),
    _counter(
        "ab_test_cell_trials_total",
        "Observations of units (users, sessions) by the cell that a unit is hashed into.",
        "count",
        *_CELL,
    ),
    _counter(
        "ab_test_cell_value_total",
        "Sum of what was observed, by cell: successes, seconds, money.",
        "any",
        *_CELL,
    ),
    _counter(
        "ab_test_cell_value_squared_total",
        "Sum of the squares of what was observed, by cell.",
        "any",
        *_CELL,
    ),
    _counter(
        "ab_test_cell_first_exposures_total",
        "Units that were shown the variant for the first time, by cell, as far as a process remembers.",
        "count",
        "experiment",
        "variant",
        "cell",
    ),
)

_HTTP = (
    _counter(
        "ml_http_requests_total",
        "Requests by route template and status; 499 when the client left before the end of the response.",
        "count",
        "method",
        "route",
        "status",
    ),
    _histogram(
        "ml_http_request_duration_seconds",
        "Time from a request to the last byte of its response.",
        "seconds",
        "method",
        "route",
        buckets=RESPONSE_BUCKETS,
    ),
    _histogram(
        "ml_http_request_size_bytes",
        "Size of request bodies by their `Content-Length`; only of recorders with `sizes=True`.",
        "bytes",
        "method",
        "route",
        buckets=SIZE_BUCKETS,
    ),
    _histogram(
        "ml_http_response_size_bytes",
        "Size of response bodies as they were sent; only of recorders with `sizes=True`.",
        "bytes",
        "method",
        "route",
        buckets=SIZE_BUCKETS,
    ),
    _gauge("ml_http_requests_in_progress", "Requests that are being answered.", "count", mode="livesum"),
    _counter(
        "ml_websocket_connections_total",
        "WebSocket connections that ended, by how (closed, rejected, failed, abandoned).",
        "count",
        "route",
        "outcome",
    ),
    _gauge("ml_websocket_connections_open", "WebSocket connections that are open.", "count", mode="livesum"),
)

_PREDICTIONS = (
    _counter("ml_predictions_total", "Predictions made.", "count", *_MODEL),
    _counter("ml_prediction_errors_total", "Predictions that raised an exception.", "count", *_MODEL),
    _histogram(
        "ml_prediction_duration_seconds",
        "Time that a prediction took, without the request around it.",
        "seconds",
        *_MODEL,
        buckets=INFERENCE_BUCKETS,
    ),
    _histogram(
        "ml_prediction_confidence_ratio",
        "How sure the model said it was.",
        "ratio",
        *_MODEL,
        buckets=CONFIDENCE_BUCKETS,
    ),
    _counter(
        "ml_prediction_scores_total",
        "Predictions by the bin that their score fell into; the label is the bin's upper bound.",
        "count",
        *_MODEL,
        "bin",
    ),
    _counter(
        "ml_prediction_truths_total",
        "Predictions whose truth became known, by whether they were right (correct, incorrect).",
        "count",
        *_MODEL,
        "outcome",
    ),
    _histogram(
        "ml_prediction_absolute_error",
        "Distance between prediction and truth, in the target's unit, once the truth is known.",
        "any",
        *_MODEL,
        buckets=ABSOLUTE_ERROR_BUCKETS,
    ),
    _gauge(
        "ml_model_r2_ratio",
        "Share of the target's variance that the latest predictions with known truth explain (at most 1000).",
        "ratio",
        *_MODEL,
        mode="mostrecent",
    ),
    _gauge(
        "ml_last_prediction_timestamp_seconds",
        "When the model last made a prediction.",
        "timestamp_seconds",
        *_MODEL,
        mode="max",
    ),
    _gauge("ml_model_load_duration_seconds", "Time that the last load took.", "seconds", *_MODEL, mode="mostrecent"),
    _gauge(
        "ml_model_loaded_timestamp_seconds", "When the model was last loaded.", "timestamp_seconds", *_MODEL, mode="max"
    ),
)

# Names follow OpenTelemetry's `gen_ai.*`: `gen_ai.server.time_to_first_token` and so on, `gen_ai.usage.*_tokens`,
# `gen_ai.response.finish_reasons`. The prefix keeps them apart from what its own instrumentations expose.
_GENERATION = (
    _counter(
        "ml_gen_ai_responses_total",
        "Answers of a language model by reason (stop, length, tool_calls, content_filter, abort, error, other).",
        "count",
        *_MODEL,
        "finish_reason",
    ),
    _histogram(
        "ml_gen_ai_time_to_first_token_seconds",
        "Time from a request to the first token of its answer.",
        "seconds",
        *_MODEL,
        buckets=FIRST_TOKEN_BUCKETS,
    ),
    _histogram(
        "ml_gen_ai_time_per_output_token_seconds",
        "Mean time between the tokens of an answer after the first one.",
        "seconds",
        *_MODEL,
        buckets=PER_TOKEN_BUCKETS,
    ),
    _histogram(
        "ml_gen_ai_request_duration_seconds",
        "Time from a request to the last token of its answer.",
        "seconds",
        *_MODEL,
        buckets=GENERATION_BUCKETS,
    ),
    _histogram(
        "ml_gen_ai_usage_tokens",
        "Tokens of prompts (input) and answers (output).",
        "count",
        *_MODEL,
        "token_type",
        buckets=TOKEN_BUCKETS,
    ),
    _gauge(
        "ml_gen_ai_requests_waiting", "Requests that wait for a place in a batch.", "count", *_MODEL, mode="livesum"
    ),
    _gauge(
        "ml_gen_ai_kv_cache_utilization_ratio",
        "Used share of the memory for keys and values of attention.",
        "ratio",
        *_MODEL,
        mode="livemax",
    ),
)

_JOBS = tuple(
    replace(metric, optional_labels=(EXPORTER_LABEL, ORIGIN_LABEL))
    for metric in (
        _gauge(
            "ml_job_last_start_timestamp_seconds",
            "When a run of the batch job last started.",
            "timestamp_seconds",
            JOB_LABEL,
            mode="max",
        ),
        _gauge(
            "ml_job_last_success_timestamp_seconds",
            "When a run of the batch job last ended without an exception.",
            "timestamp_seconds",
            JOB_LABEL,
            mode="max",
        ),
        _gauge(
            "ml_job_last_failure_timestamp_seconds",
            "When a run of the batch job last ended with an exception.",
            "timestamp_seconds",
            JOB_LABEL,
            mode="max",
        ),
        _gauge(
            "ml_job_last_duration_seconds",
            "Time that the last run of the batch job took, whether it succeeded or failed.",
            "seconds",
            JOB_LABEL,
            mode="mostrecent",
        ),
        _gauge(
            "ml_job_interval_seconds",
            "Time within which the batch job is to succeed again; 0 when it declares none.",
            "seconds",
            JOB_LABEL,
            mode="mostrecent",
        ),
    )
)

_CACHE = (
    _counter("ml_cache_requests_total", "Lookups by outcome (hit, miss).", "count", "cache", "outcome"),
    _gauge("ml_cache_size_bytes", "Memory that the cache holds.", "bytes", "cache", mode="livesum"),
    _gauge("ml_cache_entries", "Entries that the cache holds.", "count", "cache", mode="livesum"),
)

_PROCESS = (
    _gauge(
        "ml_process_start_timestamp_seconds", "When the service's process started.", "timestamp_seconds", mode="livemin"
    ),
    _counter("ml_process_cpu_seconds_total", "Processor time used by all worker processes.", "seconds"),
    _gauge("ml_process_cpu_limit_cores", "Cores that the service may use.", "count", mode="livemax"),
    _gauge("ml_process_memory_bytes", "Resident memory of all worker processes.", "bytes", mode="livesum"),
    _gauge("ml_process_memory_limit_bytes", "Memory that the service may use.", "bytes", mode="livemax"),
    _gauge("ml_process_disk_used_bytes", "Used space of the disk with the working folder.", "bytes", mode="livemax"),
    _gauge("ml_process_disk_limit_bytes", "Size of the disk with the working folder.", "bytes", mode="livemax"),
)

_SELF = (
    _counter(
        "ml_instrument_errors_total",
        "Recordings that failed; the request went on unharmed.",
        "count",
        "operation",
    ),
    _counter(
        "ml_instrument_overflow_total",
        "Recordings that were booked under `other` because the metric had too many label sets.",
        "count",
        "family",
    ),
)


SERVICE_METRICS: Final = (*_AB_TEST, *_HTTP, *_PREDICTIONS, *_GENERATION, *_JOBS, *_CACHE, *_PROCESS, *_SELF)
CATALOG: Final[Mapping[str, ServiceMetric]] = MappingProxyType({metric.name: metric for metric in SERVICE_METRICS})
