"""Where a recorder sends what nobody scrapes: batch jobs and notebooks are gone before a scrape comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from prometheus_client import CollectorRegistry, pushadd_to_gateway, write_to_textfile
from prometheus_client.exposition import default_handler
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from ml_monitoring.instrument.calls import explained
from ml_monitoring.instrument.catalog import CATALOG
from ml_monitoring.instrument.mistakes import shown
from ml_monitoring.instrument.options import checked_type, takes

# What prometheus_client calls a handler with.
_HANDLED: Final = ("url", "method", "timeout", "headers", "data")


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


def _is_address(url: str) -> bool:
    """Return whether requests can be sent there; prometheus_client puts `http://` in front where nothing is."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        # It is looked at only here.
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)


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
        # Up to the last @ there may be a password.
        self._address = re.sub(r"^(\w+://)?.*@", r"\1", url)
        if not _is_address(url):
            raise ValueError(f"url: {self._address!r} is no address of a Pushgateway, such as http://pushgateway:9091")
        checked_type("timeout", timeout, (int, float), "a number of seconds")
        if not 0 < timeout < inf:
            raise ValueError(f"timeout: {timeout!r} is not a positive number of seconds")
        if not callable(handler) or not takes(handler, **dict.fromkeys(_HANDLED)):
            raise ValueError(f"handler: {shown(handler)} is no function of {', '.join(_HANDLED)}")
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
            raise OSError(f"job {samples.name!r} to {self._address}: {getattr(error, 'reason', error)}") from None


class Textfile:
    """Writes jobs into files that node exporter's textfile collector reads, one for each job.

    Args:
        folder: That of node exporter's `--collector.textfile.directory`.
    """

    @explained
    def __init__(self, folder: str | Path) -> None:
        checked_type("folder", folder, (str, Path), "a folder")
        if not str(folder):
            raise ValueError("folder: it is empty")
        self._folder = Path(folder)

    def _push_job(self, samples: JobSamples) -> None:
        """Write the job's file, with what it held of other metrics; readers see the one file or the other."""
        try:
            self._write(samples)
        except OSError as error:
            raise OSError(f"job {samples.name!r} into {self._folder}: {error.strerror}") from None

    def _write(self, samples: JobSamples) -> None:
        path = self._folder / f"ml_job_{quote(samples.name, safe='')}.prom"
        before: dict[str, float] = {}
        if path.exists():
            families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
            before = {each.name: each.samples[0].value for each in families if each.name in CATALOG and each.samples}
        merged = JobSamples(samples.name, samples.labels, {**before, **samples.values})
        write_to_textfile(str(path), _registry(merged))
