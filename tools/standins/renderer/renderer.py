#!/usr/bin/python3
"""What the stack uses of Grafana's image renderer: `server` and `healthcheck`, /healthz, and /render with its token."""

import hmac
import os
import subprocess
import sys
import tempfile
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PORT = 8081
# As the real one does: in a container without capabilities the browser has no sandbox of its own.
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_GET(self) -> None:
        """Draw the page that `url` names."""
        asked = urlsplit(self.path)
        if asked.path == "/healthz":
            self._answer(200, b"OK", "text/plain")
        elif asked.path != "/render":
            self._answer(404, b"", "text/plain")
        elif not hmac.compare_digest(self.headers.get("X-Auth-Token", ""), os.environ["AUTH_TOKEN"]):
            self._answer(401, b"", "text/plain")
        else:
            self._render({name: values[0] for name, values in parse_qs(asked.query).items()})

    def _render(self, asked: dict[str, str]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            picture = Path(scratch, "picture.png")
            window = f"--window-size={asked.get('width', '1000')},{asked.get('height', '500')}"
            profile = f"--user-data-dir={scratch}/profile"
            command = ["chromium", *OPTIONS, window, profile, f"--screenshot={picture}", asked["url"]]
            done = subprocess.run(command, capture_output=True, timeout=60, check=False)
            if picture.is_file():
                self._answer(200, picture.read_bytes(), "image/png")
            else:
                self._answer(500, done.stderr[-2000:], "text/plain")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if sys.argv[1:] == ["healthcheck"]:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{PORT}/healthz", timeout=3)
else:
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
