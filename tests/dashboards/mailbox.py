"""A mail server on 127.0.0.1 that keeps what it is sent: enough SMTP for Python's own client to deliver."""

from __future__ import annotations

import socketserver
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Self


class Mailbox:
    """The server; a context manager.

    Attributes:
        port: Where it listens.
        messages: What arrived.
        recipients: To whom each was addressed on the envelope.
    """

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        mailbox = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 mailbox")
                to: list[str] = []
                for raw in self.rfile:
                    line = raw.decode().strip()
                    word = line[:4].upper()
                    if word == "RCPT":
                        to.append(line.partition("<")[2].partition(">")[0])
                    if word == "DATA":
                        self._say("354 go on")
                        mailbox.messages.append(message_from_bytes(self._content(), policy=policy.default))
                        mailbox.recipients.append(to)
                    self._say("221 bye" if word == "QUIT" else "250 ok")
                    if word == "QUIT":
                        return

            def _say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def _content(self) -> bytes:
                lines = []
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                return b"".join(lines)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
