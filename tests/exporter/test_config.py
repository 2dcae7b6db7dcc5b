from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from ml_monitoring.exporter.addresses import ListenAddress
from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.sources.mlflow import MlflowSettings

_URI = "postgresql://reader:s3cret@db/mlflow"
_NO_ADDRESS = "not an address to listen on: write it as host:port, [::1]:port or :port"


def _problems(path: Path | Sequence[Path] | None, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        load(path, environ or {})
    return error.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ml-monitoring.yml"


def test_defaults_are_filled_in(file: Path) -> None:
    file.write_text("sources: {mlflow: {uri: 'sqlite:///m.db'}}")
    settings = load(file, {})
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 9847)
    mlflow = settings.enabled_sources()["mlflow"]
    assert (mlflow.interval, mlflow.timeout, mlflow.staleness_limit, mlflow.max_series) == (15, 10, 75, 10_000)


def test_settings_cannot_be_changed(file: Path) -> None:
    file.write_text("sources: {mlflow: {uri: 'sqlite:///m.db'}}")
    with pytest.raises(ValidationError):
        load(file, {}).web.port = 1  # type: ignore[misc]  # what is tried here


def test_the_environment_wins_over_the_file_key_by_key(file: Path) -> None:
    file.write_text("sources: {mlflow: {uri: 'sqlite:///m.db', interval: 30s, timeout: 5s}}")
    environ = {
        "ML_MONITORING_SOURCES__MLFLOW__INTERVAL": "1m",
        "ML_MONITORING_WEB__PORT": "19",
        "ML_MONITORING_CONFIG": "x",
        "HOME": "/",
    }
    settings = load(file, environ)
    assert settings.enabled_sources()["mlflow"].interval == 60
    assert settings.enabled_sources()["mlflow"].timeout == 5
    assert settings.web.port == 19


def test_lists_can_be_given_by_the_environment() -> None:
    environ = {
        "ML_MONITORING_SOURCES__MLFLOW__URI": _URI,
        "ML_MONITORING_SOURCES__MLFLOW__EXPERIMENTS__EXCLUDE": "a, b*",
    }
    section = load(None, environ).enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    assert section.experiments.exclude == ("a", "b*")


def test_a_secret_is_read_from_the_file_that_the_environment_names(tmp_path: Path) -> None:
    secret = tmp_path / "uri"
    secret.write_text(f"{_URI}\n")
    section = load(None, {"ML_MONITORING_SOURCES__MLFLOW__URI_FILE": str(secret)}).enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    assert section.uri.get_secret_value() == _URI


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    (first, second) = _problems(
        None, {"ML_MONITORING_SOURCES__MLFLOW__URI_FILE": str(missing), "ML_MONITORING_WEB__PORT": "x"}
    )
    assert first == f"ML_MONITORING_SOURCES__MLFLOW__URI_FILE: {missing} cannot be read: No such file or directory"
    assert second.startswith("ML_MONITORING_WEB__PORT: is no whole number")


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    environ = {"ML_MONITORING_SOURCES__MLFLOW__URI_FILE": "/x", "ML_MONITORING_SOURCES__MLFLOW__URI": _URI}
    name = "ML_MONITORING_SOURCES__MLFLOW__URI"
    assert _problems(None, environ) == (f"{name}_FILE: given together with {name}; keep one of them",)


def test_a_uri_in_place_of_the_path_of_its_file_is_not_shown() -> None:
    environ = {"ML_MONITORING_SOURCES__MLFLOW__URI_FILE": "postgresql://u:s3cret@h/d"}
    (problem, *_) = _problems(None, environ)
    assert problem == (
        "ML_MONITORING_SOURCES__MLFLOW__URI_FILE: holds a URI, where the path of a file that holds it belongs"
    )


def test_a_uri_in_place_of_a_key_is_not_shown(file: Path) -> None:
    file.write_text('sources: {"postgresql://u:s3cret@h/d": {}}\n')
    assert _problems(file) == (f"{file}:1: sources.postgresql://***@h/d: unknown key",)


def test_every_problem_is_listed_with_its_place(file: Path) -> None:
    file.write_text(
        """
        web: {port: 70000, hots: x}
        log: {level: loud}
        prometheus: {url: localhost}
        sources:
          mlflow:
            uri: mssql://root:s3cret@db/mlflow
            interval: soon
            max_series: 0
            labels: {"bad-name": ["param:x"], team: ["column:team"]}
          mlfow: {}
        """
    )
    problems = _problems(file)
    assert [problem.split(": ")[1] for problem in problems] == [
        "web.port",
        "web.hots",
        "log.level",
        "prometheus.url",
        "sources.mlflow.uri",
        "sources.mlflow.interval",
        "sources.mlflow.max_series",
        "sources.mlflow.labels",
        "sources.mlfow",
    ]
    assert f"{file}:2: web.hots: unknown key; did you mean host?" in problems
    assert f"{file}:8: sources.mlflow.interval: not a duration: write it as 30s, 5m, 6h, 1d or 1h30m" in problems
    assert (
        f"{file}:7: sources.mlflow.uri: must begin with http(s)://, postgresql://, mysql:// or sqlite:///, "
        "not with mssql: another database is read over its tracking server" in problems
    )
    assert "s3cret" not in "".join(problems)


@pytest.mark.parametrize("uri", ["./mlruns", "/data/mlruns", "../mlruns", "file:///data/mlruns", "mlruns"])
def test_a_store_in_files_is_led_to_a_database(uri: str, tmp_path: Path) -> None:
    file = tmp_path / "ml-monitoring.yml"
    file.write_text(f"sources: {{mlflow: {{uri: {uri}}}}}\n", encoding="utf-8")
    (problem,) = _problems(file)
    assert "sources.mlflow.uri: must begin with http(s)://, postgresql://, mysql:// or sqlite:///" in problem
    assert "mlflow migrate-filestore" in problem


@pytest.mark.parametrize("uri", ["./mlflow.db", "/data/mlflow.sqlite"])
def test_a_file_of_sqlite_without_a_scheme_is_not_taken_for_a_store_in_files(uri: str, tmp_path: Path) -> None:
    file = tmp_path / "ml-monitoring.yml"
    file.write_text(f"sources: {{mlflow: {{uri: {uri}}}}}\n", encoding="utf-8")
    (problem,) = _problems(file)
    assert problem.endswith(
        "must begin with http(s)://, postgresql://, mysql:// or sqlite:///: "
        "a SQLite URI is sqlite:///relative/path or sqlite:////absolute/path"
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("SUORCES__MLFLOW__URI", "unknown setting; did you mean ML_MONITORING_SOURCES__MLFLOW__URI?"),
        ("ALERTING_SETINGS", "unknown setting; did you mean ML_MONITORING_ALERTING_SETTINGS?"),
        ("CONFG", "unknown setting; did you mean ML_MONITORING_CONFIG?"),
        ("SOURCES__MLFLO__URI", "unknown key; did you mean mlflow?"),
        ("SOURCES__MLFLOW__INTERVALL", "unknown key; did you mean interval?"),
        ("LOG__FORMAT", "must be logfmt or json; did you mean json?"),
    ],
)
def test_a_variable_that_sets_nothing_is_named_with_the_one_that_may_be_meant(name: str, problem: str) -> None:
    assert f"ML_MONITORING_{name}: {problem}" in _problems(None, {f"ML_MONITORING_{name}": "jsonn"})


def test_an_empty_environment_variable_counts_as_not_set() -> None:
    environ = {"ML_MONITORING_SOURCES__MLFLOW__URI": _URI, "ML_MONITORING_WEB__PORT": ""}
    assert load(None, environ).web.port == 9847


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", ":1: not valid YAML"),
        ("web: {}\nweb: {}", ":2: not valid YAML: key 'web' is given twice; the first time in line 1"),
        ("- a\n- b", "must hold settings like `key: value`, not a list"),
        ("uri: postgresql://u:s3cret@h: [", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_settings_is_named_with_the_place(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    (problem,) = _problems(file)
    assert problem.startswith(str(file))
    assert message in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(file: Path, content: bytes | None) -> None:
    if content is not None:
        file.write_bytes(content)
    (problem,) = _problems(file)
    assert problem in {
        f"{file}: cannot be read: No such file or directory",
        f"{file}: cannot be read: not UTF-8; is it a text file? save it as UTF-8",
    }


@pytest.mark.parametrize("text", ["", "web: {port: 1}", "sources: {}"])
def test_nothing_to_read_is_a_problem(file: Path, text: str) -> None:
    file.write_text(text)
    (problem,) = _problems(file)
    assert problem == (
        "sources: nothing to read: give at least one of mlflow, variants, fleet, containers, experiments, queries a "
        f"section in a file of settings ({file}; `ml-monitoring init` writes one), or set MLFLOW_BACKEND_STORE_URI or "
        "MLFLOW_TRACKING_URI"
    )


def test_without_anything_the_default_places_are_named() -> None:
    (problem,) = _problems(None)
    assert "(there is no ml-monitoring.yml and no /etc/ml-monitoring/ml-monitoring.yml; `ml-monitoring init`" in problem


def test_later_files_win_key_by_key_and_lists_take_the_place_of_lists(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yml", tmp_path / "b.yml"
    first.write_text(
        "sources: {mlflow: {uri: 'sqlite:///a.db', interval: 30s, timeout: 5s, experiments: {exclude: [a, b]}}}"
    )
    second.write_text("sources: {mlflow: {interval: 1m, experiments: {exclude: [c]}}}\nlog: {level: debug}")
    settings = load([first, second], {})
    section = settings.enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    assert (section.interval, section.timeout, section.experiments.exclude) == (60, 5, ("c",))
    assert settings.log.level == "debug"


def test_a_problem_names_the_file_that_it_came_from(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yml", tmp_path / "b.yml"
    first.write_text("sources:\n  mlflow: {uri: 'sqlite:///a.db', interval: soon}")
    second.write_text("log:\n  level: loud")
    problems = _problems([first, second])
    assert [problem.split(": ")[0] for problem in problems] == [f"{first}:2", f"{second}:2"]


@pytest.mark.parametrize("level", ["warn", "WARN", "Warning"])
def test_levels_are_taken_as_neighbours_write_them(level: str) -> None:
    environ = {"ML_MONITORING_SOURCES__MLFLOW__URI": _URI, "ML_MONITORING_LOG__FORMAT": "JSON"}
    settings = load(None, environ, {"--log.level": level})
    assert (settings.log.level, settings.log.format) == ("warning", "json")


def test_flags_win_over_the_environment_and_that_over_files(file: Path) -> None:
    file.write_text("sources: {mlflow: {uri: 'sqlite:///m.db'}}\nweb: {host: '::', port: 1, telemetry_path: /file}")
    environ = {"ML_MONITORING_WEB__LISTEN_ADDRESSES": "[::1]:2, :3", "ML_MONITORING_WEB__TELEMETRY_PATH": "/variable"}
    assert load(file, {}).web.addresses == (ListenAddress("::", 1),)
    assert load(file, environ).web.addresses == (ListenAddress("::1", 2), ListenAddress("", 3))
    assert load(file, environ).web.telemetry_path == "/variable"
    web = load(file, environ, {"--web.listen-address": ["localhost:4"], "--web.telemetry-path": "/flag"}).web
    assert (web.addresses, web.telemetry_path) == ((ListenAddress("localhost", 4),), "/flag")
    web = load(file, {"ML_MONITORING_WEB__PORT": "5"}).web
    assert web.addresses == (ListenAddress("::", 5),)


@pytest.mark.parametrize(
    ("flag", "value", "problem"),
    [
        ("--web.listen-address", ["9847"], f"{_NO_ADDRESS}; did you mean :9847?"),
        (
            "--web.listen-address",
            ["::1:9847"],
            "not an address to listen on: write it as host:port, [::1]:port or :port",
        ),
        ("--web.listen-address", [":70000"], "not an address to listen on: ports end at 65535"),
        ("--web.telemetry-path", "metrics", "must begin with a slash, and hold letters, digits and . _ ~ / - only"),
        ("--web.telemetry-path", "/-/ready", "paths below /-/, /runbooks/ and /experiments/ are taken"),
        ("--log.level", "loud", "must be debug, info, warning or error"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named(flag: str, value: object, problem: str) -> None:
    environ = {"ML_MONITORING_SOURCES__MLFLOW__URI": _URI}
    with pytest.raises(ConfigError) as error:
        load(None, environ, {flag: value})
    assert error.value.problems == (f"{flag}: {problem}",)


def test_two_ways_to_listen_in_one_file_are_refused(file: Path) -> None:
    file.write_text("sources: {mlflow: {uri: 'sqlite:///m.db'}}\nweb: {port: 1, listen_addresses: [':2']}")
    assert _problems(file) == (f"{file}:2: web.listen_addresses: given together with host or port; keep one of them",)


@pytest.mark.parametrize("rest", ["?token=hunter2", "/x?token=hunter2", "#hunter2"])
def test_an_address_of_a_neighbour_holds_no_query_that_would_be_printed(file: Path, rest: str) -> None:
    file.write_text(
        f"alertmanager: {{url: 'http://127.0.0.1:9093{rest}'}}\nsources: {{mlflow: {{uri: 'sqlite:///m.db'}}}}\n"
    )
    (problem,) = _problems(file)
    assert problem.startswith(f"{file}:1: alertmanager.url: ")
    assert "hunter2" not in problem
