"""Native histograms of servers: read as buckets at the bounds of the layer, which rules and pages take rates of.

How many observations are below a bound is exact where the bound is one of the histogram's, and interpolated within one
bucket elsewhere. It is rounded, and never falls before a restart: a histogram that is made coarser moves what is
interpolated, and a counter that falls is taken for one that began again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ml_monitoring.exporter.catalog import METRICS

# So that an error of floating point is no fall.
_ROUNDED: Final = 0.001


def records(record: str, by_unit: Mapping[int, str], by: Sequence[str], job: str) -> Iterator[tuple[str, str]]:
    """Yield what is recorded of a histogram of the layer: itself by unit, its buckets, count and sum.

    Args:
        record: Name of the histogram.
        by_unit: PromQL of native histograms with the labels of the layer, by how many decimal places their unit is
            smaller than the second. Of several the first that there is counts.
        by: Labels of the layer.
        job: Of Prometheus.
    """
    names = {decimals: f"{record}:native_e{decimals}" for decimals in by_unit}
    yield from ((names[decimals], expr) for decimals, expr in by_unit.items())
    series = {decimals: f'{name}{{job="{job}"}}' for decimals, name in names.items()}
    counts = " or ".join(f"histogram_count({each})" for each in series.values())
    (bounds,) = (metric.buckets for metric in METRICS if metric.name == record)
    now = "\nor\n".join(
        _bucket(each, repr(bound), f"{bound * 10**decimals:.12g}")
        for decimals, each in series.items()
        for bound in bounds
    )
    before = f'{record}_bucket{{job="{job}"}} and on ({", ".join(by)}) (({counts}) >= {record}_count{{job="{job}"}})'
    yield (
        f"{record}_bucket",
        f'max by ({", ".join(by)}, le) (\nlabel_replace({before}, "kept", "before", "", "")\nor\n{now}\nor\n'
        f'label_replace({counts}, "le", "+Inf", "", "")\n)',
    )
    # After the buckets, which look at the count that was recorded before.
    yield f"{record}_count", counts
    yield (
        f"{record}_sum",
        " or ".join(
            f"histogram_sum({each})" + (f" / 1e{decimals}" if decimals else "") for decimals, each in series.items()
        ),
    )


def _bucket(series: str, le: str, bound: str) -> str:
    """Return how many observations of a native histogram are not above a bound."""
    count = f"histogram_count({series})"
    share = f"histogram_fraction(-Inf, {bound}, {series})"
    return f'label_replace(round({share} * ({count} > 0), {_ROUNDED}) or 0 * {count}, "le", "{le}", "", "")'
