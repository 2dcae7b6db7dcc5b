"""The demo inference service: FastAPI, real models, instrumented as a user would do it."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from time import perf_counter
from typing import Any
from zlib import crc32

from fastapi import FastAPI, HTTPException
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from demo import inference_content as content
from ml_monitoring.instrument import Recorder, instrument

_CACHE_ENTRIES = 700
_ENTRY_BYTES = 64 * 8
# Truth that comes later than so many predictions is lost.
_REMEMBERED = 20_000
# Of the standard deviation of the wait for features, as a share of the mean.
_SPREAD = 0.15


class PredictionRequest(BaseModel):
    """A request for a prediction."""

    user: str
    features: list[float]


class Truth(BaseModel):
    """What turned out to be true of an earlier prediction."""

    id: int
    value: float


class Service:
    """The models, their recorders and the switches."""

    def __init__(self, *, seed: int) -> None:
        self.recorder = Recorder(registry=CollectorRegistry(), origin="simulated")
        self.scenarios: set[str] = set()
        started = perf_counter()
        self.digits = content.Digits()
        seconds = perf_counter() - started
        self.progress = content.Progress()
        self._chance = random.Random(seed)  # noqa: S311  # for faults, not for secrets
        self._models = {
            name: self.recorder.model(content.DIGITS_MODEL, truth.version, variant=name)
            for name, truth in content.TRUTH.items()
        }
        for model in self._models.values():
            model.record_load(seconds)
        self._progress_model = self.recorder.model(content.PROGRESS_MODEL, "1")
        self._cache = self.recorder.cache("features")
        # As if it had outlived the last start: a cold cache would raise an alert of its own.
        warm = [[float(value) for value in row] for row in self.digits.samples[:_CACHE_ENTRIES]]
        self._features = OrderedDict((hash(tuple(row)), row) for row in warm)
        self._given: OrderedDict[int, tuple[str, float]] = OrderedDict()
        self._answered = 0
        self._right = dict.fromkeys(content.TRUTH, 0)
        self._known = dict.fromkeys(content.TRUTH, 0)

    def assign(self, user: str) -> str:
        """Return the variant of a user, always the same."""
        share = content.IMBALANCED_SHARE if "imbalance" in self.scenarios else content.CANDIDATE_SHARE
        return "B" if crc32(user.encode()) / 2**32 < share else "A"

    async def predict(self, request: PredictionRequest) -> dict[str, Any]:
        """Return the digit that the user's variant sees."""
        variant = self.assign(request.user)
        truth = content.TRUTH[variant]
        self.recorder.set_variant(variant)
        wait = self._chance.gauss(truth.latency, truth.latency * _SPREAD)
        if "latency" in self.scenarios:
            wait += content.SLOWER_BY
        await asyncio.sleep(max(0.0, wait))
        errors = content.BURST_ERROR_RATIO if "errors" in self.scenarios else truth.error_ratio
        if self._chance.random() < errors:
            raise HTTPException(status_code=503, detail="the feature store is away")
        features = self._cached(request.features)
        degraded = variant == "B" and "degradation" in self.scenarios
        with self._models[variant].track_prediction() as prediction:
            digit, prediction.confidence, prediction.score = self.digits.predict(variant, features, degraded=degraded)
        return {"id": self._remember(variant, digit), "digit": digit, "variant": variant}

    async def estimate(self, request: PredictionRequest) -> dict[str, Any]:
        """Return the estimated progress."""
        with self._progress_model.track_prediction():
            value = self.progress.predict(request.features)
        return {"id": self._remember("", value), "progress": value}

    def learn(self, truths: list[Truth]) -> None:
        """Book what turned out to be true."""
        for truth in truths:
            variant, predicted = self._given.pop(truth.id, (None, 0.0))
            if variant is None:
                continue
            if not variant:
                self._progress_model.record_regression(predicted, truth.value)
                continue
            right = predicted == truth.value
            self._models[variant].record_outcome(right)
            self._known[variant] += 1
            self._right[variant] += right
            self.recorder.set_business_impact(
                variant, content.RIGHT_IS_WORTH * 86_400 * self._right[variant] / self._known[variant]
            )

    def _cached(self, features: list[float]) -> list[float]:
        key = hash(tuple(features))
        found = self._features.get(key)
        if found is not None:
            self._features.move_to_end(key)
            self._cache.record_hit()
            return found
        self._cache.record_miss()
        self._features[key] = features
        if len(self._features) > _CACHE_ENTRIES:
            self._features.popitem(last=False)
        self._cache.set_size(size_bytes=len(self._features) * _ENTRY_BYTES, entries=len(self._features))
        return features

    def _remember(self, variant: str, predicted: float) -> int:
        self._answered += 1
        self._given[self._answered] = (variant, predicted)
        if len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)
        return self._answered


def build(service: Service) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="Demo inference service")
    instrument(app, service.recorder)
    app.post("/predict")(service.predict)
    app.post("/estimate")(service.estimate)

    @app.get("/")
    async def contents() -> dict[str, str]:
        return {
            "/scenarios": "what can be broken; PUT and DELETE /scenarios/NAME switch it on and off",
            "/metrics": "what Prometheus scrapes",
            "/docs": "all requests",
        }

    @app.post("/truths")
    async def truths(known: list[Truth]) -> int:
        service.learn(known)
        return len(known)

    @app.get("/scenarios")
    async def scenarios() -> dict[str, dict[str, Any]]:
        return {
            name: {"meaning": meaning, "on": name in service.scenarios} for name, meaning in content.SCENARIOS.items()
        }

    @app.put("/scenarios/{name}")
    async def switch_on(name: str) -> dict[str, str]:
        if name not in content.SCENARIOS:
            raise HTTPException(status_code=404, detail=f"no such scenario; there are {', '.join(content.SCENARIOS)}")
        service.scenarios.add(name)
        return {
            "now": content.SCENARIOS[name],
            "next": "alerts fire within minutes; DELETE to the same address ends it",
        }

    @app.delete("/scenarios/{name}")
    async def switch_off(name: str) -> dict[str, str]:
        service.scenarios.discard(name)
        return {"next": "all is well again; alerts end within minutes"}

    return app
