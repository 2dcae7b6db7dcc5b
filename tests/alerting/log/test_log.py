"""The alert log: what it acknowledged survives anything, nothing counts twice."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import sqlite3
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.log.journal import Journal
from ml_monitoring.alerting.log.notification import NotificationError, parse
from ml_monitoring.alerting.log.store import AlertLog
from ml_monitoring.exporter.errors import MonitorError
from tests.support.alertmanager_server import AT_ONCE, running
from tools.processes import Process, free_port, http_ok, wait_until
from tools.stack import ROOT

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
T0 = 1_795_000_000.0


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def body(number: int = 1, *, starts: float = T0, ends: float | None = None, receiver: str = "mlops-warning") -> bytes:
    status = "firing" if ends is None else "resolved"
    alert = {
        "status": status,
        "labels": {"alertname": "Broken", "severity": "warning", "team": "mlops", "number": str(number)},
        "annotations": {"summary": "It broke.", "description": f"Number {number} <broke>."},
        "startsAt": moment(starts),
        "endsAt": "0001-01-01T00:00:00Z" if ends is None else moment(ends),
        "fingerprint": f"{number:016x}",
    }
    return json.dumps(
        {"version": "4", "receiver": receiver, "status": status, "groupKey": "g", "alerts": [alert]}
    ).encode()


class Server:
    """The service as a process."""

    def __init__(self, directory: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.directory = directory
        listen = f"--listen={self.url.removeprefix('http://')}"
        self.process = Process(
            "alert log",
            [sys.executable, "-m", "alerting", "log", listen, f"--directory={directory}"],
            log=directory.parent / "alertlog.log",
            cwd=ROOT,
            healthy=lambda: http_ok(f"{self.url}/-/ready"),
        )

    def post(self, content: bytes) -> int:
        request = urllib.request.Request(f"{self.url}/alerts", content, {"Content-Type": "application/json"})
        try:
            with _OPENER.open(request, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    def get(self, path: str) -> str:
        with _OPENER.open(f"{self.url}{path}", timeout=10) as response:
            return str(response.read().decode())

    def metric(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics"), re.MULTILINE)
        assert found, f"no {name} in {self.get('/metrics')}"
        return float(found[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "log")
    with server.process:
        yield server


@pytest.fixture
def make_log(tmp_path: Path) -> Iterator[Callable[[], AlertLog]]:
    opened = []

    def make() -> AlertLog:
        opened.append(AlertLog(tmp_path / "log", retention=86400, duplicate_window=120))
        return opened[-1]

    yield make
    for log in opened:
        log.close()


def totals(log: AlertLog) -> dict[tuple[str, ...], float]:
    return {(total.metric, *total.labels): total.value for total in log.totals()}


STARTS = 'alert_starts_total{alertname="Broken",severity="warning",team="mlops"}'


def test_what_was_acknowledged_survives_a_kill_under_load_and_nothing_counts_twice(server: Server) -> None:
    acknowledged: set[int] = set()
    tried: set[int] = set()
    stop = threading.Event()

    def sender(first: int) -> None:
        for number in range(first, first + 100_000):
            if stop.is_set():
                return
            tried.add(number)
            try:
                if server.post(body(number, starts=time.time())) == 200:
                    acknowledged.add(number)
            except OSError:
                return

    def more_than(count: int) -> bool:
        return len(acknowledged) > count

    for round_ in range(3):
        senders = [threading.Thread(target=sender, args=(round_ * 10_000_000 + each * 1_000_000,)) for each in range(6)]
        for each in senders:
            each.start()
        assert wait_until(partial(more_than, len(acknowledged) + 60), timeout=20)
        server.process.kill()
        stop.set()
        for each in senders:
            each.join()
        stop.clear()
        server.process.start()
        with sqlite3.connect(server.directory / "history.sqlite") as database:
            kept = {int(row[0], 16) for row in database.execute("SELECT fingerprint FROM alerts")}
        database.close()
        assert acknowledged <= kept <= tried
        assert server.metric(STARTS) == len(kept)
    assert len(acknowledged) > 180


def test_metrics_history_and_page_tell_the_same(server: Server) -> None:
    now = time.time()
    assert server.post(body(1, starts=now - 400)) == 200
    assert server.post(body(1, starts=now - 400, receiver="escalation")) == 200
    assert server.post(body(1, starts=now - 400, ends=now - 100)) == 200
    assert server.post(body(2, starts=now - 50)) == 200
    assert server.post(body(2, starts=now - 50)) == 200
    assert server.metric(STARTS) == 2
    assert server.metric('alert_notifications_total{receiver="mlops-warning",status="firing"}') == 2
    assert server.metric('alert_notifications_total{receiver="escalation",status="firing"}') == 1
    assert server.metric("alert_log_duplicates_total") == 1
    of_it = '{alertname="Broken",severity="warning",team="mlops"}'
    assert server.metric(f"alert_time_to_resolve_seconds_count{of_it}") == 1
    assert server.metric(f"alert_time_to_resolve_seconds_sum{of_it}") == pytest.approx(300, abs=0.01)
    for bound, count in (("60.0", 0), ("900.0", 1)):
        bucket = f'{{alertname="Broken",le="{bound}",severity="warning",team="mlops"}}'
        assert server.metric(f"alert_time_to_resolve_seconds_bucket{bucket}") == count
    assert server.metric(f"alert_last_start_timestamp_seconds{of_it}") == pytest.approx(now - 50, abs=0.01)
    history: list[dict[str, Any]] = json.loads(server.get("/api/alerts?team=mlops"))
    assert [one["labels"]["number"] for one in history] == ["2", "1"]
    assert history[0]["ends"] is None
    assert history[1]["ends"] == pytest.approx(now - 100, abs=0.01)
    assert set(history[1]["notified"]) == {"mlops-warning", "escalation"}
    assert json.loads(server.get("/api/alerts?team=growth")) == []
    assert len(json.loads(server.get("/api/alerts?since=90s"))) == 1
    html = server.get("/")
    assert "Number 1 &lt;broke&gt;." in html
    assert "still fires" in html


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"receiver": "a", "status": "x", "alerts": []}', body()[:-9], b"[" * 100_000]
)
def test_what_is_no_notification_is_refused_for_good(content: bytes, server: Server) -> None:
    assert server.post(content) == 400
    assert "Broken" not in server.get("/metrics")


def test_a_text_that_is_no_unicode_is_kept_without_it_and_holds_up_nothing(server: Server) -> None:
    assert server.post(body(1).replace(b"It broke.", b"It \\ud800 broke.")) == 200
    assert server.post(body(2)) == 200
    assert {alert["summary"] for alert in json.loads(server.get("/api/alerts?since=10y"))} == {
        "It ? broke.",
        "It broke.",
    }
    (journal,) = server.directory.glob("*.jsonl")
    assert journal.read_text(encoding="utf-8").count("It ? broke.") == 1


def test_a_query_that_cannot_be_meant_is_refused(server: Server) -> None:
    for query in ("since=yesterday", "limit=x", "limit=-1", "limit=0", "colour=red"):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            server.get(f"/api/alerts?{query}")


def test_a_real_alertmanager_tells_it_from_the_first_alert_to_its_end(
    programs: dict[str, Path], server: Server, tmp_path: Path
) -> None:
    config = alertmanager.build(timing=AT_ONCE, alert_log_url=f"{server.url}/alerts")
    labels = {"alertname": "Broken", "severity": "warning", "team": "mlops", "job": "exporter"}
    with running(programs["alertmanager"], config, tmp_path) as running_server:
        running_server.fire(labels)
        assert wait_until(lambda: len(json.loads(server.get("/api/alerts"))) == 1, timeout=10)
        running_server.resolve(labels)
        assert wait_until(lambda: json.loads(server.get("/api/alerts"))[0]["ends"] is not None, timeout=10)
    (alert,) = json.loads(server.get("/api/alerts"))
    assert alert["labels"] == labels
    assert list(alert["notified"]) == ["mlops-warning"]


def test_a_notification_sent_again_counts_once_and_a_repeated_one_counts(make_log: Callable[[], AlertLog]) -> None:
    log = make_log()
    first = parse(body(), T0)
    assert log.record([first, first], T0) == 1
    assert log.record([parse(body(), T0 + 60)], T0 + 60) == 0
    assert log.record([parse(body(), T0 + 300)], T0 + 300) == 1
    assert totals(log)["starts", "Broken", "warning", "mlops"] == 1
    assert totals(log)["notifications", "mlops-warning", "firing"] == 2
    assert totals(log)["duplicates",] == 2
    assert log.history(since=0, limit=9)[0]["notified"] == {"mlops-warning": {"first": T0, "times": 2}}


def test_the_history_is_rebuilt_from_the_journal(make_log: Callable[[], AlertLog], tmp_path: Path) -> None:
    log = make_log()
    log.record([parse(body(number), T0) for number in range(5)], T0)
    log.record([parse(body(1, ends=T0 + 30), T0 + 30)], T0 + 30)
    expected, history = totals(log), log.history(since=0, limit=9)
    log.close()
    for path in (tmp_path / "log").glob("history.sqlite*"):
        path.unlink()
    again = make_log()
    assert totals(again) == expected
    assert again.history(since=0, limit=9) == history


def test_a_line_that_a_crash_tore_is_removed_and_the_rest_counts(
    make_log: Callable[[], AlertLog], tmp_path: Path
) -> None:
    log = make_log()
    log.record([parse(body(1), T0)], T0)
    log.close()
    (journal,) = (tmp_path / "log").glob("*.jsonl")
    complete = journal.read_bytes()
    journal.write_bytes(complete + parse(body(2), T0).line.encode()[:-20])
    again = make_log()
    assert journal.read_bytes() == complete
    assert again.record([parse(body(2), T0 + 1)], T0 + 1) == 1
    assert len(again.history(since=0, limit=9)) == 2


def test_a_failed_write_keeps_nothing_and_the_next_one_works(
    make_log: Callable[[], AlertLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make_log()

    def full(_: int) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="no space"):
            log.record([parse(body(1), T0)], T0)
    assert log.history(since=0, limit=9) == []
    assert log.record([parse(body(1), T0 + 1)], T0 + 1) == 1
    assert totals(log)["starts", "Broken", "warning", "mlops"] == 1


def test_what_is_older_than_the_retention_is_forgotten_and_totals_stay(
    make_log: Callable[[], AlertLog], tmp_path: Path
) -> None:
    log = make_log()
    log.record([parse(body(1), T0)], T0)
    later = T0 + 3 * 86400
    log.record([parse(body(2), later)], later)
    log.prune(later)
    assert [alert["labels"]["number"] for alert in log.history(since=0, limit=9)] == ["2"]
    assert len([*(tmp_path / "log").glob("*.jsonl")]) == 1
    assert totals(log)["starts", "Broken", "warning", "mlops"] == 2


def test_an_error_of_a_notification_is_one_of_the_project() -> None:
    with pytest.raises(MonitorError):
        parse(b"{", 0)
    assert issubclass(NotificationError, MonitorError)


def test_every_alert_and_receiver_begins_at_0_so_that_its_first_event_is_an_increase(server: Server) -> None:
    for alert in load_alerts():
        labels = f'{{alertname="{alert.name}",severity="{alert.severity}",team="{alert.team}"}}'
        assert server.metric(f"alert_starts_total{labels}") == 0
        assert server.metric(f"alert_time_to_resolve_seconds_count{labels}") == 0
    assert server.metric('alert_notifications_total{receiver="escalation",status="firing"}') == 0
    assert server.metric("alert_log_duplicates_total") == 0


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let every write beyond that fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(["first\n"], T0)
    with files_of_at_most(3_000), pytest.raises(OSError, match="File too large"):
        journal.append([f"{'x' * 2_000}\n", f"{'y' * 2_000}\n"], T0)
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == b"first\n"
    journal.append(["second\n"], T0)
    assert path.read_bytes() == b"first\nsecond\n"


def test_a_clock_that_is_set_back_over_midnight_loses_nothing_and_counts_nothing_twice(
    make_log: Callable[[], AlertLog], tmp_path: Path
) -> None:
    yesterday = T0 - 86400
    log = make_log()
    log.record([parse(body(1), T0)], T0)
    log.record([parse(body(2), yesterday)], yesterday)
    expected = totals(log)
    log.close()
    again = make_log()
    assert totals(again) == expected
    again.close()
    # On disk, and then the power went before it was in SQLite.
    Journal(tmp_path / "log").append([parse(body(3), yesterday).line], yesterday)
    assert {alert["labels"]["number"] for alert in make_log().history(since=0, limit=9)} == {"1", "2", "3"}


def test_a_history_of_an_earlier_version_is_taken_over(make_log: Callable[[], AlertLog], tmp_path: Path) -> None:
    log = make_log()
    log.record([parse(body(1), T0)], T0)
    log.record([parse(body(2), T0 + 86400)], T0 + 86400)
    expected = totals(log)
    log.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "log" / "history.sqlite")) as database, database:
        (newest,) = database.execute("SELECT max(file) FROM positions").fetchone()
        (byte,) = database.execute("SELECT byte FROM positions WHERE file = ?", (newest,)).fetchone()
        database.execute("DROP TABLE positions")
        database.execute("CREATE TABLE position (only_row INTEGER PRIMARY KEY, file TEXT, byte INTEGER)")
        database.execute("INSERT INTO position VALUES (1, ?, ?)", (newest, byte))
    assert totals(make_log()) == expected
    assert totals(make_log()) == expected


def test_what_cannot_be_removed_on_a_full_disk_keeps_nothing_from_being_recorded_later(
    make_log: Callable[[], AlertLog],
) -> None:
    log = make_log()
    log.record([parse(body(1), T0)], T0)
    later = T0 + 3 * 86400
    with files_of_at_most(1), pytest.raises(sqlite3.Error):
        log.prune(later)
    assert log.record([parse(body(2), later)], later) == 1
    log.prune(later)
    assert [alert["labels"]["number"] for alert in log.history(since=0, limit=9)] == ["2"]
