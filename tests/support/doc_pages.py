"""Runs what a page of the documentation says to type, in its order, beside real servers that are the reader's own.

Commands and files are those of the page. What a page can only give as an example is put in its place: ports become free
ones, folders at the top of the file system folders of a temporary one, and addresses those of servers of the test. What
a page shows as printed must be what is printed, where `...` stands for what differs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import requests
import yaml

from tests.support.doc_blocks import SHELLS, Block, blocks
from tests.support.grafana_double import TOKEN, GrafanaDouble
from tests.support.shell import COMMAND
from tests.support.wheels import uv
from tools.processes import Process, free_port, http_ok, wait_until
from tools.stack import ROOT

EXPORTER, PROMETHEUS, ALERTMANAGER, ALERT_LOG, GRAFANA, VIEWER = 9847, 9090, 9093, 9848, 3000, 9849
_PORTS = (EXPORTER, PROMETHEUS, ALERTMANAGER, ALERT_LOG, GRAFANA, VIEWER, 5000, 8000, 8001)
_PORT = re.compile(rf"(?<![\d.])({'|'.join(map(str, _PORTS))})(?![\d.])")
_FOLDER = re.compile(r"(?<![\w.:}/~%-])/(etc|var|run|opt|srv|data)(?=/)")
# What goes on until it is stopped, and where it listens unless its arguments say.
_SERVER = re.compile(
    r"(?:\w+=\S+ )*(?P<name>ml-monitoring (?:serve|dashboards serve|alerts log)|uvicorn|gunicorn|flask|prometheus"
    r"|alertmanager)\b"
)
_DEFAULTS = {"ml-monitoring serve": EXPORTER, "ml-monitoring dashboards serve": VIEWER, "prometheus": PROMETHEUS}
_LISTENS = re.compile(r"(?:--port|--listen|--bind)[ =](?:[\w.]+:)?(\d{4,5})\b")
# Seconds that only a defect takes, and where packages are installed.
_PATIENCE, _INSTALLING = 300, 900
_PRELUDE = r"""
set -euo pipefail
declare -A running=()
serve() {
  { set +x; } 2>/dev/null
  if [[ -n ${running[$1]-} ]]; then kill "${running[$1]}"; wait "${running[$1]}" || true; fi
  eval "$2 &" 1>&2
  running[$1]=$!
  for _ in {1..600}; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then set -x; return; fi
    kill -0 "${running[$1]}"
    sleep 0.05
  done
  echo "nothing listens on $1: $2" >&2
  return 1
}
put() {
  mkdir -p "$(dirname "$2")"
  if [[ $2 = *.y*ml && -e $2 ]]; then python "$MERGE" "$2" "$1"; else cp "$1" "$2"; fi
}
PS4='+ '
set -x
"""
# A reader who has the file already adds what the page shows.
_MERGE = """
import sys, yaml
from pathlib import Path
def merged(old, new):
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old[key], value) if key in old else value for key, value in new.items()}}
    return [*old, *new] if isinstance(old, list) and isinstance(new, list) else new
path, addition = (Path(name) for name in sys.argv[1:])
content = merged(yaml.safe_load(path.read_text()), yaml.safe_load(addition.read_text()))
# No line of a text is broken, which commands of a page look for words in.
path.write_text(yaml.safe_dump(content, width=100_000))
"""


def is_run(block: Block, *, wide: bool = False) -> bool:
    """Tell whether a block is a command, or a program that is not kept in a file."""
    if "not run" in block.marks or "checked by" in block.marks or ("wide" in block.marks and not wide):
        return False
    return block.language in SHELLS or (block.language == "python" and not block.file)


def runnable(*, wide: bool = False) -> list[str]:
    """Return the pages on which there is something to run."""
    return sorted({block.page for block in blocks() if is_run(block, wide=wide)})


class Reader:
    """Somebody who types what a page says, in a folder that has what a checkout has.

    Attributes:
        folder: Where it is typed.
        root: What the top of the file system is for the page.
        ports: The ports that take the place of those on the page.
        grafana: Grafana, where the page speaks of one.
        output: What everything printed.
        served: Ports of the page at which a test has started what listens there.
    """

    def __init__(
        self,
        page: str,
        folder: Path,
        programs: Mapping[str, Path],
        store: Path,
        *,
        wheels: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the reader; nothing is started yet.

        Args:
            page: What is read, from the top of the repository.
            folder: For everything that is written.
            programs: Prometheus, Alertmanager and their tools.
            store: MLflow's store, an SQLite file.
            wheels: Folder of the distributions: what the page installs is installed, and nothing is there before.
            environ: More variables.
        """
        self.blocks = [block for block in blocks() if block.page == page]
        self.root, self.folder = folder, folder / "work"
        self.ports = {port: free_port() for port in _PORTS}
        self.grafana = GrafanaDouble()
        self.grafana.role = "Admin"
        self.output = ""
        self.served: set[int] = set()
        self._programs, self._store, self._environ = programs, store, dict(environ or {})
        self._wheels = wheels
        self._shell: subprocess.Popen[str] | None = None
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        for entry in ROOT.iterdir():
            if entry.name not in (".git", "k8s", "site"):
                (self.folder / entry.name).symlink_to(entry)
        # Pages add overlays to it.
        shutil.copytree(ROOT / "k8s", self.folder / "k8s")
        for each in (
            "bin",
            "home",
            "etc/prometheus",
            "etc/grafana/provisioning",
            "var/lib/grafana",
            "run/secrets",
            "blocks",
        ):
            (self.root / each).mkdir(parents=True)
        starts = {name: f'exec {shlex.quote(str(path))} "$@"' for name, path in self._programs.items()} | {
            "sudo": 'exec "$@"'
        }
        if self._wheels is None:
            starts["ml-monitoring"] = f'PYTHONPATH={shlex.quote(str(ROOT))} exec {COMMAND} "$@"'
        else:
            self._make_environment()
        for name, command in starts.items():
            (self.root / "bin" / name).write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
            (self.root / "bin" / name).chmod(0o755)
        token = self.root / "home" / ".config" / "ml-monitoring" / "grafana-token"
        token.parent.mkdir(parents=True)
        token.write_text(TOKEN, encoding="utf-8")
        (self.root / "merge.py").write_text(_MERGE, encoding="utf-8")
        text = "".join(block.text for block in self.blocks if is_run(block) or block.file)
        self._exit.enter_context(self.grafana)
        self.grafana.add_datasource("prometheus", "Prometheus", "prometheus", default=True)
        if self._needs(ALERTMANAGER, "alertmanager", text):
            self._exit.enter_context(self._alertmanager())
        if self._needs(PROMETHEUS, "prometheus", text):
            self._exit.enter_context(self._prometheus())
        return self

    def __exit__(self, *_: object) -> None:
        if self._shell is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._shell.pid, signal.SIGTERM)
        self._exit.close()

    def here(self, text: str) -> str:
        """Return a text of the page with what stands for its examples here."""
        for address in ("postgresql://exporter@db.example/mlflow", "sqlite:////data/mlflow.db"):
            text = text.replace(address, f"sqlite:///{self._store}")
        text = text.replace("https://grafana.example.org", self.grafana.url).replace("'TOKEN'", TOKEN)
        text = _PORT.sub(lambda found: str(self.ports[int(found[0])]), text)
        return _FOLDER.sub(rf"{self.root}/\1", text)

    def read(self) -> Self:
        """Do everything that the page says; fail where something fails, or prints something else than it says."""
        script, printed = [_PRELUDE], {}
        for number, block in enumerate(self.blocks):
            source = self.root / "blocks" / str(number)
            if block.file and "not run" not in block.marks:
                source.write_text(self.here(block.text), encoding="utf-8")
                script.append(f"put {source} {self.here(block.file)}")
            elif is_run(block, wide=self._wheels is not None):
                printed[block] = source.with_suffix(".out")
                source.write_text(self.here(block.text), encoding="utf-8")
                typed = f"python {source}" if block.language == "python" else self._commands(block)
                script.append(f"{{\n{typed}\n}} >{printed[block]}")
        done = self._run("\n".join(script))
        assert done == 0, f"exit {done}:\n{self.output}"
        for block, path in printed.items():
            expected = [line for line in self.here(block.text).splitlines() if not line.startswith("$ ")]
            if block.language == "console" and expected and "\\\n" not in block.text:
                assert shows(path.read_text(encoding="utf-8"), expected), f"{block}:\n{path.read_text()}"
        return self

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask the page's Prometheus."""
        address = f"http://127.0.0.1:{self.ports[PROMETHEUS]}/api/v1/query"
        found: list[dict[str, Any]] = requests.get(address, {"query": expression}, timeout=10).json()["data"]["result"]
        return found

    def sees(self, expression: str) -> bool:
        """Wait until the page's Prometheus has an answer, and tell whether one came."""
        return wait_until(lambda: bool(self.query(expression)), timeout=_PATIENCE, poll=0.2)

    def get(self, port: int, path: str = "/metrics") -> str:
        """Ask a server of the page for what it has at a path."""
        return requests.get(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=10).text

    def _needs(self, port: int, program: str, text: str) -> bool:
        """Tell whether the page takes a server for granted."""
        starts = [found["name"] for line in text.splitlines() if (found := _SERVER.match(line.removeprefix("$ ")))]
        return program not in starts and port not in self.served and re.search(rf"{port}|maintenance", text) is not None

    def _commands(self, block: Block) -> str:
        lines = re.sub(r"\\\n\s*", "", self.here(block.commands)).splitlines()
        return "\n".join(self._command(line) for line in lines)

    def _command(self, line: str) -> str:
        if (found := _SERVER.match(line)) is None:
            return line
        given = _LISTENS.search(line)
        port = given[1] if given else self.ports[_DEFAULTS[found["name"]]]
        return f"serve {port} {shlex.quote(line.partition(' #')[0].strip())}"

    def _run(self, script: str) -> int:
        path = self.root / "page.sh"
        path.write_text(script, encoding="utf-8")
        log = self.root / "page.log"
        with log.open("w", encoding="utf-8") as output:
            self._shell = subprocess.Popen(
                ["bash", path],
                cwd=self.folder,
                env=self._environment(),
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
            try:
                return self._shell.wait(_INSTALLING if self._wheels else _PATIENCE)
            finally:
                texts = (log, *sorted((self.root / "blocks").glob("*.out")))
                self.output = "".join(path.read_text(encoding="utf-8", errors="replace") for path in texts)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ML_MONITORING_", "PYTHON"))}
        return kept | {
            "PATH": self._path(),
            "HOME": str(self.root / "home"),
            "PYTHONPATH": str(ROOT),
            "MERGE": str(self.root / "merge.py"),
            # What listens where nothing is said, and what commands then ask.
            "ML_MONITORING_WEB__PORT": str(self.ports[EXPORTER]),
            "PROMETHEUS_URL": f"http://127.0.0.1:{self.ports[PROMETHEUS]}",
            "ALERTMANAGER_URL": f"http://127.0.0.1:{self.ports[ALERTMANAGER]}",
            **self._environ,
        }

    def _path(self) -> str:
        return f"{self.root / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    def _make_environment(self) -> None:
        """Make an environment in which the page finds pip and pipx, and frameworks, but nothing of ours."""
        environment, bins = self.root / "venv", self.root / "home" / ".local" / "bin"
        uv("venv", "--seed", "--python", sys.executable, environment)
        uv("pip", "install", "--python", environment / "bin" / "python", "pipx")
        (site,) = environment.glob("lib/*/site-packages")
        # After its own packages.
        (site / "frameworks.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
        self._environ |= {
            "PATH": f"{environment / 'bin'}:{bins}:{self._path()}",
            "PYTHONPATH": str(site),
            "PIP_FIND_LINKS": str(self._wheels),
            # Which pipx takes where it is there.
            "UV_FIND_LINKS": str(self._wheels),
            "PIPX_HOME": str(self.root / "pipx"),
            "PIPX_BIN_DIR": str(bins),
        }

    def _prometheus(self) -> Process:
        """Return the reader's own Prometheus, with a job of somebody else's."""
        address = f"127.0.0.1:{self.ports[PROMETHEUS]}"
        folder = self.root / "etc" / "prometheus"
        own = {"job_name": "prometheus", "static_configs": [{"targets": [address]}]}
        config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [own],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        flags = [
            "--web.enable-lifecycle",
            f"--web.listen-address={address}",
            f"--storage.tsdb.path={self.root / 'data'}",
        ]
        return self._server(
            "prometheus", f"--config.file={folder / 'prometheus.yml'}", *flags, url=f"http://{address}/-/ready"
        )

    def _alertmanager(self) -> Process:
        """Return the reader's own Alertmanager, which notifies nobody."""
        address = f"127.0.0.1:{self.ports[ALERTMANAGER]}"
        config = self.root / "etc" / "prometheus" / "alertmanager.yml"
        config.write_text("{route: {receiver: nobody}, receivers: [{name: nobody}]}\n", encoding="utf-8")
        flags = [
            f"--web.listen-address={address}",
            f"--storage.path={self.root / 'alertmanager'}",
            "--cluster.listen-address=",
        ]
        return self._server("alertmanager", f"--config.file={config}", *flags, url=f"http://{address}/-/ready")

    def _server(self, name: str, *flags: str, url: str) -> Process:
        return Process(
            name, [self._programs[name], *flags], log=self.root / f"{name}.log", healthy=lambda: http_ok(url)
        )


def shows(printed: str, expected: list[str]) -> bool:
    """Tell whether these lines were printed in this order, with others between them or not."""
    # One line after the other: one pattern of all would try every way to fit them.
    place = 0
    for line in expected:
        found = re.compile(".*".join(map(re.escape, line.strip().split("...")))).search(printed, place)
        if found is None:
            return False
        place = found.end()
    return True
