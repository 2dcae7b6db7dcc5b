"""The running exporter: runner and server together, ended by SIGTERM, its settings read again on SIGHUP."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable

from ml_monitoring.exporter import __version__, logs
from ml_monitoring.exporter.config import Settings
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.logs import event
from ml_monitoring.exporter.runner import Runner
from ml_monitoring.exporter.server import Server
from ml_monitoring.exporter.shutdown import end_within

_log = logging.getLogger(__name__)

# A source may wait for its network during its timeout; `once` is to say so instead of waiting longer.
_GRACE = 5.0
SWITCH_INTERVAL = 0.0005


def serve(settings: Settings, read_again: Callable[[], Settings]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: What to begin with.
        read_again: Reads the settings when that is asked for.

    Raises:
        ConfigError: The address cannot be bound, or `web.config_file` cannot be used.
    """
    # A thread that renders or counts gives way to one that answers after this long; Python's default is ten times it.
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(_Application(settings, read_again).run())


def read_once(settings: Settings) -> tuple[bytes, bool]:
    """Refresh each source once; return the metrics as text and whether all sources could be read."""
    sections = settings.enabled_sources()
    runner = Runner(sections)
    runner.start()
    runner.wait_until_ready(max(section.first_limit for section in sections.values()) + _GRACE)
    text = runner.snapshots.bodies.text.plain
    succeeded = all(status.up for status in runner.statuses)
    runner.stop()
    return text, succeeded


class _Application:
    def __init__(self, settings: Settings, read_again: Callable[[], Settings]) -> None:
        self._settings = settings
        self._read_again = read_again
        self._runner = Runner(settings.enabled_sources())
        self._server = Server(self._runner, settings.web, self._reload)
        self._reloading = asyncio.Lock()
        # Kept, because the event loop only holds a weak reference to a task.
        self._reload_task: asyncio.Task[bool] | None = None

    async def run(self) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._start_reload)
        await self._server.start()
        self._runner.start()
        for url in self._server.urls:
            event(_log, logging.INFO, "listening", url=url, version=__version__)
        await stopping.wait()
        event(_log, logging.INFO, "stopping")
        end_within()
        await asyncio.gather(self._server.stop(), asyncio.to_thread(self._runner.stop))

    def _start_reload(self) -> None:
        self._reload_task = asyncio.create_task(self._reload())

    async def _reload(self) -> bool:
        async with self._reloading:
            # In a thread: it waits for sources that are replaced.
            return await asyncio.to_thread(self._take_settings)

    def _take_settings(self) -> bool:
        try:
            settings = self._read_again()
        except ConfigError as error:
            self._runner.note_reload(successful=False)
            for problem in error.problems:
                event(_log, logging.ERROR, "settings not usable, the old ones stay", problem=problem)
            return False
        if settings.web != self._settings.web:
            event(_log, logging.WARNING, "settings below `web` changed; they take a restart")
        logs.setup(settings.log.level, settings.log.format)
        self._runner.reconfigure(settings.enabled_sources())
        self._runner.note_reload(successful=True)
        self._settings = settings
        event(_log, logging.INFO, "settings taken")
        return True
