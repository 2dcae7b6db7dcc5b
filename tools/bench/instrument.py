"""What instrumentation costs a request: bare FastAPI, this project's, and the two that people use.

Processor time, not time on the clock: on a machine that does other things too, only that can be compared. The two
rivals are installed, pinned, into an environment below `.tools/bench/`, with the same FastAPI as everywhere.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median

from tools.bench import instrument_load
from tools.bench.results import Result
from tools.processes import Process, free_port, http_ok

_ROOT = Path(__file__).resolve().parents[2]
_ENVIRONMENT = _ROOT / ".tools" / "bench" / "instrument"
_RIVALS = ("prometheus-fastapi-instrumentator==8.1.0", "starlette-exporter==0.24.0")
_SAME = ("fastapi", "starlette", "uvicorn", "prometheus-client")
_LOAD = Path(instrument_load.__file__)

# Candidates take turns, so that a busy machine hits all alike.
_TURNS = 6
# 1 % of a handler that takes 5 ms.
_LIMITS = {"ours": 50.0, "ours, users by cell": 25.0}


def run(options: argparse.Namespace) -> list[Result]:
    """Measure all candidates."""
    python = _environment()
    requests, rounds = (500, 5) if options.quick else (3000, 15)
    found: dict[str, list[float]] = json.loads(
        subprocess.run(
            [python, _LOAD, "cost", str(requests), str(rounds)],
            env=_variables(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    bare = found.pop("bare")
    results = [Result("bare FastAPI, a request", median(bare), "µs")]
    added = {}
    for name, rounds_of in found.items():
        # Of each round by itself: what slows the machine down slows both.
        added[name] = median(one - other for one, other in zip(rounds_of, bare, strict=True))
        results.append(Result(f"added by {name}", added[name], "µs", _LIMITS.get(name)))
    fastest = min(value for name, value in added.items() if not name.startswith("ours"))
    results += [
        Result(f"{name}, as a share of the faster rival", 100 * added[name] / fastest, "%", 100.0)
        for name in ("ours", "ours, users by cell")
    ]
    served = _served(python, 3_000 if options.quick else 18_000)
    for name, per_request in served.items():
        results.append(Result(f"throughput with {name} under uvicorn", 100 * served["bare"] / per_request, "% of bare"))
    return results


def _environment() -> Path:
    python = _ENVIRONMENT / "bin" / "python"
    wanted = [*_RIVALS, *(f"{name}=={version(name)}" for name in _SAME)]
    uv = [sys.executable, "-m", "uv"]
    if not python.exists():
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, _ENVIRONMENT], check=True)
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *wanted], check=True)
    return python


def _variables() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT)}


def _served(python: Path, requests: int) -> dict[str, float]:
    """Return the servers' processor seconds a request over real connections."""
    servers: dict[str, tuple[Process, int]] = {}
    used: dict[str, list[float]] = {name: [] for name in instrument_load.CANDIDATES}
    with contextlib.ExitStack() as stack:
        for name in instrument_load.CANDIDATES:
            port = free_port()
            server = Process(
                name,
                [python, _LOAD, "serve", name, str(port)],
                log=_ENVIRONMENT / f"{name}.log",
                env=_variables(),
                healthy=functools.partial(http_ok, f"http://127.0.0.1:{port}{instrument_load.PATH}"),
            )
            servers[name] = (stack.enter_context(server), port)
            _load(port, requests // _TURNS)
        for _ in range(_TURNS):
            for name, (server, port) in servers.items():
                before = _processor_seconds(server)
                _load(port, requests // _TURNS)
                used[name].append(_processor_seconds(server) - before)
    return {name: median(seconds) * _TURNS / requests for name, seconds in used.items()}


def _load(port: int, requests: int) -> None:
    request = f"GET {instrument_load.PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(requests):
            connection.sendall(request)
            received = b""
            while not received.endswith(b"}"):
                received += connection.recv(4096)


def _processor_seconds(server: Process) -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
