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
# Of a service that does not set its own.
RESPONSE_BUCKETS: Final = next(m.buckets for m in SERVICE_METRICS if m.name == "ml_http_request_duration_seconds")
