"""WebSocket connections: a real Starlette application, driven by the events that a server would send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from exporter.instrument import Recorder, instrument
from tests.exporter.instrument.servers import parse


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        text = await websocket.receive_text()
        if text == "bye":
            await websocket.close()
            return
        if text == "fail":
            raise RuntimeError("the model is gone")
        await websocket.send_text(text)


async def _refuse(websocket: WebSocket) -> None:
    await websocket.close(code=1008)


def talk(path: str, *texts: str, leave_with: int = 1000) -> tuple[list[str], dict[str, float], float]:
    """Connect, say the texts, leave; return what the server sent, the connections by outcome, and the open ones."""
    app = Starlette(routes=[WebSocketRoute("/echo/{room}", _echo), WebSocketRoute("/refuse", _refuse)])
    recorder = instrument(app, Recorder(registry=CollectorRegistry()))
    events: Iterator[dict[str, Any]] = iter(
        [
            {"type": "websocket.connect"},
            *({"type": "websocket.receive", "text": text} for text in texts),
            {"type": "websocket.disconnect", "code": leave_with},
        ]
    )
    sent: list[str] = []

    async def receive() -> MutableMapping[str, Any]:
        return next(events)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "subprotocols": []}
    try:
        asyncio.run(app(scope, receive, send))
    except Exception as error:  # noqa: BLE001  # the server logs whatever comes and closes the connection
        sent.append(type(error).__name__)
    samples = parse(recorder.exposition().body.decode())
    ended = {
        f"{dict(labels)['route']} {dict(labels)['outcome']}": value
        for (name, labels), value in samples.items()
        if name == "ml_websocket_connections_total"
    }
    assert not [name for name, _ in samples if name == "ml_http_requests_total"]
    return sent, ended, samples.get(("ml_websocket_connections_open", ()), 0.0)


@pytest.mark.parametrize(
    ("path", "texts", "code", "outcome"),
    [
        ("/echo/1", ("hello", "bye"), 1000, "/echo/{room} closed"),
        ("/echo/2", ("hello",), 1001, "/echo/{room} closed"),
        ("/echo/3", ("hello",), 1006, "/echo/{room} abandoned"),
        ("/echo/4", ("fail",), 1000, "/echo/{room} failed"),
        ("/refuse", (), 1000, "/refuse rejected"),
        ("/nowhere", (), 1000, "unmatched rejected"),
    ],
)
def test_each_way_to_end_is_counted_once(path: str, texts: tuple[str, ...], code: int, outcome: str) -> None:
    _sent, ended, still_open = talk(path, *texts, leave_with=code)
    assert ended == {outcome: 1}
    assert still_open == 0


def test_messages_pass_through_unchanged() -> None:
    sent, _ended, _open = talk("/echo/1", "one", "two", "bye")
    assert sent == ["websocket.accept", "websocket.send", "websocket.send", "websocket.close"]
