"""WebSocket connections: a real Starlette application under uvicorn, and real clients that leave in every way."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ml_monitoring.instrument import Recorder, instrument
from tests.support.wsgi_servers import asgi_server, parse
from tools.processes import wait_until

ENDED = "ml_websocket_connections_total"
OPEN = ("ml_websocket_connections_open", ())


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


def talk(path: str, *texts: str, leave: Callable[[ClientConnection], None]) -> tuple[list[str], dict[str, float]]:
    """Connect, say the texts, leave; return the echoes, and the connections by route and outcome once all are ended."""
    app = Starlette(routes=[WebSocketRoute("/echo/{room}", _echo), WebSocketRoute("/refuse", _refuse)])
    recorder = instrument(app, Recorder(registry=CollectorRegistry()))
    echoes: list[str] = []

    def ended() -> dict[str, float]:
        samples = parse(recorder.exposition().body.decode())
        assert not [name for (name, _), value in samples.items() if name == "ml_http_requests_total" and value]
        return {
            f"{dict(labels)['route']} {dict(labels)['outcome']}": value
            for (name, labels), value in samples.items()
            if name == ENDED and value
        }

    with asgi_server(app, ws="auto") as client:
        address = f"ws://{client.base_url.host}:{client.base_url.port}{path}"
        try:
            with connect(address, close_timeout=1) as connection:
                assert parse(recorder.exposition().body.decode())[OPEN] == 1
                for text in texts:
                    connection.send(text)
                    echoes.append(str(connection.recv()))
                leave(connection)
        except ConnectionClosed as closed:
            echoes.append(str(closed.rcvd.code if closed.rcvd else None))
        except InvalidStatus as refused:
            echoes.append(str(refused.response.status_code))
        assert wait_until(lambda: bool(ended()), timeout=10), "no end was counted"
        assert parse(recorder.exposition().body.decode()).get(OPEN, 0) == 0
        return echoes, ended()


def politely(connection: ClientConnection) -> None:
    connection.close()


def going_away(connection: ClientConnection) -> None:
    connection.close(code=1001)


def in_distress(connection: ClientConnection) -> None:
    connection.close(code=1011)


def vanish(connection: ClientConnection) -> None:
    # The connection ends without the goodbye that the protocol wants.
    connection.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("path", "texts", "leave", "outcome"),
    [
        ("/echo/1", ("hello", "bye"), politely, "/echo/{room} closed"),
        ("/echo/2", ("hello",), going_away, "/echo/{room} closed"),
        ("/echo/3", ("hello",), in_distress, "/echo/{room} abandoned"),
        # uvicorn tells applications of a lost connection with the code of a goodbye without a reason, 1005.
        ("/echo/5", ("hello",), vanish, "/echo/{room} closed"),
        ("/echo/4", ("fail",), politely, "/echo/{room} failed"),
        ("/refuse", (), politely, "/refuse rejected"),
        ("/nowhere", (), politely, "unmatched rejected"),
    ],
)
def test_each_way_to_end_is_counted_once(
    path: str, texts: tuple[str, ...], leave: Callable[[ClientConnection], None], outcome: str
) -> None:
    _echoes, ended = talk(path, *texts, leave=leave)
    assert ended == {outcome: 1}


def test_messages_pass_through_unchanged() -> None:
    echoes, _ended = talk("/echo/1", "one", "two", "bye", leave=politely)
    assert echoes == ["one", "two", "1000"]
