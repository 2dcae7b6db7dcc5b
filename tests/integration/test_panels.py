"""Every panel of every generated page shows something on the demo, without Grafana, in a browser too."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.pages import BUILDERS
from tests.support.browser import browser, find_chromium
from tools.demo import ports
from tools.demo.parts import PARTS
from tools.stack import ROOT


@pytest.fixture(scope="module")
def demo(programs: dict[str, Path]) -> Iterator[int]:
    """Give the first port of a running demo."""
    # Away from where the demo's own tests, which may run at the same time, look for theirs.
    base = ports.propose([*ports.STACK_PORTS, *(use for part in PARTS for use in part.ports)], first=29000)
    assert base is not None
    command = [sys.executable, "-m", "tools.demo", "--port-base", str(base)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            assert any(line.startswith("Ctrl-C stops everything.") for line in process.stdout)
            yield base
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=60)


def test_every_panel_of_the_demo_has_data(demo: int, capsys: pytest.CaptureFixture[str]) -> None:
    # Rates, alerts and incidents need a while; the wait ends as soon as nothing is empty.
    source = ["--prometheus", f"http://127.0.0.1:{demo + 1}", "--scrape-interval", "5s"]
    status = main(["prove", *source, "--from", "now-5m", "--wait", "240s"])
    assert status == 0, capsys.readouterr().out


def test_every_page_of_the_demo_is_drawn_by_a_browser(demo: int) -> None:
    program, viewer = find_chromium(), f"http://127.0.0.1:{demo + 3}"

    async def scenario() -> dict[str, list[str]]:
        wrong: dict[str, list[str]] = {}
        async with browser(program) as tab:
            await tab.resize(1366)
            await tab.open(f"{viewer}/")
            # The first is there twice: where to start, and in its folder.
            pages = await tab.run("[...new Set([...document.querySelectorAll('main a')].map((one) => one.pathname))]")
            assert len(pages) == len(BUILDERS)
            for page in pages:
                # No refresh may come between.
                await tab.open(f"{viewer}{page}?refresh=off")
                await tab.until("document.querySelector('#main').getAttribute('aria-busy') === 'false'")
                await tab.resize(1366, await tab.run("document.documentElement.scrollHeight"))
                seen = "[...document.querySelectorAll('.chart')].filter((one) => one.checkVisibility())"
                await tab.until(f"{seen}.every((one) => one.querySelector('svg'))")
                failed = "[...document.querySelectorAll('.panel[data-state=failed]')].map((one) => one.innerText)"
                wrong[page] = [*tab.complaints, *await tab.run(failed)]
                wide = await tab.run("document.documentElement.scrollWidth > innerWidth")
                wrong[page] += ["wider than the screen"] if wide else []
                tab.complaints.clear()
                await tab.resize(1366)
        return wrong

    assert {page: problems for page, problems in asyncio.run(scenario()).items() if problems} == {}
