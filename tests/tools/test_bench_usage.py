from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tools.bench.usage import cpu_seconds, tree_cpu_seconds

_WORKING = """
import threading, time
def work():
    while time.thread_time() < 0.2:
        pass
"""
_IN_A_THREAD = (
    _WORKING
    + """
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
)
_IN_A_CHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {_IN_A_THREAD!r}], check=True)"


@contextmanager
def _after(work: str) -> Iterator[int]:
    """Give the id of a process that has done some work and waits."""
    command = [sys.executable, "-c", f"{work}\nprint(flush=True)\ninput()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield process.pid
        process.stdin.write(b"\n")


def test_the_time_of_a_thread_that_ended_counts() -> None:
    with _after(_IN_A_THREAD) as pid:
        assert cpu_seconds(pid) >= 0.2


def test_the_time_of_a_child_that_ended_counts_for_the_tree() -> None:
    with _after(_IN_A_CHILD) as pid:
        assert tree_cpu_seconds(pid) - cpu_seconds(pid) >= 0.19


def test_the_time_of_a_child_that_runs_counts_for_the_tree() -> None:
    child = f"{_IN_A_THREAD}\nprint(flush=True)\ninput()"
    started = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()"
    )
    with _after(started) as pid:
        assert tree_cpu_seconds(pid) - cpu_seconds(pid) >= 0.2
