"""TLS in front of a PostgreSQL server whose build has none: shakes hands as a server does, and passes the rest on."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

# Length and code of the message by which a client asks for TLS.
_REQUEST = bytes.fromhex("0000000804d2162f")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    context: ssl.SSLContext
    target: tuple[str, int]


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        if self.request.recv(len(_REQUEST)) != _REQUEST:
            return
        self.request.sendall(b"S")
        # A client that does not trust the certificate leaves.
        with (
            contextlib.suppress(OSError),
            socket.create_connection(self.server.target) as behind,
            self.server.context.wrap_socket(self.request, server_side=True) as client,
        ):
            threading.Thread(target=_pass_on, args=(behind, client), daemon=True).start()
            _pass_on(client, behind)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def behind_tls(port: int, certificate: Path, key: Path) -> Iterator[int]:
    """Give a port of 127.0.0.1 on which the server on another port is reached by TLS."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(certificate, key)
        server.target = ("127.0.0.1", port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
