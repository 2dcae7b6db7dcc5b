"""The HTTP side of the alert log: takes notifications, gives metrics and the history."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from ml_monitoring.alerting.log import metrics
from ml_monitoring.alerting.log.notification import Notification, NotificationError, parse
from ml_monitoring.alerting.log.page import page
from ml_monitoring.alerting.log.store import AlertLog
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.exposition import TEXT_CONTENT_TYPE
from ml_monitoring.exporter.logs import event

_log = logging.getLogger(__name__)

# Some thousand alerts in one notification; Alertmanager has no limit of its own.
_MAX_BODY = 32 * 1024 * 1024
_PRUNE_INTERVAL = 3600.0
_PAGE_SPAN = "7d"
_MAX_ROWS = 1000


class LogServer:
    """Serves an alert log.

    Notifications that come while others are being written are written together, with one wait for the disk.
    """

    def __init__(self, log: AlertLog) -> None:
        self._alert_log = log
        self._expected = metrics.expected()
        self._waiting: list[tuple[Notification, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()

    def application(self) -> web.Application:
        """Return the application."""
        application = web.Application(client_max_size=_MAX_BODY)
        application.add_routes(
            [
                web.post("/alerts", self._take),
                web.get("/api/alerts", self._history),
                web.get("/metrics", self._metrics),
                web.get("/-/healthy", self._healthy),
                web.get("/-/ready", self._healthy),
                web.get("/", self._page),
            ]
        )
        application.cleanup_ctx.append(self._background)
        return application

    async def _background(self, _: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._prune())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, request: web.Request) -> web.Response:
        try:
            notification = parse(await request.read(), time.time())
        except NotificationError as error:
            # Not 5xx: the same body would be refused again.
            return web.Response(status=400, text=f"{error}\n")
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
            except Exception as error:  # noqa: BLE001  # whatever it is, the next ones must be written
                problem = error
                event(_log, logging.ERROR, "notifications cannot be written", count=len(batch), reason=error)
            for _, written in batch:
                if not written.done():
                    written.set_exception(problem) if problem else written.set_result(None)

    async def _prune(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._alert_log.prune, time.time())
            except (OSError, sqlite3.Error) as error:
                event(_log, logging.ERROR, "old alerts cannot be removed", reason=error)
            await asyncio.sleep(_PRUNE_INTERVAL)

    async def _metrics(self, _: web.Request) -> web.Response:
        totals = await asyncio.to_thread(self._alert_log.totals)
        return web.Response(body=metrics.render(totals, self._expected), headers={"Content-Type": TEXT_CONTENT_TYPE})

    async def _history(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        try:
            span = durations.parse(query.pop("since", _PAGE_SPAN))
            limit = min(int(query.pop("limit", _MAX_ROWS)), _MAX_ROWS)
            if limit < 1:
                raise ValueError(f"limit is {limit}, which is less than 1")
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        if unknown := query.keys() - {"alertname", "severity", "team"}:
            return web.Response(status=400, text=f"unknown: {', '.join(sorted(unknown))}\n")
        alerts = await asyncio.to_thread(self._alert_log.history, since=time.time() - span, limit=limit, **query)
        return web.json_response(alerts)

    async def _page(self, _: web.Request) -> web.Response:
        since = time.time() - durations.parse(_PAGE_SPAN)
        alerts = await asyncio.to_thread(self._alert_log.history, since=since, limit=_MAX_ROWS)
        return web.Response(text=page(alerts, _PAGE_SPAN), content_type="text/html")

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")


def serve(directory: Path, host: str, port: int, *, retention: float, duplicate_window: float) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: The folder or the address cannot be used.
    """
    try:
        log = AlertLog(directory, retention=retention, duplicate_window=duplicate_window)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError([f"--directory {directory}: {error}"]) from None
    with contextlib.closing(log):
        asyncio.run(_serve(log, host, port))


async def _serve(log: AlertLog, host: str, port: int) -> None:
    runner = web.AppRunner(LogServer(log).application(), access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise ConfigError([f"--listen: cannot listen on {host}:{port}: {reason}"]) from None
        event(_log, logging.INFO, "listening", url=f"http://{host}:{port}")
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
    finally:
        await runner.cleanup()
