"""A web configuration in force: who is let in, how often, by which certificate, and what is added to answers.

The exporter and the alert log stand behind it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.listener import WebListener
from ml_monitoring.exporter.logs import event
from ml_monitoring.exporter.passwords import BusyError
from ml_monitoring.exporter.web_config import WebConfig

_log = logging.getLogger(__name__)

# Orchestrators probe without credentials, and these two answers tell nothing.
_OPEN_PATHS: Final = frozenset({"/-/healthy", "/-/ready"})
_INTERVAL: Final = 2.0
# Seconds until the queue of logins has had a turn.
_RETRY_AFTER: Final = "2"


class WebGuard:
    """Stands before a server's handlers.

    Args:
        path: The file; None lets everybody in by plain HTTP.
        setting: What names the file, for the log.
        realm: What a browser shows when it asks for a password.

    Raises:
        ConfigError: The file, a certificate or a key cannot be used.
    """

    def __init__(self, path: Path | None, *, setting: str, realm: str) -> None:
        self._config = WebConfig(path)
        self._setting = setting
        self._realm = realm
        self._watcher: asyncio.Task[None] | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Return the context for a new connection."""
        return self._config.tls

    def start(self, listener: WebListener, note: Callable[[bool], None] = lambda _usable: None) -> None:
        """Read the file again when it changes.

        Args:
            listener: Whose connections end when who is trusted changes.
            note: Is called with whether the files are usable.
        """
        self._warn()
        self._watcher = asyncio.create_task(self._watch(listener, note))

    def stop(self) -> None:
        """Read nothing and verify no password any more."""
        if self._watcher is not None:
            self._watcher.cancel()
        self._config.close()

    async def refuse(self, request: web.Request, *, asks_password: bool = True) -> web.Response | None:
        """Return the answer to who is not let in; None for everybody else.

        Args:
            request: The request.
            asks_password: False where something else than a password says who it is.
        """
        config = self._config
        is_probe = request.path in _OPEN_PATHS
        # A flood of requests must not make an orchestrator restart the process, so probes are not counted.
        if not is_probe and not config.admits(asyncio.get_running_loop().time()):
            return web.Response(status=429, text="Too Many Requests\n")
        if not config.knows(request.get_extra_info("peercert")):
            return web.Response(status=403, text="The client's certificate has none of the allowed names.\n")
        if is_probe or not asks_password:
            return None
        try:
            allowed = await config.allows(request.headers.get("Authorization"), request.remote or "")
        except BusyError:
            return web.Response(status=503, text="Too many logins; try again.\n", headers={"Retry-After": _RETRY_AFTER})
        if allowed:
            return None
        headers = {"WWW-Authenticate": f'Basic realm="{self._realm}", charset="UTF-8"'}
        return web.Response(status=401, text="Unauthorized\n", headers=headers)

    def complete(self, response: web.StreamResponse) -> web.StreamResponse:
        """Return an answer with the headers of the file."""
        response.headers.update(self._config.headers)
        return response

    async def _watch(self, listener: WebListener, note: Callable[[bool], None]) -> None:
        shown = ""
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                change = await asyncio.to_thread(self._config.read_if_changed)
            except ConfigError as error:
                if str(error) != shown:
                    event(_log, logging.ERROR, f"{self._setting} not usable, the old one stays", error=str(error))
                shown = str(error)
                note(False)
                continue
            shown = ""
            note(True)
            if change is not None:
                self._config.take(change)
                # Who was let in by the old one has to be let in by the new one.
                listener.renew()
                event(_log, logging.INFO, f"{self._setting} read again")
                self._warn()

    def _warn(self) -> None:
        for warning in self._config.warnings:
            event(_log, logging.WARNING, f"{self._setting} in force in part", problem=warning)
