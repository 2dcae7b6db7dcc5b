"""MLflow's own tracking server, as a child process on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from tools.processes import Process, free_port, http_ok, port_is_free, wait_until


class MlflowServer(Process):
    """A tracking server of a store.

    Args:
        store: URI of the store.
        directory: Where its log and its artifacts go.
        python: Interpreter of the environment with MLflow; default this one.
        options: More of the command line.
        env: Variables.
        port: Of 127.0.0.1; default a free one.

    Attributes:
        url: Its address.
    """

    def __init__(
        self,
        store: str,
        directory: Path,
        *,
        python: Path | None = None,
        options: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        port = port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        command: list[str | Path] = [
            *(python or Path(sys.executable), "-m", "mlflow", "server", f"--backend-store-uri={store}"),
            *(f"--default-artifact-root={directory}/artifacts", "--host=127.0.0.1", f"--port={port}", "--workers=1"),
            *options,
        ]
        # Old ones start gunicorn by its name.
        path = f"{python.parent}:{os.environ['PATH']}" if python else os.environ["PATH"]
        quiet = {
            "PATH": path,
            "GUNICORN_CMD_ARGS": "--timeout=300",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        super().__init__(
            "mlflow server",
            command,
            log=directory / "mlflow-server.log",
            env={**quiet, **(env or {})},
            cwd=directory,
            healthy=lambda: http_ok(f"{self.url}/health"),
            start_timeout=300.0,
        )
        self._port = port

    @override
    def stop(self) -> None:
        """End it, with the workers that old versions leave behind."""
        group = self.pid
        super().stop()
        if group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            wait_until(lambda: port_is_free(self._port), timeout=60)
