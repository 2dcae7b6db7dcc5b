"""What panels, rules and alerts may use although this project does not export it, and the other way round.

To use a metric of another program, add it to `FOREIGN` with the labels that it has beside `job` and `instance`. To
export a metric that nothing shows, add it to `UNUSED` and say why it exists; with the first page or rule of a domain
take the domain out of `UNUSED_ORIGINS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Every scraped series has these; a rule may aggregate them away.
TARGET_LABELS: frozenset[str] = frozenset({"job", "instance"})

FOREIGN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        # Prometheus, of its own rules and of each target that it scrapes.
        "ALERTS": frozenset({"alertname", "alertstate", "severity", "team", "source"}),
        "scrape_duration_seconds": frozenset(),
        "scrape_samples_scraped": frozenset(),
        "up": frozenset(),
        # Prometheus client libraries, of the process that they are in.
        "process_cpu_seconds_total": frozenset(),
        "process_resident_memory_bytes": frozenset(),
    }
)

UNUSED: Mapping[str, str] = MappingProxyType({})

# Domains (`Metric.origin`) of which nothing is shown yet.
UNUSED_ORIGINS: Mapping[str, str] = MappingProxyType(
    {
        "alertlog": "the page Alerts is not built yet",
    }
)
