"""Users of the demo inference service: requests at random times over real HTTP, and the truth a moment later."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Collection, Coroutine
from datetime import UTC, datetime
from time import monotonic

import aiohttp

from demo.inference_content import Digits, Progress, daily_curve

_USERS = 100_000
_TRUTHS_EVERY = 1.0
# One request in so many asks for an estimate instead of a digit.
_ESTIMATE_EVERY = 10


class Traffic:
    """A thread that sends requests until it is stopped.

    Args:
        url: The service's address.
        digits: Samples and their digits.
        progress: Samples and their progress.
        rate: Mean requests a second.
        seed: Same seed, same users and samples.
        scenarios: Those that are on at present.
        flat: Leave the daily curve out.
    """

    def __init__(
        self,
        url: str,
        digits: Digits,
        progress: Progress,
        *,
        rate: float,
        seed: int,
        scenarios: Collection[str],
        flat: bool = False,
    ) -> None:
        self._url = url
        self._digits = digits
        self._progress = progress
        self._rate = rate
        self._chance = random.Random(seed)  # noqa: S311  # for traffic, not for secrets
        self._scenarios = scenarios
        self._flat = flat
        self._truths: list[dict[str, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="traffic", daemon=True)

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sending."""
        self._stop.set()
        self._thread.join(5)

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(self._url, timeout=timeout) as client:
            tasks: set[asyncio.Task[None]] = set()
            next_truths = monotonic()
            next_request = monotonic()
            while not self._stop.is_set():
                now = monotonic()
                if now >= next_truths:
                    next_truths = now + _TRUTHS_EVERY
                    self._spawn(tasks, self._tell_truths(client))
                if now < next_request:
                    await asyncio.sleep(min(next_request - now, 0.05))
                    continue
                # Users do not wait for each other; after a pause they do not make up for it either.
                next_request = max(next_request, now - 1) + self._chance.expovariate(self._present_rate())
                if "stop" not in self._scenarios:
                    self._spawn(tasks, self._ask(client))

    @staticmethod
    def _spawn(tasks: set[asyncio.Task[None]], coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _present_rate(self) -> float:
        if self._flat:
            return self._rate
        now = datetime.now(UTC)
        return self._rate * daily_curve(now.hour + now.minute / 60)

    async def _ask(self, client: aiohttp.ClientSession) -> None:
        user = f"user-{self._chance.randrange(_USERS)}"
        if self._chance.randrange(_ESTIMATE_EVERY) == 0:
            number = self._chance.randrange(len(self._progress.samples))
            await self._post(client, "/estimate", user, self._progress.samples[number], self._progress.progress[number])
            return
        number = self._digits.draw(self._chance, only_small="drift" in self._scenarios)
        await self._post(client, "/predict", user, self._digits.samples[number], self._digits.digits[number])

    async def _post(self, client: aiohttp.ClientSession, path: str, user: str, features: object, truth: float) -> None:
        rows = [float(value) for value in features]  # type: ignore[attr-defined]  # a row of a numpy array
        try:
            async with client.post(path, json={"user": user, "features": rows}) as response:
                if response.status == 200:
                    self._truths.append({"id": (await response.json())["id"], "value": float(truth)})
        except (aiohttp.ClientError, TimeoutError):
            return  # the service is starting, stopping, or overloaded

    async def _tell_truths(self, client: aiohttp.ClientSession) -> None:
        known, self._truths = self._truths, []
        if known:
            try:
                async with client.post("/truths", json=known):
                    pass
            except (aiohttp.ClientError, TimeoutError):
                return  # as above
