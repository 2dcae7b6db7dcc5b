"""A headless Chromium, driven over its DevTools protocol, with everything that it complains about."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

Json = dict[str, Any]

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    # Root may start it too, and what it opens is ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
# A machine that does much else takes its time.
TIMEOUT = 60.0
# What the protocol answers where the page is left while it is asked.
_LEFT = "Inspected target navigated or closed"
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}


class LeftError(Exception):
    """Report that the page was left before it answered."""


class Tab:
    """One page of the browser.

    Attributes:
        complaints: What the console said above the level of a remark, and scripts' errors.
        requested: Addresses that the page asked for.
        failed: Addresses that got no answer, or a status from 400.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._reader = asyncio.create_task(self._read())
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self.failed: list[str] = []

    async def _read(self) -> None:
        async for message in self._socket:
            content = json.loads(message.data)
            if "id" in content:
                self._answers.pop(content["id"]).set_result(content)
            else:
                self._note(content["method"], content["params"])

    def _note(self, method: str, about: Json) -> None:
        if method == "Log.entryAdded" and about["entry"]["level"] in ("warning", "error"):
            self.complaints.append(f"{about['entry']['text']} ({about['entry'].get('url', '')})")
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("warning", "error", "assert"):
            self.complaints.append(" ".join(str(one.get("value", one.get("description"))) for one in about["args"]))
        elif method == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description") or details["text"]))
        elif method == "Network.requestWillBeSent":
            self.requested.append(about["request"]["url"])
        elif method == "Network.responseReceived" and about["response"]["status"] >= 400:
            self.failed.append(about["response"]["url"])

    async def call(self, method: str, **arguments: Any) -> Json:
        """Send a command of the protocol and return its result."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": arguments})
        content = await asyncio.wait_for(answer, TIMEOUT)
        if content.get("error", {}).get("message") == _LEFT:
            raise LeftError(method)
        assert "error" not in content, f"{method}: {content['error']}"
        return dict(content["result"])

    async def run(self, script: str) -> Any:
        """Return the value of an expression in the page; a promise is awaited."""
        result = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression in the page is true; the page may lead to another meanwhile."""
        deadline = asyncio.get_running_loop().time() + TIMEOUT
        while not await self._holds(condition):
            assert asyncio.get_running_loop().time() < deadline, f"never true: {condition}\n{self.complaints}"
            await asyncio.sleep(0.02)

    async def _holds(self, condition: str) -> bool:
        try:
            return bool(await self.run(f"Boolean({condition})"))
        except LeftError:
            return False

    async def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        # Another document than before, or the condition would hold of the old one.
        await self.run("document.leaving = true")
        await self.call("Page.navigate", url=url)
        await self.until("!document.leaving && document.readyState === 'complete'")

    async def press(self, key: str) -> None:
        """Press a key."""
        code = KEYS[key]
        text = {"Enter": "\r", " ": " "}.get(key)
        more = {"text": text} if text else {}
        name = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **name, **more)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **name)

    async def click(self, selector: str) -> None:
        """Click in the middle of an element."""
        script = (
            f"const one = document.querySelector({json.dumps(selector)}); one.scrollIntoView({{block: 'center'}});"
            "const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2];"
        )
        x, y = await self.run(f"(() => {{ {script} }})()")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def resize(self, width: int, height: int = 900) -> None:
        """Give the page another size."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    async def prefer(self, theme: str) -> None:
        """Let the system prefer light or dark."""
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    async def picture(self, path: Path) -> None:
        """Write what the page looks like, all of it."""
        result = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(result["data"]))

    async def close(self) -> None:
        """Stop listening."""
        await self._socket.close()
        await self._reader


def find_chromium() -> Path:
    """Return the program; a test that asks for it is skipped where there is none.

    It is not unpacked as Prometheus is: it comes with a hundred libraries that look for their files in /usr.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return Path(found) if found else pytest.skip("no Chromium (Debian: apt-get install chromium)")


@asynccontextmanager
async def browser(program: Path) -> AsyncIterator[Tab]:
    """Run Chromium with one empty page."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        command = [str(program), *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        log = Path(profile) / "log"
        with log.open("wb") as output:
            environment = {**os.environ, "HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile}
            child = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment)
        try:
            port = await _port(Path(profile), child, log)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    page = next(one for one in await answer.json() if one["type"] == "page")
                socket = await session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await tab.call(f"{domain}.enable")
                yield tab
                await tab.close()
        finally:
            child.terminate()
            child.wait(TIMEOUT)


async def _port(profile: Path, child: subprocess.Popen[bytes], log: Path) -> int:
    written = profile / "DevToolsActivePort"
    deadline = asyncio.get_running_loop().time() + TIMEOUT
    while not (written.exists() and written.read_text().count("\n")):
        said = log.read_text(errors="replace")[-2000:]
        assert child.poll() is None, f"Chromium ended with {child.returncode}: {said}"
        assert asyncio.get_running_loop().time() < deadline, f"Chromium did not start: {said}"
        await asyncio.sleep(0.05)
    return int(written.read_text().splitlines()[0])
