"""The HTTP side of the alert log: takes notifications, gives metrics and the history."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from ml_monitoring.alerting.log import metrics
from ml_monitoring.alerting.log.access import Access, Refusal
from ml_monitoring.alerting.log.database import only_one
from ml_monitoring.alerting.log.notification import Notification, NotificationError, parse
from ml_monitoring.alerting.log.page import document, page
from ml_monitoring.alerting.log.repeats import Repeats
from ml_monitoring.alerting.log.store import AlertLog
from ml_monitoring.alerting.log.totals import Total
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.addresses import ListenAddress, refusal
from ml_monitoring.exporter.command_line import of_system
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.exposition import TEXT_CONTENT_TYPE
from ml_monitoring.exporter.listener import WebListener
from ml_monitoring.exporter.logs import Seldom, event
from ml_monitoring.exporter.shutdown import end_within
from ml_monitoring.exporter.suggestions import suggestion_or_all
from ml_monitoring.exporter.web_guard import WebGuard

_log = logging.getLogger(__name__)

# Two thousand alerts of two KB, of which Alertmanager sends no more at once (`max_alerts`).
_MAX_BODY = 4 * 1024 * 1024
# Of all bodies that are being read or written; more would not fit into the memory of a small container.
_MAX_BODIES = 12 * 1024 * 1024
_READ_TIMEOUT = 30.0
# What is parsed without a thread of its own.
_SMALL = 64 * 1024
_PRUNE_INTERVAL = 3600.0
_CHECK_INTERVAL = 15.0
# A check that takes so long is as good as failed.
_CHECK_PATIENCE = 60.0
_ANSWER_PATIENCE = 4.0
# So long may notifications take that are being written at the end.
_SHUTDOWN_TIMEOUT = 6.0
_PAGE_SPAN = "7d"
_FILTERS = ("alertname", "severity", "team")
_MAX_ROWS = 1000
_BAD_REQUEST = 400
_ERRORS = (OSError, sqlite3.Error)
_REASONS = ("host", "origin", "token", "password", "certificate", "size", "busy", "invalid")
# Of what the web configuration refuses; others come too often.
_GUARDED = {401: "password", 403: "certificate"}
_TOO_LARGE = Refusal(413, "size", f"more than {_MAX_BODY} bytes: notify in smaller groups, or set max_alerts")
_BUSY = Refusal(503, "busy", "too much at once: try again")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LogServer:
    """Serves an alert log.

    Notifications that come while others are being written are written together, with one wait for the disk.
    """

    def __init__(
        self, log: AlertLog, access: Access, web_guard: WebGuard, repeats: Repeats, teams: Sequence[str]
    ) -> None:
        self._alert_log = log
        self._access = access
        self._web_guard = web_guard
        self._repeats = repeats
        self._teams = teams
        self._expected = metrics.expected()
        # Names that were shown, None while it is not known which ones an earlier process showed.
        self._shown: set[tuple[str, ...]] | None = None
        self._waiting: list[tuple[Notification, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._parsing = asyncio.Lock()
        self._bytes = 0
        self._refused = dict.fromkeys(_REASONS, 0)
        self._seldom = Seldom()
        self._write_errors = 0
        self._written = -math.inf
        self._problem = "nothing was written yet"

    def application(self) -> web.Application:
        """Return the application."""
        application = web.Application(client_max_size=_MAX_BODY, middlewares=[self._guard])
        application.add_routes(
            [
                web.post("/alerts", self._take),
                web.get("/api/alerts", self._history),
                web.get("/metrics", self._metrics),
                web.get("/-/healthy", self._healthy),
                web.get("/-/ready", self._ready),
                web.get("/", self._page),
            ]
        )
        application.cleanup_ctx.append(self._background)
        return application

    async def _background(self, _: web.Application) -> AsyncIterator[None]:
        await self._try_to_write()
        with contextlib.suppress(*_ERRORS):
            await self._totals()
        tasks = [asyncio.create_task(each) for each in (self._write(), self._prune(), self._check())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._access.refuse(request.headers)
        if refusal is None:
            posts = request.method == "POST"
            # A request has one kind of credentials: who posts has the token, where there is one.
            by_token = posts and self._access.token_file is not None
            if (refused := await self._web_guard.refuse(request, asks_password=not by_token)) is not None:
                self._refused[_GUARDED.get(refused.status, "busy")] += 1
                return refused
            refusal = self._access.refuse_post(request.headers) if posts else None
        return self._web_guard.complete(self._refuse(refusal) if refusal else await handler(request))

    def _refuse(self, refusal: Refusal) -> web.Response:
        self._refused[refusal.reason] += 1
        self._seldom.event(
            _log,
            logging.WARNING,
            "a request is refused",
            refusal.reason,
            status=refusal.status,
            reason=refusal.message,
        )
        return web.Response(status=refusal.status, text=f"{refusal.message}\n")

    async def _take(self, request: web.Request) -> web.Response:
        size = _MAX_BODY if request.content_length is None else request.content_length
        if size > _MAX_BODY:
            return self._refuse(_TOO_LARGE)
        if self._bytes + size > _MAX_BODIES:
            return self._refuse(_BUSY)
        self._bytes += size
        try:
            return await self._keep(request)
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(_TOO_LARGE)
        except TimeoutError:
            return self._refuse(Refusal(408, "busy", "the body did not come"))
        except NotificationError as error:
            # Not 5xx: the same body would be refused again.
            return self._refuse(Refusal(400, "invalid", str(error)))
        finally:
            self._bytes -= size

    async def _keep(self, request: web.Request) -> web.Response:
        async with asyncio.timeout(_READ_TIMEOUT):
            content = await request.read()
        received = time.time()
        if len(content) < _SMALL:
            notification = parse(content, received)
        else:
            # One at a time: parsed, it is several times as large.
            async with self._parsing:
                notification = await asyncio.to_thread(parse, content, received)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((notification, written))
        self._wake.set()
        try:
            await written
        except Exception as error:  # noqa: BLE001  # what stopped the writer, passed on to the request that waits for it
            # Alertmanager tries again after a 5xx.
            return web.Response(status=503, text=f"cannot be written: {error}\n")
        return web.Response(text="kept\n")

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            if not batch:
                continue
            problem: Exception | None = None
            try:
                await asyncio.to_thread(self._alert_log.record, [one for one, _ in batch], time.time())
                self._note_success()
            except Exception as error:  # noqa: BLE001  # whatever it is, the next ones must be written
                problem = error
                self._note_failure(error, count=len(batch))
            for _, written in batch:
                if not written.done():
                    written.set_exception(problem) if problem else written.set_result(None)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_INTERVAL)
            await self._try_to_write()

    async def _try_to_write(self) -> None:
        try:
            await asyncio.to_thread(self._alert_log.check, time.time())
            self._note_success()
        except _ERRORS as error:
            self._note_failure(error)

    def _note_success(self) -> None:
        self._written, self._problem = time.monotonic(), ""

    def _note_failure(self, error: Exception, **fields: object) -> None:
        self._write_errors += 1
        # One line for each problem, not for each that it stopped.
        if self._problem != str(error):
            event(_log, logging.ERROR, "notifications cannot be written", reason=error, **fields)
        self._problem = str(error)

    @property
    def _not_writable(self) -> str:
        """Return why nothing can be written; empty when it can."""
        if not self._problem and time.monotonic() - self._written > _CHECK_PATIENCE:
            return "writing takes too long"
        return self._problem

    async def _prune(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._alert_log.prune, time.time())
            except _ERRORS as error:
                event(_log, logging.ERROR, "old alerts cannot be removed", reason=error)
            await asyncio.sleep(_PRUNE_INTERVAL)

    async def _metrics(self, _: web.Request) -> web.Response:
        own = [
            Total("writable", (), float(not self._not_writable)),
            Total("write_errors", (), self._write_errors),
            Total("damaged_files", (), len(self._alert_log.damaged_files())),
            *(Total("refused", (reason,), count) for reason, count in self._refused.items()),
        ]
        try:
            body = metrics.render([*await self._totals(), *own], self._expected)
        except _ERRORS:
            # Totals of 0 would be wrong, and without the others nobody would learn of it.
            body = metrics.render(own)
        return web.Response(body=body, headers={"Content-Type": TEXT_CONTENT_TYPE})

    async def _totals(self) -> list[Total]:
        """Return all totals; those of a name that was never shown are 0, so that its first event is an increase."""
        totals = await asyncio.to_thread(self._alert_log.totals)
        names = {total.labels for total in totals}
        shown = names if self._shown is None else self._shown.union(each.labels for each in self._expected)
        self._shown = names
        return [
            total if total.labels in shown or total.metric == "last_start" else replace(total, value=0)
            for total in totals
        ]

    async def _history(self, request: web.Request) -> web.Response:
        alerts = await self._chosen(request)
        return alerts if isinstance(alerts, web.Response) else web.json_response(list(map(document, alerts)))

    async def _page(self, request: web.Request) -> web.Response:
        alerts, problem = await self._chosen(request), ""
        if isinstance(alerts, web.Response):
            if alerts.status != _BAD_REQUEST:
                return alerts
            # The form, to put it right.
            problem = str(alerts.text)
            alerts = []
        # A form sends its empty fields too.
        chosen = {"since": _PAGE_SPAN, **{name: value for name, value in request.query.items() if value}}
        text = page(alerts, chosen, self._teams, problem)
        return web.Response(status=_BAD_REQUEST if problem else 200, text=text, content_type="text/html")

    async def _chosen(self, request: web.Request) -> list[dict[str, Any]] | web.Response:
        """Return the alerts that a query names, or why there is no answer."""
        query = {name: value for name, value in request.query.items() if value}
        now = time.time()
        try:
            since = _moment("since", query.pop("since", _PAGE_SPAN), now)
            until = _moment("until", query.pop("until"), now) if "until" in query else math.inf
            limit = min(int(query.pop("limit", _MAX_ROWS)), _MAX_ROWS)
            if limit < 1:
                raise ValueError(f"limit is {limit}, which is less than 1")
            if unknown := sorted(query.keys() - _FILTERS):
                raise ValueError(f"unknown: {', '.join(unknown)}{suggestion_or_all(unknown[0], _FILTERS)}")
        except ValueError as error:
            return web.Response(status=_BAD_REQUEST, text=f"{error}\n")
        find = partial(self._alert_log.history, since=since, until=until, limit=limit, **query)
        try:
            found = await asyncio.to_thread(find)
        except _ERRORS as error:
            return _unreadable(error)
        return [{**alert, "overdue": self._repeats.is_overdue(alert, now)} for alert in found]

    async def _healthy(self, _: web.Request) -> web.Response:
        """Tell whether the history can be read."""
        try:
            async with asyncio.timeout(_ANSWER_PATIENCE):
                await asyncio.to_thread(self._alert_log.history, since=time.time(), limit=1)
        except (*_ERRORS, TimeoutError) as error:
            return _unreadable(error)
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        """Tell whether notifications can be kept, and the history read."""
        if problem := self._not_writable:
            return web.Response(status=503, text=f"cannot be written: {problem}\n")
        return await self._healthy(request)


def _moment(name: str, text: str, now: float) -> float:
    """Return the moment that a query names: so long ago, or a time of ISO 8601, in UTC where it names no zone.

    Raises:
        ValueError: It is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now - durations.parse(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}; or as a time: 2026-03-01T22:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _unreadable(error: Exception) -> web.Response:
    return web.Response(status=503, text=f"cannot be read: {error or type(error).__name__}\n")


def serve(
    directory: Path,
    host: str,
    port: int,
    *,
    retention: float,
    duplicate_window: float,
    access: Access,
    web_config: Path | None,
    repeats: Repeats,
    teams: Sequence[str],
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: The folder, the address or the web configuration cannot be used.
    """
    web_guard = WebGuard(web_config, setting="--web.config.file", realm="alert log")
    reserved = {total.labels for total in metrics.expected()}
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_one(directory))
            log = AlertLog(directory, retention=retention, duplicate_window=duplicate_window, reserved=reserved)
        except OSError as error:
            raise ConfigError([f"--directory: {of_system(error)}"]) from None
        except sqlite3.Error as error:
            raise ConfigError([f"--directory: {directory}: {error}"]) from None
        stack.callback(log.close)
        asyncio.run(_serve(LogServer(log, access, web_guard, repeats, teams), web_guard, host, port))


async def _serve(server: LogServer, web_guard: WebGuard, host: str, port: int) -> None:
    listener = WebListener(server.application(), tls=web_guard.tls)
    await listener.start()
    try:
        try:
            await listener.listen(host, port)
        except OSError as error:
            raise ConfigError([f"--listen: {refusal(ListenAddress(host, port), error, '--listen')}"]) from None
        web_guard.start(listener)
        event(_log, logging.INFO, "listening", url=", ".join(listener.urls))
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
        end_within()
    finally:
        web_guard.stop()
        await listener.stop(_SHUTDOWN_TIMEOUT)
