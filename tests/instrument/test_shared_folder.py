"""What dead worker processes counted: added up in bounded space, and never lost or doubled."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from ml_monitoring.instrument import multiprocess
from ml_monitoring.instrument.shared_folder import LOCK_FILE, VARIABLE, SharedCollector, clear, join, merge_dead
from tests.support.wsgi_servers import Samples, parse

# No process has such an id: the kernel's limit is 2**22.
DEAD = 1 << 23


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(multiprocess, "_ended", set())
    return tmp_path


def count_as(monkeypatch: pytest.MonkeyPatch, pid: int, number: int) -> None:
    """Leave what a process with the id would leave."""
    kind = values.MultiProcessValue(lambda: pid)
    with monkeypatch.context() as patch:
        patch.setattr("prometheus_client.values.ValueClass", kind)
        registry = CollectorRegistry()
        Counter("hits", "Hits.", ["who"], registry=registry).labels("é").inc(number)
        Histogram("took", "Took.", buckets=(1, 10), registry=registry).observe(number)
        for mode in ("sum", "max", "min", "mostrecent", "livesum", "all"):
            Gauge(f"gauge_{mode}", "Gauge.", multiprocess_mode=mode, registry=registry).set(number)
    kind.close_all_files()


def collected(folder: Path) -> Samples:
    return parse(generate_latest(SharedCollector(folder)).decode())


def total(folder: Path) -> float:
    return collected(folder)["hits_total", (("who", "é"),)]


def test_dead_processes_become_one_file_of_each_kind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count_as(monkeypatch, os.getpid(), 2)
    for number in range(1, 41):
        count_as(monkeypatch, DEAD + number, number)
    samples = collected(folder)
    for pid in range(DEAD + 41, DEAD + 81):
        count_as(monkeypatch, pid, 1)
        assert total(folder) == 2 + 820 + (pid - DEAD - 40)
    # Each of those in two kinds of files at most: its own, and the merged one.
    assert len(list(folder.glob("counter_*"))) <= 2 + 8
    assert samples["took_count", ()] == 41
    assert samples["took_sum", ()] == 822
    assert [samples["took_bucket", (("le", bound),)] for bound in ("1.0", "10.0", "+Inf")] == [1, 11, 41]
    assert samples["gauge_sum", ()] == 822
    assert samples["gauge_max", ()] == 40
    assert samples["gauge_min", ()] == 1
    assert samples["gauge_mostrecent", ()] == 40
    # Of the living only.
    assert samples["gauge_livesum", ()] == 2


def test_who_reads_with_prometheus_clients_own_collector_reads_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pid in (os.getpid(), *range(DEAD, DEAD + 20)):
        count_as(monkeypatch, pid, 3)
    ours = collected(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))
    assert parse(generate_latest(registry).decode()) == ours
    assert ours["hits_total", (("who", "é"),)] == 63


def test_of_gauges_that_show_each_process_the_latest_remain(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count_as(monkeypatch, os.getpid(), 1)
    for number in range(120):
        count_as(monkeypatch, DEAD + number, 1)
        os.utime(folder / f"gauge_all_{DEAD + number}.db", (number, number))
    shown = {int(dict(labels)["pid"]) for name, labels in collected(folder) if name == "gauge_all"}
    assert shown == {os.getpid(), *range(DEAD + 20, DEAD + 120)}


def test_files_that_are_not_named_by_process_ids_are_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As uWSGI's users do, by the number of the worker.
    for worker in range(DEAD, DEAD + 20):
        count_as(monkeypatch, worker, 1)
    before = sorted(folder.glob("*.db"))
    assert total(folder) == 20
    assert sorted(folder.glob("*.db")) == before


def test_a_living_process_is_never_merged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in (os.getpid(), *range(DEAD, DEAD + 20)):
        count_as(monkeypatch, pid, 1)
    with subprocess.Popen(["sleep", "60"]) as neighbour:
        try:
            count_as(monkeypatch, neighbour.pid, 1)
            assert total(folder) == 22
            assert (folder / f"counter_{neighbour.pid}.db").exists()
            merge_dead(folder, neighbour.pid, enough=1)
            assert (folder / f"counter_{neighbour.pid}.db").exists()
        finally:
            neighbour.terminate()
    merge_dead(folder, enough=1)
    assert not (folder / f"counter_{neighbour.pid}.db").exists()
    assert total(folder) == 22


def test_damaged_and_empty_files_of_dead_processes_cost_only_themselves(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for pid in (os.getpid(), *range(DEAD, DEAD + 10)):
        count_as(monkeypatch, pid, 1)
    (folder / f"counter_{DEAD}.db").write_bytes(struct.pack("i4xi", 100, 1000) + bytes(88))
    (folder / f"counter_{DEAD + 1}.db").write_bytes(b"")
    assert total(folder) == 9
    assert total(folder) == 9
    assert len(list(folder.glob("*.damaged"))) == 1
    assert "is damaged and does not count any more" in caplog.text


def test_what_cannot_be_merged_still_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in (os.getpid(), *range(DEAD, DEAD + 10)):
        count_as(monkeypatch, pid, 1)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert total(folder) == 11
        count_as(monkeypatch, DEAD + 1, 5)
        assert total(folder) == 16
        # gunicorn would end with an exception of its hook.
        multiprocess.child_exit(None, type("Worker", (), {"pid": DEAD}))
    assert total(folder) == 16
    assert not list(folder.glob("*.dead"))


def test_clearing_leaves_what_another_living_process_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count_as(monkeypatch, DEAD, 1)
    joined = "from ml_monitoring.instrument.shared_folder import join; join(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", joined], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        clear()
        assert total(folder) == 1
        other.communicate(b"\n")
    clear()
    assert [file.name for file in folder.iterdir()] == [LOCK_FILE]


# Ends itself by SIGKILL at the nth step that a merge takes in the file system, for every n that there is.
KILLED = """
import os, signal, sys
from pathlib import Path
from prometheus_client import Counter, Gauge, Histogram, generate_latest
from ml_monitoring.instrument.shared_folder import SharedCollector, clear, join, merge_dead

folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
hits = Counter("hits", "Hits.", ["who"])
took = Histogram("took", "Took.", buckets=(1, 10))
top = Gauge("top", "Top.", multiprocess_mode="max")

def in_child(work):
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def count():
    hits.labels("a").inc(2)
    took.observe(5)
    top.set(os.getpid())

def killed_at(step):
    left = [step]
    def audit(event, arguments):
        if event in ("os.rename", "os.remove") or (event == "open" and ".new" in str(arguments[0])):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(audit)
    merge_dead(folder, enough=1)

def shown():
    return [line for line in generate_latest(SharedCollector(folder)).decode().splitlines() if line[0] != "#"]

hits.labels("a")
step = ended = died = 0
while not ended:
    step += 1
    for _ in range(3):
        assert in_child(count) == 0
    died += 3
    before = shown_before = None
    ended = in_child(lambda: (hits.labels("a").inc(0), killed_at(step))) == 0
    died += 1
    for _ in range(2):
        lines = shown()
        assert f'hits_total{{who="a"}} {2.0 * (died - step)}' in lines, (step, lines, sorted(os.listdir(folder)))
        assert f"took_count {float(died - step)}" in lines, (step, lines)
        assert f'took_sum {5.0 * (died - step)}' in lines, (step, lines)
        merge_dead(folder, enough=1)
assert len(os.listdir(folder)) < 12, os.listdir(folder)
print(step)
"""


def printed_by(program: str, folder: Path) -> str:
    """Run a program whose processes share a folder, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, VARIABLE: str(folder)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_merge_that_is_killed_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    assert int(printed_by(KILLED, tmp_path)) > 15


# Short-lived processes count while several others merge and read.
CROWD = """
import os, sys
from pathlib import Path
from prometheus_client import Counter
from ml_monitoring.instrument.shared_folder import SharedCollector, merge_dead

folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
hits = Counter("hits", "Hits.")

def start(work):
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(1)
    return pid

def read():
    last = 0
    while last < 180:
        for family in SharedCollector(folder).collect():
            now = family.samples[0].value
            assert last <= now <= 180, (last, now)
            last = now
    os._exit(0)

def spread():
    for _ in range(30):
        os.waitpid(start(lambda: (hits.inc(2), os._exit(0))), 0)
        merge_dead(folder, enough=1)
    os._exit(0)

hits.inc(0)
pids = [start(work) for work in (spread, read, spread, read, spread)]
sys.exit(any(os.waitpid(pid, 0)[1] for pid in pids))
"""


def test_several_processes_merge_and_read_at_once(tmp_path: Path) -> None:
    printed_by(CROWD, tmp_path)


def test_a_file_in_place_of_the_folder_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics"
    path.touch()
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(ValueError, match=f"^{VARIABLE}: {path}: it is a file, not a folder$"):
        join()
