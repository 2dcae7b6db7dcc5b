"""The text that a scrape gets."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ml_monitoring.instrument.catalog import SERVICE_METRICS
from ml_monitoring.instrument.shared_folder import SharedCollector, shared_folder

# The client library names a counter's family without its suffix.
_OWN_FAMILIES: Final = frozenset(metric.name.removesuffix("_total") for metric in SERVICE_METRICS)
_OF_ITSELF: Final = "ml_instrument_"
# Most of the saving, a fraction of the time of the default 9.
_GZIP_LEVEL: Final = 1


@dataclass(frozen=True, slots=True)
class Exposition:
    """A scrape's response."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


class _ForReaders(Collector):
    """Leaves out the `_created` series of this package's metrics: nobody asks for them, and they are half of all.

    What the package counts of itself, a zero for each metric and operation, comes last: people read the top.
    """

    def __init__(self, inner: Collector) -> None:
        self._inner = inner

    def collect(self) -> Iterator[Metric]:
        of_itself = []
        for family in self._inner.collect():
            if family.name in _OWN_FAMILIES:
                family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            if family.name.startswith(_OF_ITSELF):
                of_itself.append(family)
            else:
                yield family
        yield from of_itself


def render(registry: CollectorRegistry, accept: str, accept_encoding: str) -> Exposition:
    """Return what the registry holds, or what all worker processes hold in multi-process mode.

    Args:
        registry: The service's registry.
        accept: The scraper's `Accept` header.
        accept_encoding: Its `Accept-Encoding` header.
    """
    folder = shared_folder()
    encoder, content_type = choose_encoder(accept)
    body = encoder(_ForReaders(SharedCollector(folder) if folder is not None else registry))
    headers = [("content-type", content_type)]
    if "gzip" in accept_encoding:
        body = gzip.compress(body, compresslevel=_GZIP_LEVEL)
        headers.append(("content-encoding", "gzip"))
    headers.append(("content-length", str(len(body))))
    return Exposition(body, tuple(headers))
