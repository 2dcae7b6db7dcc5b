from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tools import packages
from tools.demo import cli, ports
from tools.demo.parts import PARTS
from tools.demo.parts.base import PortUse
from tools.processes import port_is_free, wait_until
from tools.stack import ROOT, LocalStack

USES = (PortUse("a", "Exporter", 9847), PortUse("b", "Prometheus", 9090))
# As behind a proxy that knows nothing of this machine: nothing listens there.
_PROXY = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
_PROXIED = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | _PROXY


@pytest.fixture
def base() -> int:
    base = ports.propose([*ports.STACK_PORTS, *(use for part in PARTS for use in part.ports)])
    assert base is not None
    return base


@pytest.fixture
def signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def of_the_demo(base: int) -> list[str]:
    """Return the command lines of processes that work in the demo's folder."""
    folder = str(cli.DIRECTORY / str(base))
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in command:
            found.append(command)
    return found


def _has_numbers(address: str) -> bool:
    """Tell whether a panel of the page has numbers; none may have failed."""
    panels = httpx.get(address, timeout=60).json()["panels"]
    assert [one["key"] for one in panels if one["state"] == "failed"] == []
    return "ok" in {one["state"] for one in panels}


def _paste(output: str) -> None:
    """Follow everything that the demo says to look at; each works as it stands there, in the checkout."""
    hints = re.findall(r"^      (\S.*)$", output.partition("What to look at first:")[2], re.MULTILINE)
    urls = [hint for hint in hints if hint.startswith("http")]
    urls += re.findall(r"^  \S.*?  +(http\S+)  \S", output, re.MULTILINE)
    assert [url for url in urls if httpx.get(url, timeout=60, follow_redirects=True).status_code >= 400] == []
    commands = [hint for hint in hints if hint not in urls]
    assert len(commands) >= 5
    # curl is not part of every system.
    for command in (each for each in commands if not each.startswith("curl ") or shutil.which("curl")):
        # Pages of MLflow's own are served until Ctrl-C, which is their matter.
        shown = f"{command} --help" if command.startswith(".venv/bin/mlflow ui ") else command
        shown = shown.replace("curl ", "curl --fail ")
        done = subprocess.run(
            shown, shell=True, cwd=ROOT, env=_PROXIED, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def _has_both_services(port: int) -> bool:
    rates = 'origin:ml_http_requests:rate{origin="simulated"}'
    found = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": rates}).json()["data"]["result"]
    services = {(one["metric"]["job"], one["metric"].get("service", "")) for one in found}
    return services == {("demo-inference", ""), ("demo-search", "search")}


def test_make_demo_shows_what_runs_behind_a_proxy_too_and_ctrl_c_stops_all_of_it(
    programs: dict[str, Path], base: int
) -> None:
    # What has to be fetched is there already.
    packages.ensure_programs(["node-exporter", "postgres-exporter"])
    # A session of its own, to whose process group the signal goes as the terminal sends it.
    demo = subprocess.Popen(
        ["make", "--no-print-directory", "demo", f"PORT_BASE={base}"],
        cwd=ROOT,
        env=_PROXIED,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with demo:
        assert demo.stdout is not None
        output = ""
        for line in demo.stdout:
            output += line
            if line.startswith("Ctrl-C stops everything."):
                break
        try:
            steps = re.findall(r"^>> (\d+)/(\d+) ", output, re.MULTILINE)
            last = len(PARTS) + 2
            assert steps == [(str(number), str(last)) for number in range(1, last + 1)], output
            table = re.findall(r"^  (\S.*?)  +(http\S+|-)  (\S.*)$", output, re.MULTILINE)
            assert table[:4] == [
                ("Dashboards", f"http://127.0.0.1:{base + 3}", "running"),
                ("Exporter", f"http://127.0.0.1:{base}", "ready: experiments up, fleet up, mlflow up, variants up"),
                ("Prometheus", f"http://127.0.0.1:{base + 1}", "ready: 9 of 9 targets up"),
                ("Alertmanager", f"http://127.0.0.1:{base + 2}", "ready"),
            ], output
            assert all(state == "running" for _what, _url, state in table[4:])
            named = {what for what, _url, _state in table}
            assert {"Inference service", "Search service (starlette-exporter)"} <= named
            first = output.partition("What to look at first:")[2].splitlines()[1:3]
            assert first == [
                "  - The dashboards, live (read-only, without Grafana):",
                f"      http://127.0.0.1:{base + 3}/",
            ]
            for uid in ("ml-monitoring-operations-overview", "ml-monitoring-mlflow-experiments"):
                # The first rules are evaluated some seconds after the first scrapes.
                address = f"http://127.0.0.1:{base + 3}/d/{uid}/panels.json"
                assert wait_until(partial(_has_numbers, address), timeout=60)
                # Links lead to this demo's exporter, wherever its ports are.
                assert "http://127.0.0.1:9847" not in httpx.get(address, timeout=60).text
            # The service without the library is beside the one with it, and as simulated as that.
            assert wait_until(partial(_has_both_services, base + 1), timeout=60, poll=1)
            alerts = f"http://127.0.0.1:{base + 1}/api/v1/alerts"
            assert wait_until(lambda: "MlMonitoringWatchdog" in _firing(alerts), timeout=60, poll=1)
            assert len(of_the_demo(base)) >= 4
            _paste(output)
            # What is no demo, the machine and the database, is well.
            assert not {name for name in _firing(alerts) if name.startswith(("Host", "Database"))}
            database_up = f"http://127.0.0.1:{base + 1}/api/v1/query?query=pg_up"
            assert '"1"]' in httpx.get(database_up).text
        finally:
            began = time.monotonic()
            os.killpg(demo.pid, signal.SIGINT)
            rest = demo.stdout.read()
        assert ">> everything is stopped" in rest
    # No server had to be killed for want of an end, which comes after ten seconds each.
    assert time.monotonic() - began < 60
    assert of_the_demo(base) == []
    assert all(port_is_free(base + number) for number in range(4))


def test_without_prometheus_the_exporter_runs_and_the_rest_is_explained(
    base: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    signals_restored: None,
) -> None:
    # A machine with neither the programs nor apt.
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "_SYSTEM_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(packages, "TOOLS_DIR", tmp_path / ".tools")
    assert cli.main(["--port-base", str(base), "--no-wait"]) == 0
    output = capfd.readouterr().out
    assert re.search(r"^  Dashboards +- +need Prometheus$", output, re.MULTILINE)
    # Experiments are up as long as there is nothing to ask Prometheus for yet.
    assert re.search(
        rf"^  Exporter +http://127\.0\.0\.1:{base} +ready: experiments (up|DOWN), fleet up, mlflow up, variants up$",
        output,
        re.MULTILINE,
    )
    assert re.search(r"^  Prometheus +- +missing, see below$", output, re.MULTILINE)
    assert re.search(r"^  Alertmanager +- +missing, see below$", output, re.MULTILINE)
    assert "apt-get install prometheus)" in output
    assert "apt-get install prometheus-alertmanager)" in output
    assert of_the_demo(base) == []


def test_a_port_in_use_is_reported_with_who_has_it_and_a_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    base = ports.propose(ports.STACK_PORTS)
    assert base is not None
    with socket.create_server(("127.0.0.1", base + 1)):
        assert cli.main(["--port-base", str(base)]) == 1
    name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"demo: port {base + 1} for Prometheus is in use by {name} (process {os.getpid()})"
    assert re.fullmatch(r"Take others, for example: make demo PORT_BASE=\d+", lines[1])


def test_ports_are_the_registered_ones_or_follow_the_base() -> None:
    assert ports.assign(USES, None) == {"a": 9847, "b": 9090}
    assert ports.assign(USES, 19000) == {"a": 19000, "b": 19001}
    assert ports.assign(USES, 65534) == {"a": 65534, "b": 65535}


@pytest.mark.parametrize("base", ["0", "-1", "65534", "70000"])
def test_a_base_without_room_for_all_ports_is_refused(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([f"--port-base={base}"]) == 2
    assert "--port-base must be between 1 and " in capsys.readouterr().err


def test_parts_have_names_and_ports_of_their_own() -> None:
    uses = [*ports.STACK_PORTS, *(use for part in PARTS for use in part.ports)]
    names = [part.name for part in PARTS]
    assert len(set(names)) == len(names) > 0
    assert len({use.name for use in uses}) == len(uses)
    assert len({use.default for use in uses}) == len(uses)


def _firing(url: str) -> set[str]:
    alerts = LocalStack.get_json(url)["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
