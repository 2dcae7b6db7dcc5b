"""Our renderer against prometheus_client's on the same families."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Metric as ClientMetric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

from ml_monitoring.exporter.catalog import METRICS, MetricKind
from ml_monitoring.exporter.exposition import OPENMETRICS_END, render_openmetrics, render_text
from ml_monitoring.exporter.families import Distribution, MetricFamily

_LABEL = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', "\\", "\n", "µ 検", '\\"\n']
)
_VALUE = st.floats(allow_nan=False) | st.sampled_from(
    [0.0, -0.0, 1e6, 999999.0, 1e-5, math.inf, -math.inf, 1793491200.5]
)
_COUNT = st.integers(0, 10**9)


@st.composite
def _families(draw: st.DrawFn) -> list[MetricFamily]:
    families = []
    for metric in draw(st.lists(st.sampled_from(METRICS), max_size=4, unique_by=lambda metric: metric.name)):
        family = MetricFamily(metric, (), 1_000_000)
        label_sets = st.lists(st.tuples(*(_LABEL for _label in metric.labels)), max_size=4, unique=True)
        for labels in draw(label_sets):
            if metric.kind is MetricKind.HISTOGRAM:
                counts = draw(st.tuples(*(_COUNT for _bound in range(len(metric.buckets) + 1))))
                family.add_distribution(counts, draw(st.floats(0, 1e12)), *labels)
            else:
                family.add(draw(_VALUE), *labels)
        families.append(family)
    return families


class _Collector:
    """The same families, as prometheus_client's own objects."""

    def __init__(self, families: list[MetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterable[ClientMetric]:
        return [_client_family(family) for family in self._families]


def _client_family(family: MetricFamily) -> ClientMetric:
    metric = family.metric
    if metric.kind is MetricKind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=family.labels, unit=_unit(family))
        for labels, value in family.samples.items():
            assert isinstance(value, Distribution)
            cumulative = 0
            buckets = []
            for bound, count in zip((*metric.buckets, math.inf), value.counts, strict=True):
                cumulative += count
                buckets.append((floatToGoString(bound), cumulative))
            histogram.add_metric(labels, buckets, value.total)
        return histogram
    kind = CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
    plain = kind(metric.name, metric.help, labels=family.labels, unit=_unit(family))
    for labels, value in family.samples.items():
        assert isinstance(value, float)
        plain.add_metric(labels, value)
    return plain


def _unit(family: MetricFamily) -> str:
    name = family.metric.name.removesuffix("_total")
    return next((unit for unit in ("seconds", "bytes", "ratio") if name.endswith(f"_{unit}")), "")


def _registry(families: list[MetricFamily]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Collector(families))
    return registry


@given(_families())
def test_text_equals_prometheus_clients(families: list[MetricFamily]) -> None:
    assert render_text(families) == generate_latest(_registry(families))


@given(_families())
def test_openmetrics_equals_prometheus_clients(families: list[MetricFamily]) -> None:
    assert render_openmetrics(families) + OPENMETRICS_END == generate_openmetrics(_registry(families))


def test_a_lone_surrogate_does_not_take_the_scrape_down() -> None:
    family = MetricFamily(next(metric for metric in METRICS if metric.name == "mlflow_experiments"), (), 10)
    family.add(1, "\ud800")
    assert b'mlflow_experiments{lifecycle_stage="?"} 1.0\n' in render_text([family])
