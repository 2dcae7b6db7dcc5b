"""Metrics of services with `ml_monitoring.instrument`: traffic by variant, HTTP, predictions, cache, resources."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ml_monitoring.exporter.catalog.base import Metric, Unit, counter, gauge, histogram

ORIGIN: Final = "service"
# Says where the data comes from: left out for real traffic, `simulated` for a demo's.
ORIGIN_LABEL: Final = "origin"

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
# Upper bounds of the bins in which prediction scores are counted for drift.
SCORE_BINS: Final = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0")

_MODEL = ("model", "model_version", "variant")

_AB_TEST = (
    replace(
        counter(
            "ab_test_requests_total",
            "Requests that the variant answered, by outcome (success, error, abandoned).",
            Unit.COUNT,
            "variant",
            origin=ORIGIN,
        ),
        # A service that counts by hand may leave the outcome out.
        optional_labels=("outcome",),
    ),
    counter(
        "ab_test_errors_total",
        "Requests of the variant that failed: an exception, or a status of 500 and above.",
        Unit.COUNT,
        "variant",
        origin=ORIGIN,
    ),
    histogram(
        "ab_test_response_time_seconds",
        "Time from a request of the variant to the last byte of its response.",
        Unit.SECONDS,
        "variant",
        origin=ORIGIN,
        buckets=RESPONSE_BUCKETS,
    ),
    gauge(
        "ab_test_model_accuracy",
        "Share of right predictions among the variant's latest ones whose truth is known (at most 1000).",
        Unit.RATIO,
        "variant",
        origin=ORIGIN,
    ),
    gauge(
        "ab_test_business_impact",
        "Money a day that the service itself attributes to the variant; negative when it loses.",
        Unit.CURRENCY,
        "variant",
        origin=ORIGIN,
    ),
)

_HTTP = (
    counter(
        "ml_http_requests_total",
        "Requests by route template and status; 499 when the client left before the end of the response.",
        Unit.COUNT,
        "method",
        "route",
        "status",
        origin=ORIGIN,
    ),
    histogram(
        "ml_http_request_duration_seconds",
        "Time from a request to the last byte of its response.",
        Unit.SECONDS,
        "method",
        "route",
        origin=ORIGIN,
        buckets=RESPONSE_BUCKETS,
    ),
    gauge("ml_http_requests_in_progress", "Requests that are being answered.", Unit.COUNT, origin=ORIGIN),
    counter(
        "ml_websocket_connections_total",
        "WebSocket connections that ended, by how (closed, rejected, failed, abandoned).",
        Unit.COUNT,
        "route",
        "outcome",
        origin=ORIGIN,
    ),
    gauge("ml_websocket_connections_open", "WebSocket connections that are open.", Unit.COUNT, origin=ORIGIN),
)

_PREDICTIONS = (
    counter("ml_predictions_total", "Predictions made.", Unit.COUNT, *_MODEL, origin=ORIGIN),
    counter("ml_prediction_errors_total", "Predictions that raised an exception.", Unit.COUNT, *_MODEL, origin=ORIGIN),
    histogram(
        "ml_prediction_duration_seconds",
        "Time that a prediction took, without the request around it.",
        Unit.SECONDS,
        *_MODEL,
        origin=ORIGIN,
        buckets=INFERENCE_BUCKETS,
    ),
    histogram(
        "ml_prediction_confidence_ratio",
        "How sure the model said it was.",
        Unit.RATIO,
        *_MODEL,
        origin=ORIGIN,
        buckets=CONFIDENCE_BUCKETS,
    ),
    counter(
        "ml_prediction_scores_total",
        "Predictions by the bin that their score fell into; the label is the bin's upper bound.",
        Unit.COUNT,
        *_MODEL,
        "bin",
        origin=ORIGIN,
    ),
    counter(
        "ml_prediction_truths_total",
        "Predictions whose truth became known, by whether they were right (correct, incorrect).",
        Unit.COUNT,
        *_MODEL,
        "outcome",
        origin=ORIGIN,
    ),
    histogram(
        "ml_prediction_absolute_error",
        "Distance between prediction and truth, in the target's unit, once the truth is known.",
        Unit.ANY,
        *_MODEL,
        origin=ORIGIN,
        buckets=ABSOLUTE_ERROR_BUCKETS,
    ),
    gauge(
        "ml_model_r2_ratio",
        "Share of the target's variance that the latest predictions with known truth explain (at most 1000).",
        Unit.RATIO,
        *_MODEL,
        origin=ORIGIN,
    ),
    gauge(
        "ml_last_prediction_timestamp_seconds",
        "When the model last made a prediction.",
        Unit.TIMESTAMP,
        *_MODEL,
        origin=ORIGIN,
    ),
    gauge("ml_model_load_duration_seconds", "Time that the last load took.", Unit.SECONDS, *_MODEL, origin=ORIGIN),
    gauge(
        "ml_model_loaded_timestamp_seconds", "When the model was last loaded.", Unit.TIMESTAMP, *_MODEL, origin=ORIGIN
    ),
)

_CACHE = (
    counter(
        "ml_cache_requests_total", "Lookups by outcome (hit, miss).", Unit.COUNT, "cache", "outcome", origin=ORIGIN
    ),
    gauge("ml_cache_size_bytes", "Memory that the cache holds.", Unit.BYTES, "cache", origin=ORIGIN),
    gauge("ml_cache_entries", "Entries that the cache holds.", Unit.COUNT, "cache", origin=ORIGIN),
)

_PROCESS = (
    gauge("ml_process_start_timestamp_seconds", "When the service's process started.", Unit.TIMESTAMP, origin=ORIGIN),
    counter(
        "ml_process_cpu_seconds_total", "Processor time used by all worker processes.", Unit.SECONDS, origin=ORIGIN
    ),
    gauge("ml_process_cpu_limit_cores", "Cores that the service may use.", Unit.COUNT, origin=ORIGIN),
    gauge("ml_process_memory_bytes", "Resident memory of all worker processes.", Unit.BYTES, origin=ORIGIN),
    gauge("ml_process_memory_limit_bytes", "Memory that the service may use.", Unit.BYTES, origin=ORIGIN),
    gauge("ml_process_disk_used_bytes", "Used space of the disk with the working folder.", Unit.BYTES, origin=ORIGIN),
    gauge("ml_process_disk_limit_bytes", "Size of the disk with the working folder.", Unit.BYTES, origin=ORIGIN),
)

_SELF = (
    counter(
        "ml_instrument_errors_total",
        "Recordings that failed; the request went on unharmed.",
        Unit.COUNT,
        "operation",
        origin=ORIGIN,
    ),
    counter(
        "ml_instrument_overflow_total",
        "Recordings that were booked under `other` because the metric had too many label sets.",
        Unit.COUNT,
        "family",
        origin=ORIGIN,
    ),
)


def _with_origin(metric: Metric) -> Metric:
    return replace(metric, optional_labels=(*metric.optional_labels, ORIGIN_LABEL))


SERVICE_METRICS: tuple[Metric, ...] = tuple(
    _with_origin(metric) for metric in (*_AB_TEST, *_HTTP, *_PREDICTIONS, *_CACHE, *_PROCESS, *_SELF)
)
