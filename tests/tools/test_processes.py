from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tools.processes import Process, ProcessError, free_port, http_ok, port_is_free, running, wait_until

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def python(code: str, tmp_path: Path, **options: object) -> Process:
    return Process("server", [sys.executable, "-c", textwrap.dedent(code)], log=tmp_path / "log", **options)  # type: ignore[arg-type]  # tests pass what Process takes


def alive(pid: int) -> bool:
    try:
        # A process that ended and was not reaped yet still has a number.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_starts_waits_until_healthy_and_stops(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with Process("files", argv, log=tmp_path / "log", healthy=lambda: http_ok(url)) as server:
        assert http_ok(url)
        assert not port_is_free(port)
        pid = server.pid
        assert pid is not None
    assert server.returncode == -signal.SIGTERM
    assert not alive(pid)
    assert port_is_free(port)


def test_gives_the_environment_and_folder_to_the_server(tmp_path: Path) -> None:
    code = "import os; print(os.environ['COLOUR'], os.getcwd()); raise SystemExit(3)"
    process = python(code, tmp_path, env={"COLOUR": "blue"}, cwd=tmp_path)
    process.start(wait=False)
    assert wait_until(lambda: not process.running, timeout=10)
    assert process.returncode == 3
    assert process.log_tail() == f"blue {tmp_path}"


def test_a_server_that_ends_while_starting_is_reported_with_its_log(tmp_path: Path) -> None:
    process = python("print('no such disk'); raise SystemExit(7)", tmp_path, healthy=lambda: False)
    with pytest.raises(ProcessError) as caught:
        process.start()
    assert str(caught.value) == (
        f"server ended with status 7 while starting; the end of {tmp_path / 'log'}:\nno such disk"
    )


def test_a_server_that_is_not_healthy_in_time_is_stopped_and_reported(tmp_path: Path) -> None:
    process = python("import time; time.sleep(60)", tmp_path, healthy=lambda: False, start_timeout=0.3)
    with pytest.raises(ProcessError, match=r"^server was not ready within 0\.3 s; it wrote nothing to "):
        process.start()
    assert not process.running


def test_a_program_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=r"^ghost cannot be started: there is no program /no/such/thing$"):
        Process("ghost", ["/no/such/thing"], log=tmp_path / "log").start()


def test_a_server_that_ignores_the_stop_signal_is_killed_after_the_timeout(tmp_path: Path) -> None:
    process = python(STUBBORN, tmp_path, stop_timeout=0.3, healthy=lambda: "ready" in (tmp_path / "log").read_text())
    process.start()
    began = time.monotonic()
    process.stop()
    assert process.returncode == -signal.SIGKILL
    assert 0.3 <= time.monotonic() - began < 5


def test_a_paused_server_can_be_stopped(tmp_path: Path) -> None:
    process = python("import time; time.sleep(60)", tmp_path).start()
    process.signal(signal.SIGSTOP)
    process.stop()
    assert process.returncode == -signal.SIGTERM


def test_starting_twice_is_refused_and_starting_again_after_a_stop_works(tmp_path: Path) -> None:
    with python("import time; time.sleep(60)", tmp_path) as process:
        with pytest.raises(ProcessError, match="server runs already"):
            process.start()
        process.stop()
        process.start()
        assert process.running


def test_when_one_of_several_does_not_start_all_are_stopped(tmp_path: Path) -> None:
    good = Process("good", ["sleep", "60"], log=tmp_path / "good")
    bad = Process("bad", ["false"], log=tmp_path / "bad", healthy=lambda: False)
    with pytest.raises(ProcessError, match="bad ended with status 1"), running([good, bad]):
        pytest.fail("must not get here")
    assert not good.running


def test_a_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
    from pathlib import Path; import time
    from tools.processes import Process
    print(Process("child", ["sleep", "60"], log=Path({str(tmp_path / "log")!r})).start().pid, flush=True)
    time.sleep(60)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # Before that the kernel has not been asked yet.
        assert wait_until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", timeout=10)
        assert os.getpgid(pid) != os.getpgid(parent.pid), "Ctrl-C must not reach the child directly"
        parent.kill()
    assert wait_until(lambda: not alive(pid), timeout=5)


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not port_is_free(listener.getsockname()[1])
