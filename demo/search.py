"""Run a demo search service as a team has it that never heard of the library: FastAPI behind starlette-exporter.

An adapter reads its metrics as they are. It asks itself, as users would: one search in two hundred fails.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import threading
from contextlib import suppress
from typing import Final

import aiohttp
import uvicorn
from fastapi import FastAPI, HTTPException
from starlette_exporter import PrometheusMiddleware, handle_metrics

from ml_monitoring.exporter import command_line

_TITLES: Final = (
    "A gradient a day",
    "Attention in the age of queues",
    "Drift and other weather",
    "Forests of decision",
    "How to lose a baseline",
    "Queues for people who wait",
    "The last false alarm",
    "Trees that vote",
    "Weather of the week",
    "What the baseline knew",
)
# Mean seconds of a search and of suggestions, and the spread as a share of them.
_SEARCH, _SUGGEST, _SPREAD = 0.06, 0.01, 0.3
_FAILING: Final = 0.005


def build(seed: int) -> FastAPI:
    """Return the service.

    Args:
        seed: Same seed, same waits and failures.
    """
    chance = random.Random(seed)  # noqa: S311  # for faults, not for secrets
    app = FastAPI()
    app.add_middleware(PrometheusMiddleware, app_name="search", skip_paths=["/metrics"])
    app.add_route("/metrics", handle_metrics)

    async def wait(mean: float) -> None:
        await asyncio.sleep(max(0.0, chance.gauss(mean, mean * _SPREAD)))

    @app.get("/")
    async def contents() -> dict[str, str]:
        """Say what there is."""
        return {
            "/search?text=trees": "titles that have most of the words",
            "/suggest?begin=we": "titles that begin so",
            "/metrics": "what Prometheus scrapes, of starlette-exporter",
        }

    @app.get("/search")
    async def search(text: str) -> list[str]:
        """Return the titles that have most of the words."""
        await wait(_SEARCH)
        if chance.random() < _FAILING:
            raise HTTPException(status_code=503, detail="the index is away")
        words = set(text.lower().split())
        found = {title: len(words & set(title.lower().split())) for title in _TITLES}
        return sorted((title for title in _TITLES if found[title]), key=lambda title: -found[title])

    @app.get("/suggest")
    async def suggest(begin: str) -> list[str]:
        """Return the titles that begin so."""
        await wait(_SUGGEST)
        return [title for title in _TITLES if title.lower().startswith(begin.lower())]

    return app


async def _users(url: str, rate: float, seed: int) -> None:
    """Type a few letters, then search, each at a random time."""
    chance = random.Random(seed)  # noqa: S311  # for traffic, not for secrets
    asked: set[asyncio.Task[None]] = set()
    async with aiohttp.ClientSession(url) as client:

        async def ask(path: str, **query: str) -> None:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with client.get(path, params=query) as answer:
                    await answer.read()

        while True:
            await asyncio.sleep(chance.expovariate(rate))
            words = chance.choice(_TITLES).split()
            if chance.random() < 0.6:
                task = asyncio.create_task(ask("/suggest", begin=words[0][:3]))
            else:
                task = asyncio.create_task(ask("/search", text=" ".join(chance.sample(words, 2))))
            asked.add(task)
            task.add_done_callback(asked.discard)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m demo search`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=command_line.PORT, default=9862, help="port to listen on (default: 9862)")
    parser.add_argument(
        "--rate", type=command_line.positive, default=5.0, metavar="N", help="mean requests a second (default: 5)"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same requests (default: 0)")


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    server = uvicorn.Server(
        uvicorn.Config(build(options.seed), host=options.host, port=options.port, log_level="warning", ws="none")
    )
    url = f"http://{options.host}:{options.port}"
    threading.Thread(target=lambda: asyncio.run(_users(url, options.rate, options.seed)), daemon=True).start()
    server.run()
    return 0
