from __future__ import annotations

import gzip
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from ml_monitoring.exporter import __version__
from tests.support.serving import ExporterProcess, serving

_PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
_PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("server")
    # A database without MLflow's tables: the exporter must serve whatever its sources do.
    (folder / "empty.db").touch()
    runbooks = folder / "runbooks"
    runbooks.mkdir()
    (runbooks / "MlMonitoringDown.md").write_text("# MlMonitoringDown\n\nµ\n")
    (folder / "secret.md").write_text("not for everyone")
    config = folder / "ml-monitoring.yml"
    config.write_text(
        f"""
        web: {{port: 0, runbooks_dir: {runbooks}}}
        sources: {{mlflow: {{uri: "sqlite:///{folder}/empty.db", interval: 1s}}}}
        """
    )
    return config


@pytest.fixture(scope="module")
def exporter(config: Path) -> Iterator[ExporterProcess]:
    with serving(config) as process:
        process.wait_for('ml_monitoring_source_up{source="mlflow"}', 0)
        yield process


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html,*/*;q=0.8", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (_PROMETHEUS_2, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (_PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;q=0", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;q=x,;,", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(
    exporter: ExporterProcess, accept: str | None, content_type: str
) -> None:
    response = exporter.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == content_type
    if "openmetrics" in content_type:
        names = {family.name for family in parse_openmetrics(response.text)}
    else:
        names = {family.name for family in parse_text(response.text)}
    assert {"ml_monitoring_source_up", "process_resident_memory_bytes"} <= names


@pytest.mark.parametrize(
    ("accept_encoding", "encoding"),
    [
        ("gzip", "gzip"),
        ("deflate, gzip;q=0.5", "gzip"),
        ("*", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("", None),
    ],
)
def test_compression_is_the_one_that_is_asked_for(
    exporter: ExporterProcess, accept_encoding: str, encoding: str | None
) -> None:
    response = exporter.get("/metrics", headers={"Accept-Encoding": accept_encoding}, stream=True)
    assert response.headers.get("Content-Encoding") == encoding
    raw = response.raw.read(decode_content=False)
    assert int(response.headers["Content-Length"]) == len(raw)
    assert b"ml_monitoring_build_info" in (gzip.decompress(raw) if encoding else raw)


def test_the_build_is_named_by_version_and_revision(exporter: ExporterProcess) -> None:
    described = exporter.get("/metrics?name[]=ml_monitoring_build_info").text.splitlines()[-1]
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    python = f'python_version="{platform.python_version()}"'
    assert described == f'ml_monitoring_build_info{{{python},revision="{revision}",version="{__version__}"}} 1.0'


def test_a_scrape_may_ask_for_families_by_name(exporter: ExporterProcess) -> None:
    chosen = exporter.get("/metrics?name[]=ml_monitoring_source_up&name[]=process_cpu_seconds_total&name[]=nothing")
    assert [family.name for family in parse_text(chosen.text)] == ["ml_monitoring_source_up", "process_cpu_seconds"]
    assert exporter.get("/metrics?collect[]=exporter&name[]=process_cpu_seconds").text.startswith("# HELP process_cpu")
    for nothing in ("name[]=nothing", "name[]="):
        assert exporter.get(f"/metrics?{nothing}").content == b""
    with pytest.raises(requests.HTTPError) as refused:
        exporter.get("/metrics?collect[]=exporter&collect[]=mlflw").raise_for_status()
    assert refused.value.response.status_code == 400
    assert refused.value.response.text == "collect[]: there is no such source; there are: exporter, mlflow\n"
    # Other parameters, which Prometheus may be configured to send, change nothing.
    assert "ml_monitoring_build_info" in exporter.get("/metrics?module=x").text


def test_chosen_families_come_in_each_format_and_compressed(exporter: ExporterProcess) -> None:
    headers = {"Accept": "application/openmetrics-text", "Accept-Encoding": "gzip"}
    response = exporter.get("/metrics?name[]=process_cpu_seconds_total", headers=headers)
    assert response.headers["Content-Encoding"] == "gzip"
    assert [family.name for family in parse_openmetrics(response.text)] == ["process_cpu_seconds"]
    assert exporter.get("/metrics?name[]=nothing", headers=headers).text == "# EOF\n"


def test_several_addresses_and_another_path_can_be_served(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "ml-monitoring.yml"
    addresses = "listen_addresses: ['127.0.0.1:0', '[::1]:0', 'localhost:0'], telemetry_path: /ml/metrics"
    other.write_text(config.read_text().replace("port: 0", addresses))
    with serving(other) as exporter:
        log = exporter.log.read_text()
        urls = [word.removeprefix("url=") for word in log.split() if word.startswith("url=")]
        assert [url.rpartition(":")[0] for url in urls][:2] == ["http://127.0.0.1", "http://[::1]"]
        for url in urls:
            assert "ml_monitoring_build_info" in requests.get(f"{url}/ml/metrics", timeout=10).text
        assert exporter.get("/metrics").status_code == 404
        assert 'href="/ml/metrics"' in exporter.get("/").text


def test_flags_of_the_command_line_go_over_the_file(config: Path, tmp_path: Path) -> None:
    flags = ["--web.listen-address=[::1]:0", "--web.telemetry-path=/ml", "--web.enable-lifecycle", "--log.level=DEBUG"]
    other = tmp_path / "ml-monitoring.yml"
    other.write_text(config.read_text())
    with serving(other, *flags) as exporter:
        assert exporter.url.startswith("http://[::1]:")
        assert "ml_monitoring_build_info" in exporter.get("/ml").text
        assert requests.post(f"{exporter.url}/-/reload", timeout=10).status_code == 200


def test_metrics_can_take_the_place_of_the_landing_page(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "ml-monitoring.yml"
    other.write_text(config.read_text().replace("port: 0", "port: 0, telemetry_path: /"))
    with serving(other) as exporter:
        assert "ml_monitoring_build_info" in exporter.get("/").text
        assert exporter.get("/-/healthy").status_code == 200


@pytest.mark.parametrize("path", ["/-/reload", "/-/reset/mlflow"])
def test_what_changes_something_is_off_by_default(exporter: ExporterProcess, path: str) -> None:
    answer = requests.post(exporter.url + path, timeout=10)
    assert answer.status_code == 403
    assert answer.text == "Off; web.enable_lifecycle or --web.enable-lifecycle switches it on.\n"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_request_takes_new_settings_where_that_is_switched_on(method: str, config: Path, tmp_path: Path) -> None:
    other = tmp_path / "ml-monitoring.yml"
    usable = config.read_text().replace("port: 0", "port: 0, enable_lifecycle: true")
    other.write_text(usable)
    with serving(other) as exporter:
        url = f"{exporter.url}/-/reload"
        other.write_text(usable.replace("interval: 1s", "interval: 7s"))
        answer = requests.request(method, url, timeout=10)
        assert (answer.status_code, answer.text) == (200, "Settings reloaded.\n")
        assert exporter.samples()['ml_monitoring_source_interval_seconds{source="mlflow"}'] == 7

        other.write_text(usable.replace("sqlite", "mssql"))
        answer = requests.request(method, url, timeout=10)
        assert (answer.status_code, answer.text) == (
            500,
            "The settings cannot be used, the old ones stay; see the log.\n",
        )
        assert exporter.samples()["ml_monitoring_config_last_reload_successful"] == 0

        refused = requests.request(method, url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)
        assert (refused.status_code, refused.text) == (403, "Not from another site.\n")
        assert exporter.get("/-/reload").status_code == 405


def test_health_and_readiness(exporter: ExporterProcess) -> None:
    assert (exporter.get("/-/healthy").status_code, exporter.get("/-/healthy").text) == (200, "Healthy.\n")
    assert (exporter.get("/-/ready").status_code, exporter.get("/-/ready").text) == (200, "Ready.\n")


def test_ready_comes_after_each_source_was_tried(tmp_path: Path) -> None:
    # A host that takes connections and never answers: the first attempt lasts until the timeout.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = tmp_path / "ml-monitoring.yml"
        uri = f"postgresql://u:s3cret@127.0.0.1:{silent.getsockname()[1]}/mlflow"
        config.write_text(f"web: {{port: 0}}\nsources: {{mlflow: {{uri: '{uri}', timeout: 3s}}}}\n")
        with serving(config) as exporter:
            assert exporter.get("/-/ready").status_code == 503
            assert exporter.get("/-/healthy").status_code == 200
            exporter.wait_for('ml_monitoring_source_errors_total{reason="timeout",source="mlflow"}', 1)
            assert exporter.get("/-/ready").status_code == 200
            assert "s3cret" not in exporter.get("/").text
        assert "s3cret" not in exporter.log.read_text()


def test_the_landing_page_names_each_source_with_its_problem(exporter: ExporterProcess) -> None:
    page = exporter.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<td>mlflow</td>" in page.text
    assert ">down</td>" in page.text
    assert "no MLflow tables found" in page.text
    assert 'href="/metrics"' in page.text


def test_a_runbook_of_the_stack_is_shown_where_the_users_folder_has_none(exporter: ExporterProcess) -> None:
    response = exporter.get("/runbooks/HostDiskFull")
    assert response.status_code == 200
    assert response.text == Path("alerting/host/runbooks/HostDiskFull.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/runbooks/MlMonitoringDown", 200),
        ("/runbooks/NoSuchAlert", 404),
        ("/runbooks/..%2Fsecret", 404),
        ("/runbooks/../secret", 404),
        ("/nowhere", 404),
    ],
)
def test_runbooks_are_shown_and_nothing_else(exporter: ExporterProcess, path: str, status: int) -> None:
    response = exporter.get(path)
    assert response.status_code == status
    assert (response.text == "# MlMonitoringDown\n\nµ\n") is (status == 200)


def test_other_methods_are_refused(exporter: ExporterProcess) -> None:
    assert requests.post(exporter.url + "/metrics", timeout=10).status_code == 405
    assert requests.head(exporter.url + "/metrics", timeout=10).status_code == 200


def test_five_hundred_scrapers_at_once_are_all_answered(exporter: ExporterProcess) -> None:
    with ThreadPoolExecutor(500) as pool:
        statuses = list(pool.map(lambda _number: exporter.get("/metrics").status_code, range(500)))
    assert statuses == [200] * 500


def test_sigterm_ends_it_cleanly(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "ml-monitoring.yml"
    other.write_text(config.read_text())
    with serving(other) as exporter:
        assert exporter.stop() == 0
    assert "msg=stopping" in exporter.log.read_text()


def test_sighup_takes_new_settings_and_keeps_the_old_ones_when_they_are_bad(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "ml-monitoring.yml"
    other.write_text(config.read_text())
    with serving(other) as exporter:
        exporter.wait_for('ml_monitoring_source_interval_seconds{source="mlflow"}', 1)

        other.write_text("sources: {mlflow: {uri: 'mssql://u:s3cret@h/d'}}")
        exporter.process.send_signal(signal.SIGHUP)
        samples = exporter.wait_for("ml_monitoring_config_last_reload_successful", 0)
        assert samples['ml_monitoring_source_interval_seconds{source="mlflow"}'] == 1
        line = exporter.wait_for_log("old ones stay")
        assert (
            "sources.mlflow.uri: must begin with http(s)://, postgresql://, mysql:// or sqlite:///, "
            "not with mssql: another database is read over its tracking server" in line
        )
        assert "s3cret" not in exporter.log.read_text()

        other.write_text(config.read_text().replace("interval: 1s", "interval: 7s"))
        exporter.process.send_signal(signal.SIGHUP)
        samples = exporter.wait_for("ml_monitoring_config_last_reload_successful", 1)
        assert samples['ml_monitoring_source_interval_seconds{source="mlflow"}'] == 7


def test_a_port_in_use_is_named(exporter: ExporterProcess, config: Path, tmp_path: Path) -> None:
    port = exporter.url.rsplit(":", 1)[1]
    other = tmp_path / "ml-monitoring.yml"
    other.write_text(config.read_text().replace("port: 0", f"port: {port}"))
    command = [sys.executable, "-m", "exporter", "serve", "--config", str(other)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(
        f": web.port: cannot listen on 127.0.0.1:{port}: Address already in use: another program has the port; "
        "choose another with --web.listen-address\n"
    )
