"""Recording rules: what several panels and alerts need, computed once.

To add a rule, add one entry to the module of its topic. To add a topic, add a module with a tuple and list it in
`TOPICS`. Rules of a topic are evaluated in their order, so one may use those above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from alerting.recording import (
    ab_test,
    business,
    exporter,
    host,
    mlflow,
    mlflow_traces,
    quality,
    slo,
    traffic,
    variants,
)
from alerting.recording.base import Record

__all__ = ["RECORDS", "TOPICS", "Record"]

TOPICS: Mapping[str, tuple[Record, ...]] = MappingProxyType(
    {
        "exporter": exporter.RECORDS,
        "mlflow": mlflow.RECORDS,
        "mlflow_traces": mlflow_traces.RECORDS,
        "variants": variants.RECORDS,
        "traffic": traffic.RECORDS,
        "quality": quality.RECORDS,
        "ab_test": ab_test.RECORDS,
        "slo": slo.RECORDS,
        "business": business.RECORDS,
        "host": host.RECORDS,
    }
)

RECORDS: tuple[Record, ...] = tuple(record for records in TOPICS.values() for record in records)
