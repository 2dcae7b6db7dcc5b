from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.exporter import environment
from ml_monitoring.exporter.config import load, read
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.sources.fleet import FleetSettings
from ml_monitoring.exporter.sources.mlflow import MlflowSettings

_STORE = {"MLFLOW_BACKEND_STORE_URI": "postgresql://reader:s3cret@db/mlflow"}
# What kubelet sets in a pod beside a Service `ml-monitoring` with the ports http and grpc, and one `ml-monitoring-db`.
KUBERNETES = {
    "ML_MONITORING_SERVICE_HOST": "10.96.12.7",
    "ML_MONITORING_SERVICE_PORT": "9847",
    "ML_MONITORING_SERVICE_PORT_HTTP": "9847",
    "ML_MONITORING_SERVICE_PORT_GRPC_WEB": "9848",
    "ML_MONITORING_PORT": "tcp://10.96.12.7:9847",
    "ML_MONITORING_PORT_9847_TCP": "tcp://10.96.12.7:9847",
    "ML_MONITORING_PORT_9847_TCP_PROTO": "tcp",
    "ML_MONITORING_PORT_9847_TCP_PORT": "9847",
    "ML_MONITORING_PORT_9847_TCP_ADDR": "10.96.12.7",
    "ML_MONITORING_DB_SERVICE_HOST": "fd00::7",
    "ML_MONITORING_DB_PORT": "tcp://[fd00::7]:5432",
    "ML_MONITORING_DB_PORT_53_UDP_ADDR": "fd00::7",
}


def _problems(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        load(None, environ)
    return error.value.problems


def _mlflow(files: Path | None, environ: dict[str, str]) -> str:
    section = load(files, environ).enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    return section.uri.get_secret_value()


def test_what_kubernetes_sets_for_services_is_left_alone() -> None:
    assert load(None, KUBERNETES | _STORE).web.port == 9847


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("PORT", "9847", "; did you mean ML_MONITORING_WEB__PORT?"),
        ("SERVICE_HOST", "somewhere", "; did you mean ML_MONITORING_WEB__HOST?"),
        ("SERVICE_PORT", "http", "; did you mean ML_MONITORING_WEB__PORT?"),
        ("PORT_9847_TCP_PROTO", "9847", ""),
        ("LOGLEVEL", "debug", "; did you mean ML_MONITORING_LOG__LEVEL?"),
        ("WEB_PRT", "1", "; did you mean ML_MONITORING_WEB__PORT?"),
        ("MLFLOW_URL", "x", "; did you mean ML_MONITORING_SOURCES__MLFLOW__URI?"),
        ("FOO", "x", ""),
    ],
)
def test_a_mistyped_variable_is_still_refused(name: str, value: str, hint: str) -> None:
    name = f"ML_MONITORING_{name}"
    assert _problems(_STORE | {name: value}) == (f"{name}: unknown setting{hint}",)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SOURCES_MLFLOW_URI", "SOURCES__MLFLOW__URI"),
        ("SOURCES__MLFLOW_URI", "SOURCES__MLFLOW__URI"),
        ("SOURCES_MLFLOW_URI_FILE", "SOURCES__MLFLOW__URI_FILE"),
        ("WEB_PORT", "WEB__PORT"),
        ("WEB_CONFIG_FILE", "WEB__CONFIG_FILE"),
        ("SOURCES_MLFLOW_PROD__URI", "SOURCES__MLFLOW__PROD__URI"),
    ],
)
def test_one_underscore_where_two_belong_is_answered_with_the_name(name: str, meant: str, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text("sqlite:///m.db", encoding="utf-8")
    said = f"ML_MONITORING_{name}: unknown setting; did you mean ML_MONITORING_{meant}?"
    assert _problems(_STORE | {f"ML_MONITORING_{name}": str(path)}) == (said,)


def test_a_setting_is_never_taken_for_the_variable_of_a_service() -> None:
    assert _problems(_STORE | {"ML_MONITORING_WEB__PORT": "tcp://10.0.0.1:1"})[0].startswith(
        "ML_MONITORING_WEB__PORT: "
    )


def test_mlflows_own_variable_is_enough() -> None:
    assert _mlflow(None, _STORE | {"MLFLOW_TRACKING_URI": "http://mlflow:5000"}) == _STORE["MLFLOW_BACKEND_STORE_URI"]
    assert _mlflow(None, {"MLFLOW_TRACKING_URI": "sqlite:///m.db"}) == "sqlite:///m.db"


def test_our_own_setting_wins_over_mlflows_variable(tmp_path: Path) -> None:
    file = tmp_path / "ml-monitoring.yml"
    file.write_text("sources: {mlflow: {uri: 'sqlite:///own.db'}}")
    assert _mlflow(file, _STORE) == "sqlite:///own.db"
    assert _mlflow(None, _STORE | {"ML_MONITORING_SOURCES__MLFLOW__URI": "sqlite:///own.db"}) == "sqlite:///own.db"
    file.write_text("sources: {mlflow: {interval: 1m}}")
    assert _mlflow(file, _STORE) == _STORE["MLFLOW_BACKEND_STORE_URI"]


def test_where_something_else_is_read_mlflows_variable_adds_nothing() -> None:
    settings = load(None, _STORE | {"ML_MONITORING_SOURCES__FLEET__PATH": "fleet.csv"})
    assert list(settings.enabled_sources()) == ["fleet"]


_SERVER = {"MLFLOW_TRACKING_URI": "https://mlflow.example"}


def _server(environ: dict[str, str], file: Path | None = None) -> MlflowSettings:
    section = load(file, environ).enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    return section


def test_a_tracking_server_is_asked_as_mlflows_own_variables_say(tmp_path: Path) -> None:
    login = {"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p", "MLFLOW_TRACKING_TOKEN": "t"}
    tls = {
        "MLFLOW_TRACKING_INSECURE_TLS": "true",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": "ca.pem",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH": "client.pem",
        "MLFLOW_WORKSPACE": "research",
    }
    section = _server(_SERVER | login | tls)
    assert section.password is not None
    assert (section.username, section.password.get_secret_value(), section.token) == ("u", "p", None)
    assert (section.verify_certificate, section.ca_file, section.certificate_file, section.workspaces) == (
        *(False, Path("ca.pem"), Path("client.pem")),
        ("research",),
    )
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    section = _server(_SERVER | {"MLFLOW_TRACKING_TOKEN_FILE": str(token), "MLFLOW_TRACKING_INSECURE_TLS": "false"})
    assert section.token is not None
    assert (section.token.get_secret_value(), section.verify_certificate) == ("s3cret", True)


def test_what_the_settings_say_of_a_server_wins(tmp_path: Path) -> None:
    file = tmp_path / "ml-monitoring.yml"
    file.write_text("sources: {mlflow: {uri: 'https://mlflow.example', token: own}}")
    environ = {"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p", "MLFLOW_TRACKING_TOKEN": "t"}
    section = _server(environ, file)
    assert section.token is not None
    assert (section.username, section.token.get_secret_value()) == ("", "own")
    file.write_text("sources: {mlflow: {prod: {uri: 'https://mlflow.example'}}}")
    named = load(file, environ).enabled_sources()["mlflow/prod"]
    assert isinstance(named, MlflowSettings)
    assert (named.token, named.username) == (None, "")


def test_variables_for_servers_say_nothing_of_a_database() -> None:
    assert _server(_STORE | {"MLFLOW_TRACKING_TOKEN": "t"}).token is None


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"MLFLOW_TRACKING_URI": "https://"}, "MLFLOW_TRACKING_URI: is no address of a tracking server"),
        ({"MLFLOW_TRACKING_URI": "https://m.example?token=s3cret"}, "MLFLOW_TRACKING_URI: is no address of a track"),
        (_SERVER | {"MLFLOW_TRACKING_TOKEN": "s3cret two"}, "MLFLOW_TRACKING_TOKEN: is no token"),
        (_SERVER | {"MLFLOW_TRACKING_TOKEN_FILE": "/nonexistent"}, "MLFLOW_TRACKING_TOKEN_FILE: /nonexistent cannot"),
        (_SERVER | {"MLFLOW_TRACKING_USERNAME": "s3cret"}, "sources.mlflow: password: is missing: username and"),
        (
            _STORE | {"ML_MONITORING_SOURCES__MLFLOW__TOKEN": "s3cret"},
            "ML_MONITORING_SOURCES__MLFLOW__TOKEN: is for a tracking",
        ),
    ],
)
def test_what_a_server_cannot_be_asked_with_is_named_and_not_shown(settings: dict[str, str], problem: str) -> None:
    (said,) = _problems(settings)
    assert problem in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ml_monitoring_web__port", "variables are in capitals; did you mean ML_MONITORING_WEB__PORT?"),
        (
            "ML_MONITORING_SOURCES__FLEET",
            "is a section: its settings have variables of their own, such as ML_MONITORING_SOURCES__FLEET__PATH",
        ),
        (
            "ML_MONITORING_LOG",
            "is a section: its settings have variables of their own, such as ML_MONITORING_LOG__LEVEL",
        ),
    ],
)
def test_a_variable_that_is_no_settings_is_said_to_be_another(name: str, said: str) -> None:
    assert _problems(_STORE | {name: "sqlite:"}) == (f"{name}: {said}",)


def test_a_store_that_cannot_be_read_is_blamed_on_its_variable() -> None:
    assert _problems({"MLFLOW_BACKEND_STORE_URI": "mssql://u:s3cret@db/mlflow"}) == (
        "MLFLOW_BACKEND_STORE_URI: must begin with http(s)://, postgresql://, mysql:// or sqlite:///, "
        "not with mssql: another database is read over its tracking server",
    )


def test_where_the_store_came_from_is_remembered() -> None:
    assert str(read(None, _STORE)[1].place(("sources", "mlflow", "uri"))) == "MLFLOW_BACKEND_STORE_URI"


def test_a_setting_whose_name_ends_like_a_file_of_a_secret_is_a_path(tmp_path: Path) -> None:
    position = tmp_path / "position"
    position.write_text("no path")
    environ = {
        "ML_MONITORING_SOURCES__FLEET__PATH": "fleet.csv",
        "ML_MONITORING_SOURCES__FLEET__POSITION_FILE": str(position),
    }
    section = load(None, environ).enabled_sources()["fleet"]
    assert isinstance(section, FleetSettings)
    assert section.position_file == position


def test_files_are_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "ml-monitoring.yml", tmp_path / "etc" / "ml-monitoring.yml"
    there.parent.mkdir()
    assert list(map(str, environment.DEFAULT_FILES)) == ["ml-monitoring.yml", "/etc/ml-monitoring/ml-monitoring.yml"]
    monkeypatch.setattr(environment, "DEFAULT_FILES", (here, there))
    assert environment.settings_files(None, {}) == []
    there.touch()
    assert environment.settings_files(None, {}) == [there]
    here.touch()
    assert environment.settings_files(None, {}) == [here]
    assert environment.settings_files(None, {"ML_MONITORING_CONFIG": f"{here}:{there}"}) == [here, there]
    with pytest.raises(ConfigError, match=r"ML_MONITORING_CONFIG: /a\.yml: No such file or directory"):
        environment.settings_files(None, {"ML_MONITORING_CONFIG": f"/a.yml:{there}"})
    for sign in ",;":
        with pytest.raises(ConfigError, match="No such file or directory; several are separated by :"):
            environment.settings_files(None, {"ML_MONITORING_CONFIG": f"{here}{sign}{there}"})
    assert environment.settings_files([Path("c.yml")], {"ML_MONITORING_CONFIG": "/a.yml"}) == [Path("c.yml")]
