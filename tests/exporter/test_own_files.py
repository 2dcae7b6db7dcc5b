"""Files of a user's own folder are known where settings are expected, and so are sources that are not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.model.thresholds import load_layers
from ml_monitoring.cli import main
from ml_monitoring.exporter.config import read_all
from ml_monitoring.exporter.errors import ConfigError

_KINDS = {
    "alerts": (["alert", "ShopOrdersWaiting"], "an alert"),
    "rules": (["rule", "orders"], "recording rules"),
    "pages": (["page", "shop"], "a page"),
    "panels": (["panel", "orders"], "a panel"),
}


_IMPORTED = "which `ml-monitoring queries import` turns into settings"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a metric into a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", "metric", "shop_orders_waiting"]) == 0
    return Path("monitoring")


@pytest.mark.parametrize("kind", _KINDS)
def test_a_file_of_the_own_folder_is_not_taken_for_settings(kind: str, folder: Path) -> None:
    words, what = _KINDS[kind]
    assert main(["new", *words]) == 0
    (path,) = (folder / kind).iterdir()
    said = f"this looks like the file of {what}, not like settings"
    expected = f"{path}: {said}; `extensions: monitoring` in the alerting settings (--settings) names its folder"
    assert read_all(path, environ={}).problems == [expected]
    with pytest.raises(ConfigError) as caught:
        load_layers([path])
    assert caught.value.problems == (expected,)
    moved = path.rename("own.yml")
    assert read_all(moved, environ={}).problems == [
        f"own.yml: {said}; move it into {kind} of the folder that `extensions` in the alerting settings (--settings) "
        "names"
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("global: {}\nscrape_configs: []\n", "Prometheus's own file, which its --config.file takes"),
        ("route: {}\nreceivers: []\n", "Alertmanager's own file, which its --config.file takes"),
        ("basic_auth_users: {a: b}\n", "a file of TLS and users, which --web.config.file takes"),
        (
            "a: {start: 2026-01-31, arms: {}, metrics: {}}\n",
            "a file of experiments, which sources.experiments.files names",
        ),
        ("databases: {}\nmetrics: {}\nqueries: {}\n", f"a file of query-exporter, {_IMPORTED}"),
        ("jobs: []\n", f"a file of sql_exporter, {_IMPORTED}"),
        ("global: {}\ntarget: {}\ncollector_files: []\n", f"a file of sql_exporter, {_IMPORTED}"),
        ("collector_name: a\nmetrics: []\n", f"a file of sql_exporter, {_IMPORTED}"),
    ],
)
def test_a_file_of_something_else_is_not_taken_for_settings(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "other.yml"
    path.write_text(text, encoding="utf-8")
    expected = f"{path}: this does not look like settings, but like {what}"
    assert read_all(path, environ={}).problems == [expected]
    with pytest.raises(ConfigError) as caught:
        load_layers([path])
    assert caught.value.problems == (expected,)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("jobs", "; there are: web, log, sources, prometheus, alertmanager"),
        ("basic_auth_users", "; it belongs in the file that web.config_file names"),
    ],
)
def test_a_key_of_something_else_among_settings_costs_itself_alone(key: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text(f"sources: {{mlflow: {{uri: 'sqlite:////x'}}}}\n{key}: {{}}\n", encoding="utf-8")
    assert read_all(path, environ={}).problems == [f"{path}:2: {key}: unknown key{hint}"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("weather", "; `pip install ./monitoring/sources/weather` installs yours"),
        ("wether", "; did you mean weather?"),
        ("bogus", "; there are: mlflow, variants, fleet, containers, experiments, queries"),
    ],
)
def test_a_source_that_is_not_installed_is_named_as_such(name: str, hint: str) -> None:
    assert main(["new", "source", "weather"]) == 0
    Path("own.yml").write_text(f"sources: {{{name}: {{}}}}", encoding="utf-8")
    assert read_all(Path("own.yml"), environ={}).problems == [
        f"own.yml:1: sources.{name}: no installed package has a source {name}{hint}"
    ]
