"""The request head of the exporter and the notifications of the alert log: real servers, raw bytes."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import yaml
from hypothesis import strategies as st

from tests.fuzz.mutation import changed, mutated, nested
from tests.fuzz.target import SECRET, Check, Target
from tests.support.alert_log import Server as AlertLogServer
from tests.support.serving import serving

_PATIENCE = 20.0
_MOST_MEMORY = 256 << 20
# Each input may cost some lines, not a flood.
_MOST_LOG_BYTES = 2_000
_TOKEN = b"Authorization: Bearer " + SECRET.encode()
_HEADS = [
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain;q=0.5\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET /metrics?collect[]=fleet&name[]=up HTTP/1.1\r\nHost: x\r\n" + _TOKEN + b"\r\n\r\n",
    b"POST /-/reset/fleet HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET /runbooks/MlMonitoringDown HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
]
_PIECES = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"PRI * ",
            b"/metrics",
            b"/-/healthy",
            b"/%2e%2e/",
            b"//x/",
            b"http://x/metrics",
            b"?name[]=",
            b"*",
        ),
        *(b" HTTP/1.1", b" HTTP/1.0", b" HTTP/9.9", b"\r\n", b"\n", b"\r", b"\0", b": ", b":", b" ", b"\t"),
        *(b"Host: x", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999"),
        *(b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close", b"Upgrade: websocket", _TOKEN),
        *(b"Authorization: Basic " + bytes(part) for part in (b"Og==", b"\xff\xff", b"%%%", b"AAAA" * 500)),
        *(b"Accept: " + bytes(part) for part in (b"*/*;q=x", b";;;,,,", b"application/openmetrics-text;version=1.0.0")),
        *(b"Accept-Encoding: gzip;q=1e999", b"5\r\nabcde\r\n", b"ffffffffffffffff\r\n", b"A" * 9000),
    ]
)


@contextlib.contextmanager
def _exporter(folder: Path) -> Iterator[Check]:
    fleet = folder / "fleet.csv"
    fleet.write_text("timestamp,server_name\n", encoding="utf-8")
    web = folder / "web.yml"
    # The lowest cost: what is tried is the parser.
    hashed = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()
    web.write_text(yaml.safe_dump({"basic_auth_users": {"ada": hashed}}), encoding="utf-8")
    config = folder / "exporter.yml"
    settings = {
        "web": {"host": "127.0.0.1", "port": 0, "config_file": str(web)},
        "sources": {"fleet": {"path": str(fleet), "mode": "follow"}},
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with serving(config) as exporter:
        host, port = exporter.url.removeprefix("http://").rsplit(":", 1)

        def check(content: bytes) -> None:
            logged = exporter.log.stat().st_size
            answer = _send(host, int(port), content)
            # Whatever comes is the client's mistake.
            assert not answer or answer.startswith(b"HTTP/"), answer[:200]
            assert b" 500 " not in answer.partition(b"\r\n")[0], answer[:500]
            assert SECRET.encode() not in answer
            assert exporter.get("/-/healthy").status_code == 200
            with exporter.log.open("rb") as log:
                log.seek(logged)
                new = log.read()
            assert len(new) < _MOST_LOG_BYTES, new[:_MOST_LOG_BYTES]
            assert b"Traceback" not in new, new
            assert SECRET.encode() not in new, new
            assert _memory(exporter.process.pid) < _MOST_MEMORY

        yield check


def _memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def _send(host: str, port: int, content: bytes) -> bytes:
    """Send it, say that nothing follows, and return all that comes back."""
    answer = b""
    # A server that has seen enough may close before it has read all.
    with (
        socket.create_connection((host, port), timeout=_PATIENCE) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(1 << 16):
            answer += piece
    return answer


REQUEST_HEAD = Target(
    "request_head",
    st.one_of(mutated(_HEADS), st.lists(_PIECES, max_size=20).map(b"".join), st.binary(max_size=200)),
    _exporter,
    short=150,
)

_NOTIFICATION: dict[str, Any] = {
    "version": "4",
    "receiver": "mlops-warning",
    "status": "firing",
    "groupKey": '{}:{alertname="A"}',
    "truncatedAlerts": 0,
    "groupLabels": {"alertname": "A"},
    "commonLabels": {"alertname": "A", "severity": "warning", "team": "mlops"},
    "commonAnnotations": {"summary": "It broke."},
    "externalURL": "http://127.0.0.1:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "A", "severity": "warning", "team": "mlops", "server": "<b>é"},
            "annotations": {"summary": "It broke.", "description": "Badly."},
            "startsAt": "2026-11-28T12:00:00.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://127.0.0.1:9090/graph",
            "fingerprint": "0123456789abcdef",
        },
        {
            "status": "resolved",
            "labels": {"alertname": "A"},
            "annotations": {},
            "startsAt": "2026-11-28T12:00:00+14:00",
            "endsAt": "2026-11-28T13:00:00Z",
            "fingerprint": "0123456789abcdee",
        },
    ],
}
_TIMES = st.sampled_from(
    [
        *(
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59.999999999-14:00",
            "2026-02-30T00:00:00Z",
        ),
        *("", "now", "2026-11-28", "1e9", "2026-11-28T12:00:00", "2026-11-28T24:00:00Z", "-0001-01-01T00:00:00Z"),
    ]
)
_KEYS = st.sampled_from(["alertname", "severity", "team", "summary", "status", "labels", "alerts", "", "__name__"])


@contextlib.contextmanager
def _alert_log(folder: Path) -> Iterator[Check]:
    server = AlertLogServer(folder / "log")
    with server.process as process:
        assert process.pid is not None
        pid = process.pid

        def check(content: bytes) -> None:
            logged = process.log.stat().st_size
            status = server.post(content)
            # Alertmanager tries again after a 5xx, for ever.
            assert status in {200, 400, 413}, status
            for path in ("/", "/api/alerts", "/metrics", "/-/healthy"):
                assert server.status(path) == 200, path
            with process.log.open("rb") as log:
                log.seek(logged)
                new = log.read()
            assert b"Traceback" not in new, new
            assert len(new) < _MOST_LOG_BYTES, new[:_MOST_LOG_BYTES]
            assert _memory(pid) < _MOST_MEMORY

        yield check


def _as_json(tree: Any) -> bytes:
    return json.dumps(tree).encode()


NOTIFICATION = Target(
    "notification",
    st.one_of(
        changed(_NOTIFICATION, st.one_of(_TIMES, nested(_KEYS))).map(_as_json),
        nested(_KEYS).map(_as_json),
        mutated([_as_json(_NOTIFICATION)]),
        st.sampled_from([b"[" * 50_000, b'{"a":' * 20_000, b'{"alerts": [' + b"{}," * 5_000 + b"{}]}"]),
    ),
    _alert_log,
    short=60,
)
