"""Where a recorder sends what nobody scrapes: batch jobs and notebooks are gone before a scrape comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from prometheus_client import CollectorRegistry, pushadd_to_gateway, write_to_textfile
from prometheus_client.exposition import default_handler
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from ml_monitoring.instrument.calls import explained
from ml_monitoring.instrument.catalog import CATALOG
from ml_monitoring.instrument.options import checked_type


@dataclass(frozen=True, slots=True)
class JobSamples:
    """What a run of a job says of itself at its start or at its end.

    Attributes:
        name: Of the job.
        labels: Of its series.
        values: By metric; what is not among them stays as it was.
    """

    name: str
    labels: Mapping[str, str]
    values: Mapping[str, float]


class Exporter(Protocol):
    """Sends what a job says; it raises where that fails, which the recorder counts and logs, and the job goes on."""

    def _push_job(self, samples: JobSamples) -> None: ...


class MetricsExporter(Exporter, Protocol):
    """Sends all metrics as well, now and then."""

    def _start(self, send: Callable[[], None]) -> None: ...

    def _send(self, families: Iterable[Metric]) -> None: ...


class _Collected(Collector):
    def __init__(self, samples: JobSamples) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        labels = self._samples.labels
        for name, value in self._samples.values.items():
            family = GaugeMetricFamily(name, CATALOG[name].help, labels=tuple(labels))
            family.add_metric(tuple(labels.values()), value)
            yield family


def _registry(samples: JobSamples) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Collected(samples))
    return registry


class Pushgateway:
    """Sends jobs to a Prometheus Pushgateway, a group for each job.

    Args:
        url: Its address, such as `http://pushgateway:9091`.
        timeout: Seconds that a push may take; a job starts, and ends, so much later at most.
        handler: As that of `prometheus_client.push_to_gateway`, for authentication or TLS.
    """

    @explained
    def __init__(
        self, url: str, *, timeout: float = 10.0, handler: Callable[..., Callable[[], Any]] = default_handler
    ) -> None:
        checked_type("url", url, str, "the address of a Pushgateway")
        checked_type("timeout", timeout, (int, float), "a number of seconds")
        self._url = url
        self._timeout = timeout
        self._handler = handler

    def _push_job(self, samples: JobSamples) -> None:
        """Replace those metrics of the job's group that there are samples of."""
        registry = _registry(samples)
        try:
            pushadd_to_gateway(
                self._url, job=samples.name, registry=registry, timeout=self._timeout, handler=self._handler
            )
        except OSError as error:
            # Up to the last @ there may be a password.
            address = re.sub(r"^(\w+://)?.*@", r"\1", self._url)
            raise OSError(f"job {samples.name!r} to {address}: {getattr(error, 'reason', error)}") from None


class Textfile:
    """Writes jobs into files that node exporter's textfile collector reads, one for each job.

    Args:
        folder: That of node exporter's `--collector.textfile.directory`.
    """

    @explained
    def __init__(self, folder: str | Path) -> None:
        checked_type("folder", folder, (str, Path), "a folder")
        self._folder = Path(folder)

    def _push_job(self, samples: JobSamples) -> None:
        """Write the job's file, with what it held of other metrics; readers see the one file or the other."""
        path = self._folder / f"ml_job_{quote(samples.name, safe='')}.prom"
        before: dict[str, float] = {}
        if path.exists():
            families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
            before = {each.name: each.samples[0].value for each in families if each.name in CATALOG and each.samples}
        merged = JobSamples(samples.name, samples.labels, {**before, **samples.values})
        write_to_textfile(str(path), _registry(merged))
