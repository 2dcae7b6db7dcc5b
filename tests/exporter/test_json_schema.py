"""What editors make of the schemas of the settings, asked of the language server that they use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.cli import main
from tests.support import yaml_language_server
from tests.support.yaml_language_server import YamlLanguageServer
from tools.schemas import FOLDER, schemas

_NO_DURATION = "Not a duration: write it as 30s, 5m, 6h, 1d or 1h30m."


@pytest.fixture(scope="module")
def server() -> Iterator[YamlLanguageServer]:
    with yaml_language_server.running() as running:
        yield running


def _file(folder: Path, text: str, schema: str = "settings.json") -> Path:
    file = folder / "ml-monitoring.yml"
    file.write_text(f"# yaml-language-server: $schema={(FOLDER / schema).as_uri()}\n{text}", encoding="utf-8")
    return file


def test_every_setting_is_described() -> None:
    def undescribed(schema: dict[str, Any], name: str) -> Iterator[str]:
        for key, entry in schema.get("properties", {}).items():
            if not entry.get("description"):
                yield f"{name}.{key}"

    schema = schemas()["settings.json"]
    parts = {"": schema, **schema["definitions"]}
    assert [setting for name, part in parts.items() for setting in undescribed(part, name)] == []


def test_keys_of_a_source_are_completed(server: YamlLanguageServer, tmp_path: Path) -> None:
    file = _file(tmp_path, "sources:\n  mlflow:\n    interval: 15s\n    \n")
    assert server.diagnostics(file) == []
    offered = server.completions(file, 5, 4)
    assert {"uri", "uri_file", "timeout", "experiments", "labels", "max_series"} <= offered.keys()
    assert not {"interval", "path", "port"} & offered.keys()
    assert "After this long a refresh is broken off" in offered["timeout"]


def test_values_to_choose_from_are_completed(server: YamlLanguageServer, tmp_path: Path) -> None:
    file = _file(tmp_path, "log:\n  level: \n")
    server.diagnostics(file)
    assert {"debug", "info", "warn", "error"} <= server.completions(file, 3, 9).keys()


def test_wrong_keys_and_durations_are_found_at_their_lines(server: YamlLanguageServer, tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        "sources:\n  mlflow:\n    intervall: 15s\n    timeout: soon\n    staleness: 90\n    max_series: many\n"
        "web:\n  telemetry_path: metrics\n",
    )
    found = server.diagnostics(file)
    assert (4, "Property intervall is not allowed.") in found
    assert (5, _NO_DURATION) in found
    assert sorted({line for line, _message in found}) == [4, 5, 6, 7, 9]


def test_what_the_exporter_takes_is_not_found_wrong(server: YamlLanguageServer, tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        """\
web: {port: "${PORT:-9847}", listen_addresses: ["[::1]:9847", ":1"], enable_lifecycle: true}
log: {level: warn}
sources:
  mlflow: {uri: "postgresql://u:${PASSWORD}@db/mlflow", interval: "${INTERVAL}", experiments: {exclude: "a, b"}}
  variants: {uri_file: /run/secrets/uri, window: 1d, rules: {settle: 1h30m}}
""",
    )
    assert server.diagnostics(file) == []


@pytest.mark.parametrize(
    "path",
    ["alerting/thresholds.yml", "alerting/notifications.yml", "docker/exporter/ml-monitoring.yml"],
)
def test_files_of_the_repository_name_the_schema_that_they_keep_to(path: str, server: YamlLanguageServer) -> None:
    file = Path(path).resolve()
    assert file.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=")
    assert server.diagnostics(file) == []


def test_files_of_ones_own_are_completed_and_checked(
    server: YamlLanguageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "monitoring"
    for kind, name in (("metric", "shop_orders"), ("alert", "ShopOrders"), ("panel", "orders"), ("page", "shop")):
        assert main(["new", kind, name]) == 0
    written = [folder / name for name in ("queries/shop_orders", "alerts/ShopOrders", "panels/orders", "pages/shop")]
    for file in (path.with_suffix(".yml") for path in written):
        assert server.diagnostics(file) == []
    alert = folder / "alerts" / "ShopOrders.yml"
    wrong = _changed(alert, "threshold: 100", "treshold: 100").replace("unit: count", "unit: counts")
    other = alert.with_stem("ShopOrdersLate")
    other.write_text(wrong, encoding="utf-8")
    found = server.diagnostics(other)
    assert [message for _line, message in found if "treshold" in message] == ["Property treshold is not allowed."]
    assert len(found) == 2


def _changed(path: Path, old: str, new: str) -> str:
    text = path.read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new)


def test_numbers_of_alerts_are_completed_and_checked(server: YamlLanguageServer, tmp_path: Path) -> None:
    text = "alerts:\n  MlflowRunHanging:\n    for: soon\n    \n  MlflowRunHangs: {}\n  HostCpuBusy: null\n"
    text += "  ShopOrders: {for: 5m}\n"
    file = _file(tmp_path, text, "alerting.json")
    assert server.diagnostics(file) == [(4, _NO_DURATION), (6, "Property MlflowRunHangs is not allowed.")]
    assert {"severity", "team", "threshold"} <= server.completions(file, 5, 4).keys()
