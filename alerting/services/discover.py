"""What of a Prometheus's jobs an adapter could read: found by series that only one server has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ml_monitoring.alerting.model.services import AdapterUse
from ml_monitoring.alerting.services.adapter import Adapter
from ml_monitoring.exporter.http_client import fetch_json

_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server that a job has.

    Attributes:
        use: The adapter and the job, as in the settings.
        title: The server's name in texts.
        services: Names of its services; empty where it names none.
        endpoints: Its routes, by service.
        models: Names of its models.
        counts_failures: Whether it says what failed.
        native: Its histograms that Prometheus keeps as native ones only.
    """

    use: AdapterUse
    title: str
    services: frozenset[str]
    endpoints: frozenset[tuple[str, str]]
    models: frozenset[str]
    counts_failures: bool = True
    native: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return the sentence about it."""
        counted = ((self.services, "service"), (self.endpoints, "endpoint"), (self.models, "model"))
        parts = [f"{len(names)} {what}{'s' * (len(names) != 1)}" for names, what in counted if names]
        text = f"job {self.use.job}: {self.title}; {', '.join(parts) or 'no requests yet'}"
        text += "" if self.counts_failures else "; does not count failures"
        if self.native:
            text += f"; native histograms ({', '.join(sorted(self.native))})"
        return text


def discover(url: str, adapters: Iterable[Adapter]) -> list[FoundServer]:
    """Return the servers that Prometheus scrapes, by job and name.

    Args:
        url: Address of Prometheus.
        adapters: Those to look for.

    Raises:
        RemoteError: Prometheus does not answer, or refuses a query.
    """
    known = tuple(adapters)
    by_series = {series: adapter for adapter in known for series in adapter.signature}
    seen = _named(url, by_series)
    pairs = {(job, by_series[name].server): by_series[name] for job, name in seen}
    # A native histogram has no suffix, and neither has a summary's quantile.
    histograms = {name: adapter for adapter in known for name in adapter.histograms}
    native = _named(url, histograms, 'quantile=""') - {
        (job, name.removesuffix("_bucket")) for job, name in _named(url, [f"{name}_bucket" for name in histograms])
    }
    pairs |= {(job, histograms[name].server): histograms[name] for job, name in native}
    # Both count the same requests.
    carried = {(job, server) for (job, _server), adapter in pairs.items() for server in adapter.carries}
    pairs = {pair: adapter for pair, adapter in pairs.items() if pair not in carried}
    return [
        _found(url, job, adapter, frozenset(name for of, name in native if of == job and name in adapter.histograms))
        for (job, _server), adapter in sorted(pairs.items(), key=lambda pair: pair[0])
    ]


def _named(url: str, names: Iterable[str], *matchers: str) -> set[tuple[str, str]]:
    """Return which jobs have series of these names."""
    where = ",".join((f'__name__=~"{"|".join(names)}"', 'job!=""', *matchers))
    return {(each["job"], each["__name__"]) for each in _query(url, f"group by (job, __name__) ({{{where}}})")}


def _found(url: str, job: str, adapter: Adapter, native: frozenset[str]) -> FoundServer:
    use = AdapterUse(server=adapter.server, job=job, native_histograms=bool(native))
    records = adapter.records(use)
    requests = _query(url, records.get("ml_http_requests_total"))
    predictions = _query(url, records.get("ml_predictions_total"))
    return FoundServer(
        use,
        adapter.title,
        frozenset(filter(None, (each.get("service") for each in (*requests, *predictions)))),
        frozenset((each.get("service", ""), each["route"]) for each in requests if each.get("route")),
        frozenset(filter(None, (each.get("model") for each in predictions))),
        adapter.counts_failures,
        native,
    )


def lines(found: Iterable[FoundServer], known: Iterable[AdapterUse]) -> Iterator[str]:
    """Yield what there is to say: a sentence for each server, and the settings to add.

    Args:
        found: What there is.
        known: What the settings have already.
    """
    read = {(use.server, use.job, use.native_histograms) for use in known}
    listed = [(each, (each.use.server, each.use.job, each.use.native_histograms) in read) for each in found]
    for each, is_known in listed:
        yield f"{each}{'; read already' if is_known else ''}"
    if not listed:
        yield "No server that an adapter knows. Services with ml_monitoring.instrument need none."
    new = [each.use for each, is_known in listed if not is_known]
    if new:
        yield ""
        yield "Add to your settings (see docs/model-servers.md):"
        yield ""
        yield "services:"
        yield "  adapters:"
        yield from (f"    - {{server: {use.server}, job: {_scalar(use.job)}{_native(use)}}}" for use in new)


def _native(use: AdapterUse) -> str:
    return ", native_histograms: true" if use.native_histograms else ""


def _scalar(text: str) -> str:
    """Return a name as YAML reads it in braces."""
    plain = text.replace("-", "").replace("_", "").replace("/", "").isalnum() and not text[0].isdigit()
    return text if plain else "'" + text.replace("'", "''") + "'"


def _query(url: str, expr: str | None) -> list[Mapping[str, str]]:
    """Return the labels of the series that an expression has; nothing of what a server does not count."""
    if expr is None:
        return []
    answer: dict[str, Any] = fetch_json(
        url, f"api/v1/query?{urlencode({'query': expr})}", timeout=_TIMEOUT, program="Prometheus"
    )
    return [each["metric"] for each in answer["data"]["result"]]
