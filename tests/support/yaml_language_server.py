"""The language server that editors ask about YAML files: what it completes, and what it finds wrong."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.typescript import install, node

_FOLDER = Path(__file__).with_name("yaml-language-server")
_SETTINGS = {"yaml": {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}}


class YamlLanguageServer:
    """A running server; speaks JSON-RPC over its standard input and output."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0
        self._ask("initialize", processId=None, rootUri=None, capabilities={})
        self._send("initialized")
        self._send("workspace/didChangeConfiguration", settings=_SETTINGS)

    def diagnostics(self, file: Path) -> list[tuple[int, str]]:
        """Return line and message of each problem of a file."""
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": file.read_text(encoding="utf-8")}
        self._send("textDocument/didOpen", textDocument=document)
        while True:
            message = self._receive()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == file.as_uri():
                found = message["params"]["diagnostics"]
                return [(each["range"]["start"]["line"] + 1, each["message"]) for each in found]

    def completions(self, file: Path, line: int, column: int) -> dict[str, str]:
        """Return what may be typed at a place of an open file (line from 1), each with its description."""
        place = {"line": line - 1, "character": column}
        answer = self._ask("textDocument/completion", textDocument={"uri": file.as_uri()}, position=place)
        return {item["label"]: str(item.get("documentation") or "") for item in answer["items"]}

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._write({"id": self._number, "method": method, "params": parameters})
        while True:
            message = self._receive()
            if message.get("id") == self._number and "method" not in message:
                return message["result"]

    def _send(self, method: str, **parameters: Any) -> None:
        self._write({"method": method, "params": parameters})

    def _write(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        """Return the next message; answer on the way what the server asks of an editor."""
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        if "method" in message and "id" in message:
            asked = message["method"] == "workspace/configuration"
            result = [_SETTINGS.get(item.get("section"), {}) for item in message["params"]["items"]] if asked else None
            self._write({"id": message["id"], "result": result})
        return message


@contextlib.contextmanager
def running() -> Iterator[YamlLanguageServer]:
    """Run the server."""
    program = install(_FOLDER) / "yaml-language-server" / "bin" / "yaml-language-server"
    command = [node(), str(program), "--stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield YamlLanguageServer(process)
        finally:
            process.kill()
