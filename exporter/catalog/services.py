"""Metrics of services with the library `ml_monitoring.instrument`, as its catalog declares them.

That is a distribution of its own, which need not be installed here: `make generate` writes its catalog to
`services.json`, and the contract test compares the two.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from ml_monitoring.exporter.catalog.base import Metric, MetricKind, Unit

ORIGIN: Final = "service"


def _metric(declared: dict[str, Any]) -> Metric:
    return Metric(
        name=declared["name"],
        kind=MetricKind(declared["kind"]),
        help=declared["help"],
        unit=Unit(declared["unit"]),
        labels=tuple(declared["labels"]),
        origin=ORIGIN,
        buckets=tuple(declared["buckets"]),
        optional_labels=tuple(declared["optional_labels"]),
    )


SERVICE_METRICS: Final[tuple[Metric, ...]] = tuple(
    map(_metric, json.loads(Path(__file__).with_name("services.json").read_text(encoding="utf-8")))
)


def _buckets(name: str) -> tuple[float, ...]:
    return next(metric.buckets for metric in SERVICE_METRICS if metric.name == name)


# Of a service that does not set its own.
RESPONSE_BUCKETS: Final = _buckets("ml_http_request_duration_seconds")
FIRST_TOKEN_BUCKETS: Final = _buckets("ml_gen_ai_time_to_first_token_seconds")
