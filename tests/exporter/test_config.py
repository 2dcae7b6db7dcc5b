from pathlib import Path

import pytest
from pydantic import ValidationError

from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.sources.mlflow import MlflowSettings

_URI = "postgresql://reader:s3cret@db/mlflow"


def _problems(path: Path | None, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        load(path, environ or {})
    return error.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "exporter.yaml"


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
    assert second.startswith("ML_MONITORING_WEB__PORT: input should be a valid integer")


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    environ = {"ML_MONITORING_SOURCES__MLFLOW__URI_FILE": "/x", "ML_MONITORING_SOURCES__MLFLOW__URI": _URI}
    name = "ML_MONITORING_SOURCES__MLFLOW__URI"
    assert _problems(None, environ) == (f"{name}_FILE: given together with {name}; keep one of them",)


def test_every_problem_is_listed_with_its_place(file: Path) -> None:
    file.write_text(
        """
        web: {port: 70000, hots: x}
        log: {level: loud}
        prometheus: {url: localhost}
        sources:
          mlflow:
            uri: mysql://root:s3cret@db/mlflow
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
        "sources.mlflow.interval",
        "sources.mlflow.max_series",
        "sources.mlflow.uri",
        "sources.mlflow.labels",
        "sources.mlfow",
        "prometheus.url",
    ]
    assert f"{file}:2: web.hots: unknown key" in problems
    assert f"{file}:8: sources.mlflow.interval: not a duration: write it as 30s, 5m, 6h, 1d or 1h30m" in problems
    assert f"{file}:7: sources.mlflow.uri: must begin with postgresql:// or sqlite:///, not with mysql" in problems
    assert "s3cret" not in "".join(problems)


def test_an_unknown_environment_variable_is_refused() -> None:
    assert "ML_MONITORING_SUORCES__MLFLOW__URI: unknown setting" in _problems(
        None, {"ML_MONITORING_SUORCES__MLFLOW__URI": _URI}
    )


def test_an_empty_environment_variable_counts_as_not_set() -> None:
    environ = {"ML_MONITORING_SOURCES__MLFLOW__URI": _URI, "ML_MONITORING_WEB__PORT": ""}
    assert load(None, environ).web.port == 9847


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", ":1: not valid YAML"),
        ("web: {}\nweb: {}", ":2: not valid YAML: key 'web' is given twice"),
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
    assert problem in {f"{file}: cannot be read: No such file or directory", f"{file}: cannot be read: not UTF-8 text"}


@pytest.mark.parametrize("text", ["", "web: {port: 1}", "sources: {}"])
def test_nothing_to_read_is_a_problem(file: Path, text: str) -> None:
    file.write_text(text)
    (problem,) = _problems(file)
    assert problem.startswith("sources: nothing to read: give at least one of mlflow")
