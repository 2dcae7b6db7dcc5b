"""The alert log's file: full disks, damaged and missing files, what earlier versions kept, and bounded memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.log import metrics
from ml_monitoring.alerting.log.notification import Notification, NotifiedAlert, parse
from ml_monitoring.alerting.log.store import AlertLog
from tests.support.alert_log import T0, Server, body

MiB = 1 << 20
MakeLog = Callable[[], AlertLog]


def numbers(log: AlertLog) -> set[str]:
    return {alert["labels"]["number"] for alert in log.history(since=0, limit=1_000_000)}


def totals(log: AlertLog) -> dict[tuple[str, ...], float]:
    return {(total.metric, *total.labels): total.value for total in log.totals()}


def fill(log: AlertLog, count: int, *, first: int = 0, name: str = "Broken", starts: float = T0) -> None:
    for begin in range(first, first + count, 500):
        alerts = tuple(
            NotifiedAlert(
                fingerprint=f"{number * 2_654_435_761 % 2**64:016x}",
                status="resolved",
                labels={"alertname": name, "severity": "warning", "team": "mlops", "number": str(number)},
                annotations={"summary": "It broke.", "description": f"Number {number} broke, and it took a while."},
                starts=starts + number,
                ends=starts + number + 60,
            )
            for number in range(begin, min(begin + 500, first + count))
        )
        log.record([Notification(starts + begin, "mlops-warning", "resolved", f"g{begin}", alerts, 0)], starts + begin)


def peak_memory(server: Server) -> int:
    (line,) = (line for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines() if "VmHWM" in line)
    return int(line.split()[1]) * 1024


def post_until(server: Server, status: int, *, first: int) -> list[int]:
    """Post until something is answered so; return the numbers that were acknowledged."""
    kept = []
    for number in range(first, first + 2_000):
        content = body(number).replace(b"It broke.", b"x" * 20_000)
        answer = server.post(content)
        if answer == 200:
            kept.append(number)
        if answer == status:
            return kept
    raise AssertionError(f"never answered {status}")


def assert_recovers(server: Server, make_room: Callable[[], None]) -> None:
    kept = post_until(server, 503, first=1)
    assert kept
    assert server.status("/-/ready") == 503
    # What was kept can be read, and Prometheus is told.
    assert server.status("/-/healthy") == 200
    assert server.metric("alert_log_writable") == 0
    assert server.metric("alert_log_write_errors_total") > 0
    make_room()
    kept += [number for number in (5_000, 5_001) if server.post(body(number)) == 200]
    assert kept[-2:] == [5_000, 5_001]
    assert server.status("/-/ready") == 200
    assert server.metric("alert_log_writable") == 1
    server.process.kill()
    server.process.start()
    there = {int(one["labels"]["number"]) for one in json.loads(server.get("/api/alerts?since=10y"))}
    assert there == set(kept)


def test_a_limit_on_files_refuses_and_passes(server: Server) -> None:
    pid = server.process.pid
    assert pid is not None

    def limit(size: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    limit(MiB)
    assert_recovers(server, lambda: limit(soft))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "disk"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(directory)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk; the limit on files is tried instead")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_full_disk_refuses_and_passes_even_when_it_was_full_at_the_start(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with Server(small_disk / "log").process:
        pass
    with contextlib.suppress(OSError):
        ballast.write_bytes(b"x" * 4 * MiB)
    server = Server(small_disk / "log")
    with server.process:
        assert server.post(body(4_999)) == 503
        assert server.metric("alert_log_writable") == 0
        os.truncate(ballast, MiB)
        assert_recovers(server, ballast.unlink)


def damage_middle(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(os.urandom(8 * 4096))


def damage_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"no database at all")


def damage_by_zeros(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(path.stat().st_size - 4096))


def damage_by_truncation(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 100)


@pytest.mark.parametrize(
    ("damage", "at_least"),
    [(damage_middle, 2_000), (damage_header, 0), (damage_by_zeros, 0), (damage_by_truncation, 0)],
)
def test_a_damaged_file_is_kept_and_what_can_be_read_goes_on(
    damage: Callable[[Path], None], at_least: int, make_log: MakeLog, tmp_path: Path
) -> None:
    log = make_log()
    fill(log, 4_000)
    log.close()
    path = tmp_path / "log" / "history.sqlite"
    damage(path)
    damaged = path.read_bytes()
    server = Server(tmp_path / "log")
    with server.process:
        assert server.metric("alert_log_damaged_files") == 1
        assert server.metric("alert_log_writable") == 1
        assert server.post(body(9_999)) == 200
    log = make_log()
    (kept,) = log.damaged_files()
    assert re.fullmatch(r"history\.sqlite\.damaged-\d{8}T\d{12}Z", kept.name)
    assert kept.read_bytes() == damaged
    assert f"kept={kept.name}" in server.process.log.read_text()
    there = numbers(log)
    assert "9999" in there
    assert at_least < len(there) <= 4_001


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("UPDATE totals SET labels = '[\"r' WHERE metric = 'notifications'", 0),
        ("UPDATE totals SET labels = '5' WHERE metric = 'starts'", 0),
        ("UPDATE totals SET value = x'00' WHERE metric = 'starts'", 0),
        ("UPDATE alerts SET labels = '{x' WHERE starts = (SELECT max(starts) FROM alerts)", 1),
        ("UPDATE alerts SET starts = 'noon' WHERE starts = (SELECT max(starts) FROM alerts)", 1),
        ("ALTER TABLE told DROP COLUMN times", 0),
        ("ALTER TABLE alerts ADD COLUMN later TEXT", 0),
    ],
)
def test_what_sqlite_takes_for_sound_and_is_none_of_the_log_costs_its_rows(
    statement: str, lost: int, make_log: MakeLog, tmp_path: Path
) -> None:
    log = make_log()
    fill(log, 20)
    log.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "log" / "history.sqlite")) as other, other:
        other.execute(statement)
    log = make_log()
    assert len(log.damaged_files()) == 1
    assert len(numbers(log)) == 20 - lost
    assert log.record([parse(body(99), T0)], T0) == 1
    assert metrics.render(log.totals(), metrics.expected())
    assert "99" in numbers(log)


def test_a_text_that_is_no_utf_8_costs_nothing_else(make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log()
    fill(log, 20)
    with contextlib.closing(sqlite3.connect(tmp_path / "log" / "history.sqlite")) as other, other:
        other.execute("UPDATE alerts SET summary = cast(x'ff' AS text)")
        other.execute("UPDATE totals SET labels = cast(x'5b22ff225d' AS text) WHERE metric = 'notifications'")
    assert {alert["summary"] for alert in log.history(since=0, limit=100)} == {"�"}
    assert totals(log)["notifications", "�"] == 1
    log.close()
    log = make_log()
    assert log.record([parse(body(99), T0)], T0) == 1
    assert len(numbers(log)) == 21


def _zero(path: Path) -> None:
    os.truncate(path, 0)


def _drop_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute("DROP TABLE totals")


def _remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("act", [_zero, _drop_table, _remove_folder])
def test_a_log_whose_tables_are_taken_away_while_it_runs_goes_on(
    act: Callable[[Path], None], make_log: MakeLog, tmp_path: Path
) -> None:
    log = make_log()
    fill(log, 20)
    act(tmp_path / "log" / "history.sqlite")
    assert log.record([parse(body(99), T0)], T0) == 1
    assert totals(log)["starts", "Broken", "warning", "mlops"] >= 1
    log.close()
    assert "99" in numbers(make_log())


def test_a_file_that_is_damaged_while_it_is_open_is_replaced(make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log()
    fill(log, 4_000)
    path = tmp_path / "log" / "history.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage_by_zeros(path)
    assert len(log.history(since=0, limit=10)) in range(11)
    assert log.record([parse(body(1), T0)], T0) == 1
    assert len(log.damaged_files()) == 1
    log.close()
    assert "1" in numbers(make_log())


@pytest.mark.parametrize(
    "names", [["history.sqlite"], ["history.sqlite", "history.sqlite-wal"], ["history.sqlite-wal"]]
)
def test_what_is_acknowledged_after_files_were_removed_is_in_those_that_are_there(
    names: list[str], make_log: MakeLog, tmp_path: Path
) -> None:
    log = make_log()
    log.record([parse(body(1), T0)], T0)
    for name in names:
        (tmp_path / "log" / name).unlink()
    log.record([parse(body(2), T0)], T0)
    # As a kill leaves them.
    shutil.copytree(tmp_path / "log", tmp_path / "copy")
    copy = AlertLog(tmp_path / "copy", retention=86400, duplicate_window=120)
    assert "2" in numbers(copy)
    copy.close()


@pytest.mark.parametrize("after", ["recovered", "moved"])
def test_a_replacement_that_was_killed_is_finished(after: str, make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log()
    log.record([parse(body(1), T0)], T0)
    log.close()
    path = tmp_path / "log" / "history.sqlite"
    recovered = path.with_name("history.sqlite.recovered")
    if after == "recovered":
        recovered.write_bytes(b"half of it")
    else:
        path.rename(recovered)
    assert numbers(make_log()) == {"1"}
    assert not recovered.exists()


@pytest.mark.parametrize("name", ["history.sqlite", "history.sqlite-wal", "history.sqlite.recovered"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_by_its_name(make: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    make(tmp_path / name)
    with pytest.raises(OSError, match=f"{name} is no file"):
        AlertLog(tmp_path, retention=86400, duplicate_window=120)


EARLIER = """
CREATE TABLE notifications (
    id INTEGER PRIMARY KEY, received REAL NOT NULL, receiver TEXT NOT NULL, status TEXT NOT NULL,
    alerts INTEGER NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE alerts (
    fingerprint TEXT NOT NULL, starts REAL NOT NULL, ends REAL, alertname TEXT NOT NULL, severity TEXT NOT NULL,
    team TEXT NOT NULL, labels TEXT NOT NULL, summary TEXT NOT NULL, description TEXT NOT NULL, told REAL NOT NULL,
    PRIMARY KEY (fingerprint, starts)
) WITHOUT ROWID;
CREATE TABLE told (
    fingerprint TEXT NOT NULL, starts REAL NOT NULL, receiver TEXT NOT NULL, first REAL NOT NULL,
    times INTEGER NOT NULL, PRIMARY KEY (fingerprint, starts, receiver)
) WITHOUT ROWID;
CREATE TABLE totals (
    metric TEXT NOT NULL, labels TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (metric, labels)
) WITHOUT ROWID;
INSERT INTO alerts VALUES ('1', 1795000000, NULL, 'Broken', 'warning', 'mlops', '{"number": "1"}', '', '', 1795000000);
INSERT INTO alerts VALUES ('0', -62135647200, NULL, 'Old', 'info', 'mlops', '{"number": "0"}', '', '', 1795000000);
INSERT INTO told VALUES ('1', 1795000000, 'mlops-warning', 1795000000, 1);
INSERT INTO totals VALUES ('starts', '["Broken", "warning", "mlops"]', 1), ('duplicates', '[]', 3);
"""


def line(number: int, received: float) -> bytes:
    return json.dumps({"received": received, "notification": json.loads(body(number))}).encode() + b"\n"


@pytest.mark.parametrize("position", ["positions", "position"])
def test_what_earlier_versions_kept_is_taken_over_once(position: str, make_log: MakeLog, tmp_path: Path) -> None:
    directory = tmp_path / "log"
    directory.mkdir()
    yesterday, today = (directory / f"notifications-2026-11-{day}.jsonl" for day in (17, 18))
    yesterday.write_bytes(line(1, T0))
    # The second was read, the third not; the last was never acknowledged.
    today.write_bytes(line(1, T0) + line(2, T0) + b"no line\n" + line(3, T0) + line(4, T0)[:-30])
    columns = "file TEXT PRIMARY KEY, byte INTEGER NOT NULL"
    read = {today.name: len(line(1, T0))} | ({yesterday.name: len(line(1, T0))} if position == "positions" else {})
    with contextlib.closing(sqlite3.connect(directory / "history.sqlite")) as database, database:
        database.executescript(f"{EARLIER} CREATE TABLE {position} ({columns});")
        database.executemany(f"INSERT INTO {position} VALUES (?, ?)", read.items())
    log = make_log()
    assert numbers(log) == {"0", "1", "2", "3"}
    expected = totals(log)
    assert expected["starts", "Broken", "warning", "mlops"] == 3
    assert expected["last_start", "Broken", "warning", "mlops"] == T0
    assert expected["duplicates",] == 3
    assert not list(directory.glob("*.jsonl"))
    log.close()
    assert totals(make_log()) == expected
    with Server(directory).process as _:
        pass


def test_a_database_that_is_gone_is_made_of_the_journal_that_is_there(make_log: MakeLog, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "notifications-2026-11-18.jsonl").write_bytes(b"".join(line(each, T0) for each in range(450)))
    log = make_log()
    assert len(numbers(log)) == 450
    assert totals(log)["starts", "Broken", "warning", "mlops"] == 450


def test_totals_of_made_up_names_are_bounded_counted_and_forgotten(tmp_path: Path) -> None:
    reserved = {total.labels for total in metrics.expected()}
    known = load_alerts()[0]

    def named(number: int, **labels: str) -> bytes:
        content: dict[str, Any] = json.loads(body(number))
        content["alerts"][0]["labels"] |= {"alertname": f"Made up {number} {'x' * 300}"} | labels
        return json.dumps(content | {"receiver": f"r{number}"}).encode()

    log = AlertLog(tmp_path, retention=86400, duplicate_window=120, reserved=reserved)
    log.record([parse(named(number), T0) for number in range(3_000)], T0)
    log.record([parse(named(1, alertname=known.name, severity=known.severity, team=known.team, x="y"), T0 + 200)], T0)
    found = totals(log)
    names = {key[1:] for key in found if len(key) > 1}
    assert len(names - reserved) == 500
    assert max(len(label) for name in names for label in name) <= 200
    # Of each made-up one, a name of an alert and one of a receiver were asked for.
    assert found["names_dropped",] == 2 * 3_000 - 500
    # They are in the history all the same.
    assert found["alerts",] == 3_000
    log.close()
    # What an earlier version let grow is cut when it is opened.
    with contextlib.closing(sqlite3.connect(tmp_path / "history.sqlite")) as database, database:
        rows = [("starts", json.dumps([f"Older {number}", "", ""]), 1, T0 - 1) for number in range(5_000)]
        database.executemany("INSERT INTO totals VALUES (?, ?, ?, ?)", rows)
    log = AlertLog(tmp_path, retention=86400, duplicate_window=120, reserved=reserved)
    assert len({key[1:] for key in totals(log) if len(key) > 1} - reserved) == 500
    log.prune(T0 + 2 * 86400)
    assert not {key[1:] for key in totals(log) if len(key) > 1} - reserved
    assert log.record([parse(named(5, alertname="New"), T0 + 2 * 86400)], T0 + 2 * 86400) == 1
    assert totals(log)["starts", "New", "warning", "mlops"] == 1
    log.close()


def test_pruning_more_than_at_once_leaves_nothing_of_the_old(make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log()
    fill(log, 3_500)
    fill(log, 10, first=10_000, starts=T0 + 5 * 86400)
    log.prune(T0 + 5 * 86400 + 10_000)
    assert totals(log)["alerts",] == len(numbers(log)) == 10
    with contextlib.closing(sqlite3.connect(tmp_path / "log" / "history.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM told").fetchone() == (10,)
        assert database.execute("SELECT count(*) FROM notifications").fetchone() == (1,)


def test_no_temporary_file_is_needed(make_log: MakeLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = make_log()
    fill(log, 33_000, starts=time.time() - 40_000)
    log.close()
    # Where SQLite makes them, each of which would change the folder's time.
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("SQLITE_TMPDIR", str(temporary))
    before = temporary.stat().st_mtime_ns
    server = Server(tmp_path / "log", "--retention=1h")
    with server.process:
        assert server.metric("alert_log_writable") == 1
        assert "Number 32999" in server.get("/")
        json.loads(server.get("/api/alerts?since=10y&alertname=nothing"))
        assert server.post(body(1)) == 200
    assert temporary.stat().st_mtime_ns == before


@pytest.mark.wide
def test_a_million_alerts_and_a_journal_of_100_mb_fit_into_128_mb(make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log()
    fill(log, 1_000_000, starts=time.time() - 1_000_060)
    log.close()
    lines = b"".join(line(number, T0) for number in range(1_000))
    with (tmp_path / "log" / "notifications-2026-11-18.jsonl").open("wb") as journal:
        while journal.tell() < 100 * MiB:
            journal.write(lines)
    # It answers when it has read everything.
    server = Server(tmp_path / "log", "--retention=90d", start_timeout=900)
    with server.process:
        server.get("/metrics")
        server.get("/")
        server.get("/api/alerts?since=10y&alertname=nothing")
        assert server.post(body(1)) == 200
        assert peak_memory(server) < 128 * MiB
