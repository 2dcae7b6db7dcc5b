"""Prometheus's HTTP API, as far as counters of the past are read over it.

Whatever speaks it will do: Prometheus, VictoriaMetrics, Thanos, Mimir. An answer that says of itself that it is not
complete is an error: counts that are missing now would look like events of a later time.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.http_client import RemoteError, fetch_json

# A query that takes longer than this is an experiment's own problem, not the source's.
QUERY_TIMEOUT: Final = 10.0
# So many metrics are looked for at once.
_NAMES: Final = 50
_MOST_BYTES: Final = 64 * 2**20
# How warnings begin that are about the query's wording only, and of which so many letters are passed on.
_REMARK: Final = "PromQL info: "
_MOST_SAID: Final = 300
# Pages whose address is copied from a browser.
_PAGES: Final = frozenset({"graph", "query", "alerts", "targets", "rules", "status", "config", "metrics", "api", "v1"})
# What one query is refused for, where others may be answered.
_OF_THE_QUERY: Final = frozenset({400, 404, 413, 414, 422, 503})


class ExperimentError(SourceError):
    """Report that one experiment could not be read; others may be."""


class CounterSeries(NamedTuple):
    """A series as it was answered.

    Attributes:
        labels: All labels but the name.
        samples: Times and values.
    """

    labels: Mapping[str, str]
    samples: list[tuple[float, float]]


class PrometheusApi:
    """Asks one server.

    Args:
        url: Its base URL, which may hold a user and a password.
        token: Sent as a bearer token.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._deadline = math.inf
        self._aborted = False

    def begin(self, seconds: float) -> None:
        """Let all queries from now on take so many seconds together."""
        self._deadline = time.monotonic() + seconds
        self._aborted = False

    def abort(self) -> None:
        """Answer no further query."""
        self._aborted = True

    def version(self) -> str:
        """Return the server's version; empty where it has none.

        Raises:
            SourceError: It cannot be reached.
        """
        try:
            answer = self._fetch("api/v1/status/buildinfo")
        except ExperimentError:
            return ""
        data = answer.get("data") if isinstance(answer, Mapping) else None
        return str(data.get("version") or "") if isinstance(data, Mapping) else ""

    def kind(self, metric: str) -> str:
        """Return what its targets say that a metric is, such as `gauge`; empty where nobody knows.

        Raises:
            SourceError: The server cannot be asked.
        """
        try:
            answer = self._fetch(f"api/v1/metadata?{urlencode({'metric': metric, 'limit': 1})}")
            return str(answer["data"][metric][0]["type"])
        except (ExperimentError, KeyError, IndexError, TypeError):
            # Not all that speak this API have it.
            return ""

    def missing(self, metrics: Sequence[str], now: float) -> list[str]:
        """Return the metrics of which there was no series in the last hours.

        Raises:
            SourceError: The server cannot be asked.
        """
        found: set[str] = set()
        for first in range(0, len(metrics), _NAMES):
            names = "|".join(metrics[first : first + _NAMES])
            try:
                named = f'label_replace(last_over_time({{__name__=~"{names}"}}[6h]), "named", "$1", "__name__", "(.+)")'
                series = self.range(f"count by (named) ({named})", now, now, 1.0)
                found |= {each.labels.get("named", "") for each in series}
            except ExperimentError:
                # Not all that speak this API keep the name.
                return []
        return [name for name in metrics if name not in found]

    def last_values(self, selector: str, start: float, end: float, step: float, window: float) -> list[CounterSeries]:
        """Return the last value in the window before each of several moments.

        Raises:
            ExperimentError: The query is refused.
            SourceError: The server cannot be asked.
        """
        return self.range(f"last_over_time({selector}[{_milliseconds(window)}])", start, end, step)

    def samples(self, selector: str, end: float, window: float) -> list[CounterSeries]:
        """Return all samples of a window.

        Raises:
            ExperimentError: The query is refused.
            SourceError: The server cannot be asked.
        """
        return self._query("query", query=f"{selector}[{_milliseconds(window)}]", time=_seconds(end))

    def range(self, query: str, start: float, end: float, step: float) -> list[CounterSeries]:
        """Evaluate a query at several moments.

        Raises:
            ExperimentError: The query is refused.
            SourceError: The server cannot be asked.
        """
        return self._query(
            "query_range",
            query=query,
            start=_seconds(start),
            end=_seconds(end),
            step=f"{step:g}",
            # VictoriaMetrics would move the moments to multiples of the step.
            nocache="1",
        )

    def _query(self, kind: str, **parameters: str) -> list[CounterSeries]:
        # What these say is Thanos's and VictoriaMetrics's: rather no answer than a part of it.
        query = urlencode({**parameters, "partial_response": "false", "deny_partial_response": "1"})
        answer = self._fetch(f"api/v1/{kind}?{query}")
        if not isinstance(answer, Mapping) or answer.get("status") != "success":
            raise ExperimentError(Reason.QUERY, "the answer is none of Prometheus's")
        if answer.get("isPartial"):
            raise ExperimentError(Reason.QUERY, "the answer is not complete")
        try:
            if said := [str(each) for each in answer.get("warnings") or () if not str(each).startswith(_REMARK)]:
                # As of a server behind this one that does not answer.
                raise ExperimentError(Reason.QUERY, f"the answer is not complete: {'; '.join(said)[:_MOST_SAID]}")
            return list(_series(answer["data"]["result"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ExperimentError(Reason.SCHEMA, "the answer is none of Prometheus's") from None

    def _fetch(self, path: str) -> Any:
        left = self._deadline - time.monotonic()
        if self._aborted or left <= 0:
            raise SourceError(Reason.TIMEOUT, "broken off")
        try:
            return fetch_json(
                self._url,
                path,
                timeout=min(QUERY_TIMEOUT, left),
                token=self._token,
                most=_MOST_BYTES,
                program="Prometheus",
            )
        except RemoteError as error:
            if error.status == HTTPStatus.NOT_FOUND and (page := self._url.rstrip("/").rpartition("/")[2]) in _PAGES:
                said = f"{error.args[0].partition(': ')[0]} is a page: url is the address without /{page}"
                raise SourceError(Reason.CONNECT, said, setting=("url",)) from None
            raise _failure(error) from None


def _failure(error: RemoteError) -> SourceError:
    if error.timed_out:
        return ExperimentError(Reason.TIMEOUT, f"{error}", hint="are there many series, or is Prometheus busy?")
    if error.status in (401, 403):
        return SourceError(Reason.AUTH, f"{error}", hint="are sources.experiments.url and token right?")
    if error.status in _OF_THE_QUERY:
        return ExperimentError(Reason.QUERY, _said(str(error)))
    if error.status == 200:
        return ExperimentError(Reason.SCHEMA, f"{error}")
    return SourceError(Reason.CONNECT, f"{error}", hint="is sources.experiments.url right, and Prometheus up?")


def _said(message: str) -> str:
    """Return what Prometheus says is wrong with a query, without the JSON around it."""
    before, brace, rest = message.partition("{")
    try:
        said = json.loads(brace + rest)["error"]
    except (ValueError, KeyError, TypeError):
        return message
    return f"{before}{said}"


def _series(result: list[Any]) -> Iterator[CounterSeries]:
    for each in result:
        labels = {str(label): str(value) for label, value in each["metric"].items() if label != "__name__"}
        if each.get("histograms"):
            raise ExperimentError(
                Reason.SCHEMA,
                f"{each['metric'].get('__name__', 'a series')} is a native histogram",
                hint="name counters, such as a classic histogram's _sum and _count",
            )
        samples = ((float(moment), float(value)) for moment, value in each.get("values", ()))
        yield CounterSeries(labels, [(moment, value) for moment, value in samples if math.isfinite(value)])


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _seconds(moment: float) -> str:
    return f"{moment:.3f}"
