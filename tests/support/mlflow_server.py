"""MLflow's own tracking server, as a child process on a free port of 127.0.0.1."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tools.processes import Process, free_port, http_ok


class MlflowServer(Process):
    """A tracking server of a store.

    Args:
        store: URI of the store.
        directory: Where its log and its artifacts go.
        python: Interpreter of the environment with MLflow; default this one.
        options: More of the command line.
        env: Variables.

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
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command: list[str | Path] = [
            *(python or Path(sys.executable), "-m", "mlflow", "server", f"--backend-store-uri={store}"),
            *(f"--default-artifact-root={directory}/artifacts", "--host=127.0.0.1", f"--port={port}", "--workers=1"),
            *options,
        ]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        super().__init__(
            "mlflow server",
            command,
            log=directory / "mlflow-server.log",
            env={**quiet, **(env or {})},
            cwd=directory,
            healthy=lambda: http_ok(f"{self.url}/health"),
            start_timeout=120.0,
        )
