"""The built distributions, each installed into an empty environment and run outside any checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.mlflow import STORE_FILE, write_file
from ml_monitoring.exporter import __version__
from tests.support.extensions import ALERT, write_example
from tests.support.files import ROOT
from tests.support.serving import ExporterProcess
from tests.support.wheels import UV, build, uv

_FOLDERS = ("alerting", "dashboards", "exporter", "k8s")
# What the wheel holds beside Python, by place; a new kind of file has to be listed in pyproject.toml too.
_KINDS = {
    ("alerting", ".md"),
    ("alerting", ".tmpl"),
    ("alerting", ".yml"),
    ("dashboards", ".css"),
    ("alerting", ".json"),
    ("dashboards", ".html"),
    ("dashboards", ".js"),
    ("dashboards", ".json"),
    ("dashboards", ".svg"),
    ("dashboards", ".ttf"),
    ("dashboards", ".txt"),
    ("dashboards", ".yaml"),
    ("dashboards", ".yml"),
    # The git revision, and what the library declares.
    ("exporter", ""),
    ("exporter", ".json"),
    # What every chart is made with.
    ("k8s", ""),
    ("k8s", ".json"),
    ("k8s", ".md"),
    ("k8s", ".tpl"),
    ("k8s", ".txt"),
    ("k8s", ".yaml"),
}
# What is generated for the cluster is made again by the command.
_NOT_HELD = ("k8s/base/", "k8s/overlays/", "k8s/chart/ml-monitoring/files/")


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and a folder to work in that is no checkout."""

    folder: Path
    work: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *arguments: str | Path) -> None:
        """Install, with the versions of the tests where packages of an index are among it."""
        uv("pip", "install", "--python", self.python, "--constraint", ROOT / "requirements-dev.txt", *arguments)

    def run(self, command: str, *arguments: str | Path, status: int = 0) -> str:
        """Run a program of the environment; return what it printed."""
        done = subprocess.run(
            [self.folder / "bin" / command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.work,
            env=self.variables,
            timeout=120,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    @property
    def variables(self) -> dict[str, str]:
        """Return an environment in which nothing of the tests' own shows."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ML_MONITORING_"))}
        # As if it were activated.
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return kept | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _environment(folder: Path) -> Environment:
    uv("venv", "--python", sys.executable, folder / "venv")
    (folder / "work").mkdir()
    return Environment(folder / "venv", folder / "work")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT / "instrument", tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def stack(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Give the stack's wheel with what the images install beside it, and no extra."""
    environment = _environment(tmp_path_factory.mktemp("stack"))
    requirements = ("--require-hashes", "--requirement", ROOT / "requirements.txt")
    uv("pip", "install", "--python", environment.python, *requirements)
    uv("pip", "install", "--python", environment.python, "--no-deps", "--offline", wheel)
    return environment


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    write_file(folder, seed=1)
    path = folder / "ml-monitoring.yml"
    path.write_text(
        f"web: {{port: 0}}\nsources: {{mlflow: {{uri: 'sqlite:///{folder / STORE_FILE}'}}}}\n", encoding="utf-8"
    )
    return path


def _tracked(*folders: str) -> set[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders]
    names = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split("\0")
    return {name for name in names if name and (ROOT / name).is_file()}


def test_the_wheel_holds_every_file_of_its_folders_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {f"ml_monitoring/{name}" for name in _tracked(*_FOLDERS) if not name.startswith(_NOT_HELD)}
    own = {"ml_monitoring/cli.py", "ml_monitoring/__main__.py", "ml_monitoring/exporter/REVISION"}
    assert sorted(held) == sorted(wanted | own)
    # One `__init__.py` would take the namespace from the library.
    assert "ml_monitoring/__init__.py" not in held


def test_the_wheel_holds_the_kinds_of_files_that_it_should(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        paths = [Path(name) for name in archive.namelist() if ".dist-info/" not in name]
    assert {(path.parts[1], path.suffix) for path in paths if path.suffix != ".py"} == _KINDS


def test_the_metadata_can_be_shown_by_an_index(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        headers, _, readme = archive.read(name).decode().partition("\n\n")
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())
    for field in ("Name: ml-monitoring", f"Version: {__version__}", "License-Expression: Apache-2.0"):
        assert field in headers.splitlines()
    for field in ("Summary: ", "Keywords: ", "Classifier: ", "Project-URL: Source, https://", "Requires-Python: "):
        assert f"\n{field}" in headers
    # Where an index shows it, nothing is beside it.
    links = re.findall(r'\]\(([^)]+)\)|(?:href|src|srcset)="([^"]+)"', readme)
    targets = {markdown or html for markdown, html in links}
    assert targets
    assert {target for target in targets if not target.startswith(("https://", "http://", "#"))} == set()


def test_the_command_says_what_it_is(stack: Environment) -> None:
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert stack.run("ml-monitoring", "--version").startswith(f"ml-monitoring {__version__} (revision {revision}, ")
    assert stack.run("ml-monitoring", "alerts", "dance", status=2).startswith("usage: ml-monitoring alerts [-h]")
    assert stack.run("python", "-m", "ml_monitoring", "dance", status=2).startswith("usage: python -m ml_monitoring ")


def test_the_stack_reads_once_and_checks(stack: Environment, config: Path) -> None:
    assert 'ml_monitoring_source_up{source="mlflow"} 1.0\n' in stack.run("ml-monitoring", "once", "--config", config)
    assert stack.run("ml-monitoring", "check", "--config", config).startswith(f"ok    settings  {config}\n")


def test_the_stack_serves_metrics_and_the_runbooks_that_alerts_link_to(stack: Environment, config: Path) -> None:
    command = [str(stack.folder / "bin" / "ml-monitoring"), "serve"]
    process = ExporterProcess(config, stack.work / "serve.log", command=command, cwd=stack.work)
    try:
        process.wait_for('ml_monitoring_source_up{source="mlflow"}', 1)
        runbook = ROOT / "alerting" / "exporter" / "runbooks" / "MlMonitoringDown.md"
        assert process.get("/runbooks/MlMonitoringDown").text == runbook.read_text(encoding="utf-8")
    finally:
        assert process.stop() == 0


def test_the_stack_generates_the_same_rules_as_a_checkout(stack: Environment) -> None:
    stack.run("ml-monitoring", "alerts", "generate", "--compose", "--output-dir", "rules")
    committed = {path.name: path.read_bytes() for path in (ROOT / "alerting" / "generated").iterdir()}
    assert {path.name: path.read_bytes() for path in (stack.work / "rules").iterdir()} == committed


def test_installed_files_are_not_written_to_by_default(stack: Environment) -> None:
    assert "the following arguments are required: --output-dir" in stack.run(
        "ml-monitoring", "dashboards", "generate", status=2
    )
    # Which has a use without it.
    assert "--output-dir: give the folder" in stack.run("ml-monitoring", "alerts", "generate", status=2)


def test_without_its_extra_a_command_says_what_to_install(stack: Environment) -> None:
    said = stack.run("ml-monitoring", "dashboards", "generate", "--output-dir", "pages", status=1)
    message = "grafanalib, requests are not installed: pip install 'ml-monitoring[dashboards]'"
    assert said.splitlines()[-1] == f"error: {message}"


@pytest.fixture(scope="module")
def drawing(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Give the stack's wheel with the extra of the dashboards."""
    environment = _environment(tmp_path_factory.mktemp("drawing"))
    environment.install(f"ml-monitoring[dashboards] @ {wheel.as_uri()}")
    return environment


def test_with_its_extra_the_stack_generates_the_same_dashboards_as_a_checkout(drawing: Environment) -> None:
    drawing.run("ml-monitoring", "dashboards", "generate", "--output-dir", "pages")
    pages, committed = drawing.work / "pages", ROOT / "dashboards" / "generated"
    assert {path.relative_to(pages): path.read_bytes() for path in pages.rglob("*.json")} == {
        path.relative_to(committed): path.read_bytes() for path in committed.rglob("*.json")
    }


def test_with_its_extra_the_stack_makes_the_same_chart_and_manifests_as_a_checkout(drawing: Environment) -> None:
    drawing.run("ml-monitoring", "kubernetes", "chart", "--output-dir", "chart")
    assert _contents(drawing.work / "chart") == _contents(ROOT / "k8s" / "chart" / "ml-monitoring")
    where = ("--dashboards", "../../dashboards/generated", "--output-dir", "base")
    drawing.run("ml-monitoring", "kubernetes", "manifests", *where)
    assert _contents(drawing.work / "base") == _contents(ROOT / "k8s" / "base")


def _next_version(folder: Path) -> Path:
    """Return the wheel of the same sources under another version."""
    needed = ("README.md", "LICENSE", "MANIFEST.in", "pyproject.toml", "setup.py")
    links = [f"ml_monitoring/{path.name}" for path in (ROOT / "ml_monitoring").iterdir() if path.is_symlink()]
    for name in (*_tracked(*_FOLDERS, "ml_monitoring", *needed), *links):
        target = folder / "sources" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target, follow_symlinks=False)
    (module,) = (folder / "sources" / "exporter").glob("__init__.py")
    text = module.read_text(encoding="utf-8")
    assert f'"{__version__}"' in text
    module.write_text(text.replace(f'"{__version__}"', '"99.0.0"'), encoding="utf-8")
    # As pip builds it in a checkout, in which it built another release before.
    left = folder / "sources" / "build" / "lib" / "ml_monitoring" / "alerting" / "gone.py"
    left.parent.mkdir(parents=True)
    left.touch()
    return build(folder / "sources", folder / "dist", "--wheel")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_upgrade_leaves_what_is_of_ones_own_as_it_is_and_in_place(
    wheel: Path, programs: dict[str, Path], tmp_path: Path
) -> None:
    environment = _environment(tmp_path / "old")
    environment.install(f"ml-monitoring[dashboards] @ {wheel.as_uri()}")
    (environment.folder / "bin" / "promtool").symlink_to(programs["promtool"])
    own = tmp_path / "own"
    settings = write_example(own)
    settings.write_text(
        f"{settings.read_text(encoding='utf-8')}"
        f"alerts: {{{ALERT}: {{threshold: 120}}, MlflowRunHanging: null}}\n"
        "notifications: {channels: {shop: {kind: webhook, teams: [platform], url: 'https://shop.example/hook'}}}\n",
        encoding="utf-8",
    )
    before = _contents(own)
    outcomes = []
    for number in range(2):
        for group in ("alerts", "dashboards"):
            environment.run(
                "ml-monitoring", group, "generate", "--settings", settings, "--output-dir", f"{number}/{group}"
            )
        tested = environment.run("ml-monitoring", "alerts", "test", "--settings", settings)
        assert tested == f"ok    shop_orders\nok    {ALERT}\n"
        outcomes.append(_contents(environment.work / str(number)))
        if not number:
            newer = _next_version(tmp_path / "new")
            with zipfile.ZipFile(newer) as archive:
                assert {"ml_monitoring/alerting/cli.py", "ml_monitoring/alerting/gone.py"} & {*archive.namelist()} == {
                    "ml_monitoring/alerting/cli.py"
                }
            environment.install(f"ml-monitoring[dashboards] @ {newer.as_uri()}")
            assert environment.run("ml-monitoring", "--version").startswith("ml-monitoring 99.0.0 ")
    # Whatever another version changes in what is ours; here nothing.
    assert outcomes[0] == outcomes[1]
    assert _contents(own) == before
    rules = outcomes[1]["alerts/alerts.yml"].decode()
    assert "(max by (region) (shop_orders_waiting)) > 120" in rules
    assert "MlflowRunHanging" not in rules
    assert b"https://shop.example/hook" in outcomes[1]["alerts/alertmanager.yml"]
    assert b'"Shop"' in outcomes[1]["dashboards/Shop/ml-monitoring-own-shop.json"]


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """Give a folder with packages of somebody else that have our folders' names, and raise when they are imported."""
    for name in (*_FOLDERS, "demo", "tools", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('{name} of somebody else')\n")
    return tmp_path


def test_other_projects_of_the_same_names_live_beside_it(
    wheel: Path, library: Path, strangers: Path, tmp_path_factory: pytest.TempPathFactory, config: Path
) -> None:
    environment = Environment(_environment(tmp_path_factory.mktemp("both")).folder, strangers)
    environment.install(wheel, library)
    # These are on the index; what they need in turn is not of interest here.
    uv("pip", "install", "--python", environment.python, "--no-deps", "exporter==0.0.4", "alerting==0.0.9.3")
    where = "import importlib.util as u; print(*(u.find_spec(name).origin for name in ('exporter', 'alerting')))"
    assert environment.run("python", "-I", "-c", where).count("site-packages") == 2
    # Installed beside one another, the two distributions share the namespace and no file.
    both = "import ml_monitoring as m, ml_monitoring.instrument, ml_monitoring.exporter; print(m.__file__)"
    assert environment.run("python", "-I", "-c", both) == "None\n"
    assert environment.run("ml-monitoring", "check", "--config", config).startswith("ok ")
    environment.run("ml-monitoring", "alerts", "generate", "--output-dir", "rules")
    environment.run("python", "-m", "ml_monitoring", "once", "--config", config)


def test_the_library_needs_one_package(library: Path, tmp_path: Path) -> None:
    environment = _environment(tmp_path)
    environment.install(library)
    assert set(_listed(environment)) == {"ml-monitoring-instrument", "prometheus-client"}
    environment.run("python", "-I", "-c", "import ml_monitoring.instrument")
    with zipfile.ZipFile(library) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = "instrument/src/"
    assert held == {name.removeprefix(source) for name in _tracked(source)}
    assert "ml_monitoring/instrument/py.typed" in held


@pytest.mark.parametrize("page", ["docs/instrument.md", "instrument/README.md"])
def test_the_library_runs_the_first_lines_of_its_documentation(page: str, library: Path, tmp_path: Path) -> None:
    environment = _environment(tmp_path)
    # FastAPI is what the user has already; httpx asks it here.
    environment.install(library, "fastapi", "httpx")
    text = (ROOT / page).read_text(encoding="utf-8")
    start = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0]
    program = (
        f"{start}\n"
        "from fastapi.testclient import TestClient\n"
        "client = TestClient(app)\n"
        "assert client.get('/nothing').status_code == 404\n"
        "print(client.get('/metrics').text)\n"
    )
    (environment.work / "service.py").write_text(program, encoding="utf-8")
    metrics = environment.run("python", "service.py")
    assert re.search(r'^ml_http_requests_total\{.*status="404".*\} 1\.0$', metrics, re.MULTILINE), metrics


def _listed(environment: Environment) -> list[str]:
    command: list[str | Path] = [UV, "pip", "list", "--quiet", "--format=json", "--python", environment.python]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [package["name"] for package in json.loads(done.stdout)]
