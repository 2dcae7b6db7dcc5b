"""The application that `tools.bench.instrument` measures; runs in an environment of its own that has all candidates.

`python instrument_load.py cost REQUESTS ROUNDS` prints as JSON the processor time of a request in microseconds, each
candidate and round by itself; `python instrument_load.py serve CANDIDATE PORT` serves one candidate.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI

ROUTES = 20
PATH = "/models/iris/predict"


def bare() -> FastAPI:
    """Return an application with some routes, of which the last one is asked for."""
    app = FastAPI()
    for number in range(ROUTES - 1):

        @app.get(f"/other{number}/{{item}}")
        async def other(item: str) -> dict[str, str]:
            return {"item": item}

    @app.get("/models/{model}/predict")
    async def predict(model: str) -> dict[str, Any]:
        return {"model": model, "digit": 7, "confidence": 0.93}

    return app


def ours() -> FastAPI:
    """Return it with this project's middleware."""
    from ml_monitoring.instrument import instrument  # noqa: PLC0415  # each candidate is imported where it is wanted

    app = bare()
    instrument(app)
    return app


def by_cell() -> FastAPI:
    """Return it with requests of users, who are counted by cell as well."""
    from ml_monitoring.instrument import instrument  # noqa: PLC0415  # as above

    app = FastAPI()
    recorder = instrument(app)
    for number in range(ROUTES - 1):

        @app.get(f"/other{number}/{{item}}")
        async def other(item: str) -> dict[str, str]:
            return {"item": item}

    users = itertools.cycle(f"user {number}" for number in range(1000))

    @app.get("/models/{model}/predict")
    async def predict(model: str) -> dict[str, Any]:
        recorder.set_variant("B", unit=next(users))
        return {"model": model, "digit": 7, "confidence": 0.93}

    return app


def instrumentator() -> FastAPI:
    """Return it with prometheus-fastapi-instrumentator, as its start page says."""
    import prometheus_fastapi_instrumentator as rival  # type: ignore[import-not-found]  # noqa: PLC0415  # not in .venv

    app = bare()
    rival.Instrumentator().instrument(app).expose(app)
    return app


def starlette_exporter() -> FastAPI:
    """Return it with starlette-exporter, as its start page says."""
    import starlette_exporter as rival  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  # as above

    app = bare()
    app.add_middleware(rival.PrometheusMiddleware)
    app.add_route("/metrics", rival.handle_metrics)
    return app


CANDIDATES: dict[str, Callable[[], FastAPI]] = {
    "bare": bare,
    "ours": ours,
    "ours, users by cell": by_cell,
    "prometheus-fastapi-instrumentator": instrumentator,
    "starlette-exporter": starlette_exporter,
}


async def _ask(app: FastAPI, requests: int) -> float:
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": PATH, "raw_path": PATH.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        return

    started = time.process_time()
    for _ in range(requests):
        await app(dict(scope), receive, send)
    return (time.process_time() - started) / requests * 1e6


def cost(requests: int, rounds: int) -> dict[str, list[float]]:
    """Return microseconds of processor time a request; candidates take turns, so that a busy machine hits all alike."""
    apps = {name: build() for name, build in CANDIDATES.items()}
    found: dict[str, list[float]] = {name: [] for name in apps}
    gc.disable()
    for app in apps.values():
        asyncio.run(_ask(app, requests))
    for _ in range(rounds):
        for name, app in apps.items():
            found[name].append(asyncio.run(_ask(app, requests)))
            gc.collect()
    return found


if __name__ == "__main__":
    if sys.argv[1] == "cost":
        sys.stdout.write(json.dumps(cost(int(sys.argv[2]), int(sys.argv[3]))))
    else:
        uvicorn.run(CANDIDATES[sys.argv[2]](), port=int(sys.argv[3]), log_level="critical", access_log=False)
