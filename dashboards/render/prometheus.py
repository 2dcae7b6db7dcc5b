"""Prometheus's HTTP API: queries in parallel, each asked once, with what each of them cost."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests

from ml_monitoring.dashboards.render.errors import QueryError
from ml_monitoring.dashboards.render.intervals import TimeRange, align

Json = dict[str, Any]

# Prometheus runs up to 20 queries at a time; a picture must not take all of them from the users.
WORKERS = 6
# Names of this machine, of a host as its containers know it, and of a cluster's services and pods.
_LOCAL_SUFFIXES = (
    *(".localhost", ".svc", ".svc.cluster.local"),
    *(".localdomain", ".docker.internal", ".containers.internal", ".pod.cluster.local"),
)


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and its points as (seconds, value)."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What Prometheus said to one query.

    Attributes:
        series: The series; a scalar is one series without labels.
        seconds: How long the answer took.
        samples: How many samples Prometheus touched; None where it does not tell.
        step: Distance of the points in seconds; 0 for an instant query.
        warnings: What Prometheus remarked.
    """

    series: tuple[Series, ...]
    seconds: float
    samples: int | None = None
    step: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Prometheus:
    """A Prometheus server, or anything with its HTTP API.

    Attributes:
        url: Its address; user and password may be part of it.
        timeout: Longest wait for one answer, in seconds.
        headers: More request headers, such as an authorisation.
    """

    url: str
    timeout: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict)
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(WORKERS, thread_name_prefix="query"), repr=False
    )
    _asked: dict[tuple[Any, ...], Future[Answer]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    @property
    def address(self) -> str:
        """Return the address without a password."""
        return _bare(self.url)

    def range(self, expr: str, span: TimeRange, step: float) -> Future[Answer]:
        """Ask for the expression at every step of the range."""
        aligned = align(span, step)

        def ask() -> Answer:
            return self._query(
                "query_range", {"query": expr, "start": aligned.start, "end": aligned.end, "step": step}, step
            )

        return self._once((expr, aligned.start, aligned.end, step), ask)

    def instant(self, expr: str, moment: float) -> Future[Answer]:
        """Ask for the expression at one moment."""

        def ask() -> Answer:
            return self._query("query", {"query": expr, "time": moment}, 0.0)

        return self._once((expr, moment), ask)

    def forget(self) -> None:
        """Ask again from now on; who waits for an answer still gets it."""
        with self._lock:
            self._asked.clear()

    def label_values(self, label: str, selector: str, span: TimeRange) -> list[str]:
        """Return the values of a label, of the series that the selector names or of all."""
        arguments: Json = {"start": span.start, "end": span.end}
        if selector:
            arguments["match[]"] = selector
        return [str(value) for value in self.get(f"label/{label}/values", arguments)["data"]]

    def label_names(self, span: TimeRange) -> list[str]:
        """Return the names of all labels."""
        return [str(name) for name in self.get("labels", {"start": span.start, "end": span.end})["data"]]

    def alerts(self) -> list[Json]:
        """Return the alerting rules with the alerts that they hold now."""
        groups = self.get("rules", {"type": "alert"})["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def version(self) -> str:
        """Return the server's version; also the cheapest proof that it is there."""
        return str(self.get("status/buildinfo", {})["data"].get("version", "unknown"))

    def get(self, path: str, arguments: Json) -> Json:
        """Ask the API.

        Raises:
            QueryError: If there is no answer or it is an error; the message gives Prometheus's own words.
        """
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            # A proxy has no way to this machine's loopback, nor to a container or a service.
            session.trust_env = not _is_local(self.url)
            session.headers.update(self.headers)
        address = f"{self.url.rstrip('/')}/api/v1/{path}"
        try:
            # A long query does not fit into an address; only reads by label have to be a GET.
            if path in ("query", "query_range"):
                answer = session.post(address, data=arguments, timeout=self.timeout)
            else:
                answer = session.get(address, params=arguments, timeout=self.timeout)
        except requests.Timeout:
            raise QueryError(f"{_bare(self.url)} did not answer within {self.timeout:g} s{self._way}") from None
        except requests.RequestException as error:
            raise QueryError(f"{_bare(self.url)} cannot be reached{self._way}: {_reason(error)}") from None
        try:
            body = answer.json()
        except ValueError:
            page = answer.text.lstrip()[:1] == "<"
            what = "a page for people, of a login or of another program" if page else "no JSON: is it Prometheus?"
            raise QueryError(f"{_bare(self.url)} answered {answer.status_code} and {what}") from None
        if not isinstance(body, dict) or body.get("status") != "success":
            words = body.get("error") if isinstance(body, dict) else None
            raise QueryError(str(words or f"{_bare(self.url)} answered {answer.status_code}"))
        return body

    @property
    def _way(self) -> str:
        return "" if _is_local(self.url) else over_proxy(self.url)

    def _once(self, key: tuple[Any, ...], ask: Callable[[], Answer]) -> Future[Answer]:
        with self._lock:
            if key not in self._asked:
                self._asked[key] = self._pool.submit(ask)
            return self._asked[key]

    def _query(self, path: str, arguments: Json, step: float) -> Answer:
        began = time.perf_counter()
        # Not "all", which gives them by step as well, and which Mimir refuses.
        body = self.get(path, arguments | {"stats": "true", "timeout": f"{self.timeout:g}s"})
        seconds = time.perf_counter() - began
        data = body["data"]
        samples = ((data.get("stats") or {}).get("samples") or {}).get("totalQueryableSamples")
        return Answer(_series(data), seconds, samples, step, tuple(body.get("warnings") or ()))


def _series(data: Json) -> tuple[Series, ...]:
    kind, result = data["resultType"], data["result"]
    if kind == "matrix":
        return tuple(Series(one["metric"], _points(one.get("values") or [])) for one in result)
    if kind == "vector":
        return tuple(Series(one["metric"], _points([one["value"]])) for one in result if "value" in one)
    if kind == "scalar":
        return (Series({}, _points([result])),)
    raise QueryError(f"the answer is a {kind}, which is nothing to draw")


def _points(values: list[list[Any]]) -> tuple[tuple[float, float], ...]:
    # float() reads Prometheus's NaN, +Inf and -Inf as they are written.
    return tuple((float(moment), float(value)) for moment, value in values)


def over_proxy(url: str) -> str:
    """Return, as a part of a sentence, which variable names the proxy over which `requests` asks a server."""
    proxies = requests.utils.get_environ_proxies(url)
    chosen = requests.utils.select_proxy(url, proxies)
    scheme = urlsplit(url).scheme
    name = next((name for name in (scheme, "all") if chosen and proxies.get(name) == chosen), "")
    return f" over the proxy that {name.upper()}_PROXY names" if name else ""


def _is_local(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        named = "." not in host or host.endswith(_LOCAL_SUFFIXES)
        return named or re.fullmatch(r"127(\.\d+){1,2}", host) is not None
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _reason(error: requests.RequestException) -> str:
    cause: object = error
    while isinstance(cause, BaseException):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message or cause.reason}"
        if isinstance(cause, ConnectionRefusedError):
            return "Connection refused: does it run there, and on this port?"
        if isinstance(cause, socket.gaierror):
            return "its name is not known: is it spelled right, and known to the DNS here?"
        innermost = cause
        # Of what the clients wrap around what the system said.
        inner = (getattr(cause, "reason", None), cause.__cause__, *cause.args)
        cause = next((one for one in inner if isinstance(one, BaseException)), None)
    return getattr(innermost, "strerror", None) or " ".join(str(innermost).split()).rsplit(": ", 1)[-1]


def _bare(url: str) -> str:
    """Return the address without a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
