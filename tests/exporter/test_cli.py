from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.mlflow import STORE_FILE, write_file
from ml_monitoring.exporter.config import load
from tests.exporter.test_environment import KUBERNETES
from tests.support.shell import PYTHON
from tools.processes import Process, free_port, http_ok


def _run(*arguments: str | Path, cwd: str | Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exporter", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**_clean_environment(), **environ},
    )


def _clean_environment() -> dict[str, str]:
    # The module is found from any folder.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ML_MONITORING_", "MLFLOW_"))}
    return {**inherited, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "empty.db").touch()
    return tmp_path


@pytest.fixture
def stranger() -> Iterator[str]:
    """Give the address of a server that is neither Prometheus nor Alertmanager."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            is_login = self.path.startswith("/login/")
            self.wfile.write(b"<html><title>Sign in</title></html>" if is_login else b"hello")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("arguments", [(), ("dance",), ("serve", "--cofnig", "x")])
def test_wrong_usage_is_said_with_status_2(arguments: tuple[str, ...]) -> None:
    done = _run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m exporter")


@pytest.mark.parametrize("command", ["serve", "once"])
def test_settings_that_cannot_be_used_are_listed(command: str, folder: Path) -> None:
    config = folder / "ml-monitoring.yml"
    config.write_text("web: {port: x}\nsources: {mlflow: {uri: 'postgresql://u:s3cret@h/d', interval: 0}}")
    done = _run(command, "--config", config)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: {config}:1: web.port: is no whole number",
        f"error: {config}:2: sources.mlflow.interval: is not a duration: write it as 30s, 10m, 1h or 1d, "
        "or 0s where none is meant and may be",
    ]


def test_the_environment_names_the_settings_file(folder: Path) -> None:
    config = folder / "missing.yaml"
    done = _run("once", ML_MONITORING_CONFIG=str(config))
    assert done.stderr == f"error: ML_MONITORING_CONFIG: {config}: No such file or directory\n"


def test_check_says_what_is_wrong_a_line_each(folder: Path, stranger: str) -> None:
    config = folder / "ml-monitoring.yml"
    config.write_text(
        f"""
        web: {{config_file: {folder}/web.yml}}
        prometheus: {{url: "http://127.0.0.1:1"}}
        alertmanager: {{url: "{stranger}"}}
        sources: {{mlflow: {{uri: "sqlite:///{folder}/empty.db"}}}}
        """
    )
    done = _run("check", "--config", config)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"ok    settings      {config}",
        f"FAIL  web           {config}:2: web.config_file: {folder}/web.yml: cannot be read: No such file or directory",
        f"FAIL  mlflow        no MLflow tables found (sources.mlflow.uri, {config}:5) - "
        "check which database it is, and with PostgreSQL the search_path; "
        "a new store gets its tables when MLflow first uses it",
        "FAIL  prometheus    http://127.0.0.1:1 cannot be reached: Connection refused: does it run there, and on this "
        f"port? (prometheus.url, {config}:3) - is prometheus.url right?",
        f"FAIL  alertmanager  {stranger} does not answer in JSON: it is another program's address (alertmanager.url, "
        f"{config}:4) - is alertmanager.url right?",
    ]


def test_check_says_that_a_login_answers_in_place_of_a_neighbour(folder: Path, stranger: str) -> None:
    config = folder / "ml-monitoring.yml"
    config.write_text(
        f"web: {{port: 0}}\nprometheus: {{url: '{stranger}/login'}}\n"
        f"sources: {{mlflow: {{uri: 'sqlite:///{folder}/empty.db'}}}}\n"
    )
    assert _run("check", "--config", config).stdout.splitlines()[-1] == (
        f"FAIL  prometheus  {stranger}/login does not answer in JSON: it answers with a page for people (Sign in), of "
        f"a login or of another program (prometheus.url, {config}:2) - is prometheus.url right?"
    )


def test_check_looks_into_the_folder_of_runbooks(folder: Path) -> None:
    config = folder / "ml-monitoring.yml"
    config.write_text(
        f"web: {{runbooks_dir: {folder}/none}}\nsources: {{mlflow: {{uri: 'sqlite:///{folder}/empty.db'}}}}"
    )
    line = f"FAIL  web       {config}:1: web.runbooks_dir: {folder}/none cannot be read: No such file or directory"
    assert line in _run("check", "--config", config).stdout.splitlines()


def test_check_names_each_bad_setting(folder: Path) -> None:
    done = _run("check", ML_MONITORING_SOURCES__MLFLOW__URI="mssql://u:s3cret@h/d", ML_MONITORING_WEB__PORT="-1")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "FAIL  settings  ML_MONITORING_SOURCES__MLFLOW__URI: must begin with http(s)://, postgresql://, mysql:// or "
        "sqlite:///, not with mssql: another database is read over its tracking server",
        "FAIL  settings  ML_MONITORING_WEB__PORT: must be at least 0",
    ]


def test_check_is_content_with_a_stack_that_works(folder: Path, programs: dict[str, Path]) -> None:
    write_file(folder, seed=1)
    ports = {name: free_port() for name in ("prometheus", "alertmanager", "cluster")}
    (folder / "prometheus.yml").write_text("{}")
    (folder / "alertmanager.yml").write_text("{route: {receiver: none}, receivers: [{name: none}]}")
    urls = {name: f"http://127.0.0.1:{ports[name]}" for name in ("prometheus", "alertmanager")}
    commands = {
        "prometheus": ["--config.file=prometheus.yml", "--storage.tsdb.path=data"],
        "alertmanager": ["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="],
    }
    config = folder / "ml-monitoring.yml"
    config.write_text(
        f"prometheus: {{url: {urls['prometheus']}}}\nalertmanager: {{url: {urls['alertmanager']}/}}\n"
        f"sources: {{mlflow: {{uri: 'sqlite:///{folder}/{STORE_FILE}'}}}}\n"
    )

    def server(name: str) -> Process:
        return Process(
            name,
            [programs[name], *commands[name], f"--web.listen-address=127.0.0.1:{ports[name]}"],
            log=folder / f"{name}.log",
            cwd=folder,
            healthy=lambda: http_ok(f"{urls[name]}/-/ready"),
        )

    with server("prometheus"), server("alertmanager"):
        done = _run("check", "--config", config)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", "settings"],
        ["ok", "web"],
        ["ok", "mlflow"],
        ["ok", "prometheus"],
        ["ok", "alertmanager"],
    ]
    assert lines[3].startswith(f"ok    prometheus    {urls['prometheus']}, version ")


def test_check_follows_the_flags(folder: Path) -> None:
    (folder / "tls.yml").write_text("rate_limit: {interval: 1s, burst: 5}")
    first, second = free_port(), free_port()
    flags = (f"--web.listen-address=[::1]:{first}", f"--web.listen-address=:{second}", "--web.telemetry-path=/ml")
    done = _run("check", *flags, f"--web.config.file={folder}/tls.yml", MLFLOW_BACKEND_STORE_URI="sqlite:///m.db")
    assert done.stdout.splitlines()[:2] == [
        "ok    settings  from the environment",
        f"ok    web       metrics at http://[::1]:{first}/ml, http://127.0.0.1:{second}/ml",
    ]


def test_check_of_the_syntax_alone_connects_to_nothing(folder: Path) -> None:
    config = folder / "ml-monitoring.yml"
    config.write_text("sources: {mlflow: {uri: 'postgresql://u:s3cret@127.0.0.1:1/d'}}\nweb: {port: 1}")
    done = _run("check", "--syntax-only", "--config.file", config)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"ok    settings  {config}\n", "")
    config.write_text("sources:\n  mlflow: {uri: 'sqlite:///m.db', intervall: 1s}")
    done = _run("check", "--syntax-only", "--config.file", config)
    assert done.returncode == 1
    assert done.stdout == f"FAIL  settings  {config}:2: sources.mlflow.intervall: unknown key; did you mean interval?\n"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM x", "sql begins with DELETE"),
        ("WITH a AS (SELECT 1) INSERT INTO x SELECT 1", "sql has INSERT INTO"),
        ("SELECT 1; SELECT 2", "sql has several statements"),
    ],
)
def test_check_of_the_syntax_alone_sees_what_is_no_query(sql: str, said: str, folder: Path) -> None:
    config = folder / "ml-monitoring.yml"
    query = f"{{uri: 'sqlite:///m.db', sql: '{sql}', metrics: {{shop_n: {{value: n, help: N.}}}}}}"
    config.write_text(f"sources: {{queries: {{q: {query}}}}}")
    done = _run("check", "--syntax-only", "--config.file", config)
    wanted = "it must be one query that begins with SELECT or WITH"
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == [f"FAIL  queries/q  {said}: {wanted} (sources.queries.q.sql, {config}:1)"]


def test_check_of_the_syntax_alone_reads_the_declarations_of_experiments(folder: Path) -> None:
    config, experiments = folder / "ml-monitoring.yml", folder / "experiments.yml"
    config.write_text("sources:\n  experiments: {url: 'http://127.0.0.1:1', files: experiments.yml}\n")
    experiments.write_text("shop:\n  start: 2026-13-40\n")
    done = _run("check", "--syntax-only", "--config.file", config, cwd=folder)
    said = "not valid YAML: start: this is a number or a time that there cannot be"
    assert done.returncode == 1
    assert (
        done.stdout.splitlines()[1]
        == f"FAIL  experiments  experiments.yml:2: {said} (sources.experiments.files, {config}:2)"
    )
    experiments.write_text("")
    done = _run("check", "--syntax-only", "--config.file", config, cwd=folder)
    assert (done.returncode, done.stdout.splitlines()[1]) == (0, "ok    experiments  0 experiments")


def test_mlflows_own_variable_is_enough_and_is_named_without_its_secret(folder: Path) -> None:
    done = _run("check", MLFLOW_BACKEND_STORE_URI=f"sqlite:///{folder}/empty.db?password=s3cret")
    assert done.stdout.splitlines()[2].startswith("FAIL  mlflow    no MLflow tables found")
    (line,) = done.stderr.splitlines()
    assert line.endswith('msg="MLflow store taken from the environment" variable=MLFLOW_BACKEND_STORE_URI')
    assert "s3cret" not in done.stdout + done.stderr


def test_the_variables_that_kubernetes_sets_for_a_service_do_not_stop_the_start(folder: Path) -> None:
    done = _run("once", MLFLOW_BACKEND_STORE_URI=f"sqlite:///{folder}/empty.db", **KUBERNETES)
    assert "error:" not in done.stderr
    assert done.stdout.startswith("# HELP ml_monitoring_build_info")
    done = _run("once", MLFLOW_BACKEND_STORE_URI=f"sqlite:///{folder}/empty.db", ML_MONITORING_PORT="9847")
    assert done.stderr == "error: ML_MONITORING_PORT: unknown setting; did you mean ML_MONITORING_WEB__PORT?\n"


def test_without_any_settings_one_line_says_what_to_set(tmp_path: Path) -> None:
    done = _run("serve", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: sources: nothing to read: give at least one of mlflow, variants, fleet, containers, experiments, "
        "queries a section in a file of settings (there is no ml-monitoring.yml and no "
        "/etc/ml-monitoring/ml-monitoring.yml; `ml-monitoring init` writes one), or set MLFLOW_BACKEND_STORE_URI or "
        "MLFLOW_TRACKING_URI\n"
    )


def test_the_file_in_the_working_directory_is_found(folder: Path) -> None:
    (folder / "ml-monitoring.yml").write_text("sources: {mlflow: {uri: 'sqlite:///empty.db'}}")
    assert _run("check", "--syntax-only", cwd=folder).stdout == "ok    settings  ml-monitoring.yml\n"


def test_several_files_are_merged(folder: Path) -> None:
    first, second = folder / "a.yml", folder / "b.yml"
    first.write_text("sources: {mlflow: {uri: 'sqlite:///empty.db', interval: 1s}}")
    second.write_text("sources: {mlflow: {interval: 2s}}")
    done = _run("config", "--config.file", first, "--config", second)
    assert f"    interval: 2s # {second}:1\n" in done.stdout


def test_config_prints_the_settings_in_force_without_secrets(folder: Path) -> None:
    config = folder / "ml-monitoring.yml"
    config.write_text(
        """\
web:
  port: 1
sources:
  variants:
    uri: postgresql://u:s3cret@db/app
    window: 36h
  containers: {url: "http://proxy:2375"}
prometheus: {url: "http://u:s3cret@prometheus:9090"}
"""
    )
    flags = ("--web.listen-address=:9847", "--log.level=WARN")
    done = _run("config", f"--config.file={config}", *flags, ML_MONITORING_LOG__FORMAT="json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "s3cret" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[: lines.index("sources:")] == [
        "web:",
        "  listen_addresses: # --web.listen-address",
        "  - :9847",
        "  telemetry_path: /metrics",
        "  max_connections: 1000",
        "  enable_lifecycle: false",
        "log:",
        "  level: warning # --log.level",
        "  format: json # ML_MONITORING_LOG__FORMAT",
    ]
    assert f"    uri: <secret> # {config}:5" in lines
    assert f"    window: 36h # {config}:6" in lines
    assert f"    url: http://proxy:2375 # {config}:7" in lines
    assert f"  url: http://***@prometheus:9090 # {config}:8" in lines
    assert "    interval: 15s" in lines

    again = folder / "again.yml"
    again.write_text(done.stdout.replace("<secret>", "postgresql://u:s3cret@db/app"))
    flagged = {"--web.listen-address": [":9847"], "--log.level": "warn"}
    before, after = load(config, {"ML_MONITORING_LOG__FORMAT": "json"}, flagged), load(again, {})
    assert (after.web, after.log) == (before.web, before.log)
    assert after.enabled_sources()["variants"] == before.enabled_sources()["variants"]


def test_what_a_risk_model_is_given_is_masked_too(folder: Path) -> None:
    config = folder / "ml-monitoring.yml"
    risk = "{options: {token: s3cret, floor: 1}, normals: {web: {cpu: 1}}}"
    config.write_text(f"sources: {{fleet: {{path: /f.csv, risk: {risk}}}}}")
    done = _run("config", "--config.file", config)
    assert "s3cret" not in done.stdout
    assert f"        token: <secret> # {config}:1\n        floor: <secret> # {config}:1\n" in done.stdout
    assert f"          cpu: 1.0 # {config}:1\n" in done.stdout


def test_a_closed_pipe_is_no_defect(folder: Path) -> None:
    command = f"{PYTHON} -m exporter once | head -1"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "ML_MONITORING_SOURCES__MLFLOW__URI": f"sqlite:///{folder}/empty.db"},
    )
    assert done.stdout.startswith("# HELP ml_monitoring_build_info")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
