"""The soak's checker sees wrong numbers, and the soak as a whole ends by itself with a report."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tools.processes import Process
from tools.soak import cli, report
from tools.soak.checker import Checker, Limits, Usage, Watched
from tools.soak.faults import FAULTS
from tools.soak.report import Recovery
from tools.soak.stores import FleetFile
from tools.soak.truth import History, Values, series

_KEY = series("fleet_server_cpu_utilization_ratio", server="a", profile="web")
_LIMITS = Limits(interval=1, timeout=1, slack=0)


def test_values_can_be_read_while_they_are_written_and_not_after_the_next() -> None:
    history = History()
    history.record(0, {_KEY: 1.0})
    first = time.monotonic()
    history.record(first, {_KEY: 2.0})
    second = time.monotonic()
    assert history.held({_KEY: 1.0}, first - 1, first)
    assert history.held({_KEY: 2.0}, first, first)
    assert not history.held({_KEY: 1.0}, second, second + 1)
    assert not history.held({_KEY: 2.0}, first - 2, first - 1)
    assert not history.held({}, 0, second)
    history.record(second, None)
    third = time.monotonic()
    assert not history.held({_KEY: 2.0}, third, third + 1)
    assert history.latest_difference({_KEY: 2.0}) == {_KEY: (2.0, None)}


@contextlib.contextmanager
def _exporter(values: Values, *, up: int) -> Iterator[str]:
    lines = [f'ml_monitoring_source_up{{source="fleet"}} {up}']
    for (name, labels), value in values.items():
        pairs = ",".join(f'{label}="{text}"' for label, text in labels)
        lines.append(f"{name}{{{pairs}}} {value}")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            self.send_response(200)
            self.end_headers()
            self.wfile.write("\n".join([*lines, ""]).encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _checked(store: FleetFile, values: Values, *, up: int, scrapes: int = 1) -> tuple[dict[str, int], Checker]:
    with _exporter(values, up=up) as url:
        watched = Watched("it", Process("it", ["true"], log=Path("/dev/null")), url, {"fleet": store})
        checker = Checker([watched], [], _LIMITS, lambda: "testing")
        for _ in range(scrapes):
            checker.check(watched)
        checker.settle()
    return {name: count for name, count in watched.counts.items() if count}, checker


@pytest.fixture
def fleet(tmp_path: Path) -> FleetFile:
    store = FleetFile(tmp_path / "fleet.csv", random.Random(1))
    store.step()
    return store


def test_what_the_store_holds_is_right(fleet: FleetFile) -> None:
    assert _checked(fleet, fleet.read(), up=1)[0] == {"fresh": 1}


def test_another_number_of_a_source_that_is_up_is_wrong(fleet: FleetFile) -> None:
    key, *_ = fleet.read()
    counts, checker = _checked(fleet, {**fleet.read(), key: 0.999}, up=1)
    assert counts == {"wrong": 1}
    assert "fleet shows as fresh what was not there" in checker.wrong[0]
    assert f"is 0.999, now {fleet.read()[key]}" in checker.wrong[0]


def test_a_series_that_is_missing_is_wrong(fleet: FleetFile) -> None:
    _first, *rest = fleet.read().items()
    assert _checked(fleet, dict(rest), up=1)[0] == {"wrong": 1}


def test_old_numbers_of_a_source_that_is_down_are_not_wrong(fleet: FleetFile) -> None:
    assert _checked(fleet, {_KEY: 0.5}, up=0)[0] == {"down": 1}


def test_what_is_being_written_is_judged_when_it_is_known(fleet: FleetFile) -> None:
    with _exporter({_KEY: 0.5}, up=1) as url:
        watched = Watched("it", Process("it", ["true"], log=Path("/dev/null")), url, {"fleet": fleet})
        checker = Checker([watched], [], _LIMITS, lambda: "testing")
        with fleet.lock:
            fleet.begin()
            checker.check(watched)
            checker.settle()
            assert watched.counts["wrong"] == 0
            fleet.record()
        checker.settle()
    assert watched.counts["wrong"] == 1


@pytest.mark.parametrize(
    "line",
    [b"\0\0\n", b'"open,quote\n', b"2026-11-28T12:00:00Z,web-0\n", b"never" + b",1" * 11 + b"\n", b"half a line"],
)
def test_the_reader_of_its_own_passes_over_what_is_no_row(fleet: FleetFile, line: bytes) -> None:
    before = fleet.read()
    fleet.append(line)
    assert fleet.read() == before


def test_a_rotated_file_counts_until_the_new_one_has_rows(fleet: FleetFile) -> None:
    fleet.rotate()
    assert len(fleet.read()) == 7
    fleet.rewrite(older=True)
    older = fleet.read()
    fleet.step()
    assert older != fleet.read()


def test_the_report_names_what_did_not_recover_and_what_grows(tmp_path: Path) -> None:
    log = tmp_path / "exporter.log"
    log.write_text("fine\nTraceback (most recent call last):\n", encoding="utf-8")
    assert report.defects([log]) == [f"{log}: 1"]
    recoveries = [Recovery("frozen", 1.0), Recovery("frozen", 3.0), Recovery("killed", None)]
    assert report.table_of_recoveries(recoveries)[2:] == [
        "| frozen | 2 | 2.0 s | 3.0 s | 0 |",
        "| killed | 1 | - | - | 1 |",
    ]
    usages = [Usage("it", 1, at * 60.0, (50 + at) << 20, 9) for at in range(61)]
    assert report.table_of_usages(usages)[2:] == ["| it | 60 min | 50, 110, 110 MB | +60.0 MB | 9, 9, 9 |"]


def test_names_of_faults_are_unique() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.wide
def test_a_short_soak_finds_nothing_wrong(tmp_path: Path) -> None:
    file = tmp_path / "report.md"
    arguments = ["--hours", "0.02", "--calm", "1", "--report", str(file)]
    assert cli.main(arguments) == 0, file.read_text(encoding="utf-8")
    assert "Nothing was wrong." in file.read_text(encoding="utf-8")
