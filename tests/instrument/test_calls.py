"""Calls with arguments that there are not: one sentence with the one that is meant and those that there are."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from flask import Blueprint, Flask
from prometheus_client import CollectorRegistry

from ml_monitoring import instrument as library
from ml_monitoring.instrument import (
    ASGIMiddleware,
    Pushgateway,
    Recorder,
    WSGIMiddleware,
    from_header,
    instrument,
    make_wsgi_app,
)

# Called as types forbid.
CARELESS: Any = instrument
OF_INSTRUMENT = (
    "it is called as instrument(app, recorder=None, *, metrics_path='/metrics', exclude=(), get_variant=None)"
)
OF_RECORDER = (
    "it is called as Recorder(*, registry=..., origin=None, labels=None, max_label_sets=500, response_buckets=None, "
    "inference_buckets=None, exemplars=False, sizes=False, exporter=None)"
)
OF_WSGI = (
    "it is called as WSGIMiddleware(app, recorder, *, metrics_path='/metrics', exclude=(), get_route=..., "
    "get_variant=None)"
)
APPLICATION = "pass the application itself, as FastAPI(), Flask(...) or get_wsgi_application() return it"


def given() -> Any:
    return Recorder(registry=CollectorRegistry())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: instrument(FastAPI(), metric_path="/m"),  # type: ignore[call-arg]
            f"instrument: there is no 'metric_path'; did you mean 'metrics_path'? {OF_INSTRUMENT}",
        ),
        (
            lambda: instrument(FastAPI(), buckets=(1, 2)),  # type: ignore[call-arg]
            f"instrument: there is no 'buckets'; did you mean 'response_buckets' of Recorder? {OF_INSTRUMENT}",
        ),
        (
            lambda: instrument(FastAPI(), labels={}),  # type: ignore[call-arg]
            f"instrument: there is no 'labels', which is an argument of Recorder: {OF_INSTRUMENT}",
        ),
        (partial(instrument), f"instrument: missing a required argument: 'app': {OF_INSTRUMENT}"),
        (
            partial(CARELESS, Flask("app"), excluded_handlers=["/x"]),
            f"instrument: there is no 'excluded_handlers'; did you mean 'exclude'? {OF_INSTRUMENT}",
        ),
        (partial(CARELESS, Flask("app"), namespace="x"), f"instrument: there is no 'namespace': {OF_INSTRUMENT}"),
        (
            partial(CARELESS, Recorder(registry=CollectorRegistry()), Flask("app")),
            "app: this is the recorder: the application comes first, instrument(app, recorder)",
        ),
        (
            lambda: Recorder(label={}),  # type: ignore[call-arg]
            f"Recorder: there is no 'label'; did you mean 'labels'? {OF_RECORDER}",
        ),
        (
            lambda: Recorder(CollectorRegistry()),  # type: ignore[call-arg]
            f"Recorder: too many positional arguments: {OF_RECORDER}",
        ),
        (
            lambda: WSGIMiddleware(Flask("app")),  # type: ignore[call-arg]
            f"WSGIMiddleware: missing a required argument: 'recorder': {OF_WSGI}",
        ),
        (
            lambda: given().model("m", versoin="3"),
            "model: there is no 'versoin'; did you mean 'version'? it is called as "
            "model(name, version='', *, variant='')",
        ),
        (
            lambda: given().job("n", evry="1d"),
            "job: there is no 'evry'; did you mean 'every'? it is called as job(name, *, every=None)",
        ),
        (
            lambda: given().track_request("B", user="u"),
            "track_request: there is no 'user': it is called as track_request(variant, *, unit=None)",
        ),
        (
            lambda: Pushgateway("http://gateway", time_out=3),  # type: ignore[call-arg]
            "Pushgateway: there is no 'time_out'; did you mean 'timeout'? it is called as "
            "Pushgateway(url, *, timeout=10.0, handler=...)",
        ),
        (
            lambda: from_header("X", defualt=""),  # type: ignore[call-arg]
            "from_header: there is no 'defualt'; did you mean 'default'? it is called as from_header(name, default='')",
        ),
    ],
)
def test_an_unknown_argument_is_one_sentence(call: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$") as raised:
        call()
    assert raised.value.__suppress_context__


def test_each_public_function_and_class_of_users_is_explained() -> None:
    made_by_recorders = {
        "CacheRecorder",
        "ExperimentRecorder",
        "Exposition",
        "Generation",
        "ModelRecorder",
        "Prediction",
    }
    for name in set(library.__all__) - made_by_recorders - {"HEALTH_CHECKS"}:
        with pytest.raises(TypeError, match=f"^{name}: .* it is called as {name}\\("):
            getattr(library, name)(no_such_argument=1)


def test_what_a_function_raises_itself_is_passed_on() -> None:
    with pytest.raises(TypeError, match=r"^recorder: None is no Recorder$"):
        make_wsgi_app(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (
            lambda model: model.track_prediction(confidence=0.9),
            "confidence is set inside of the `with` block, as an attribute of what it gives",
        ),
        (lambda model: model.track_prediction(1), "too many positional arguments: it is called as track_prediction()"),
        (
            lambda model: model.generate(prompt_tokens=9),
            "there is no 'prompt_tokens'; did you mean 'input_tokens'? it is called as generate(input_tokens=None)",
        ),
        (lambda model: model.track_load(3), "too many positional arguments: it is called as track_load()"),
    ],
)
def test_a_block_with_unknown_arguments_is_made_without(
    make: Callable[[Any], Any], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    with make(given().model("m")):
        pass
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        f"{problem}; it is not recorded, and the program goes on"
    ]


@pytest.mark.parametrize(
    ("app", "given"),
    [
        ("app:app", "'app:app'"),
        (None, "None"),
        (APIRouter(), "this APIRouter"),
        (Blueprint("b", "b"), "this Blueprint"),
        ({}, "{}"),
        ([FastAPI()], "this list"),
        (inspect, "this module"),
    ],
)
def test_what_is_no_application_is_named(app: Any, given: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(f'app: {given} is no application: {APPLICATION}')}$"):
        instrument(app)
    for middleware, kind, called in (
        (ASGIMiddleware, "ASGI", "scope, receive, send"),
        (WSGIMiddleware, "WSGI", "environ, start_response"),
    ):
        if not callable(app):
            message = f"app: {given} is no application of {kind}, called with {called}: pass the application itself"
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                middleware(app, Recorder(registry=CollectorRegistry()))


def test_an_application_that_has_started_is_refused() -> None:
    app = FastAPI()

    async def start() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            await client.get("/")

    asyncio.run(start())
    message = (
        "this FastAPI has started: call instrument right after it is made, not in its lifespan, an event or a request"
    )
    with pytest.raises(RuntimeError, match=f"^{message}$"):
        instrument(app, Recorder(registry=CollectorRegistry()))
