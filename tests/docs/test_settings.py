"""The settings that the documentation shows are those that the exporter takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ml_monitoring.exporter.config import Settings, load
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.sources.base import SourceSettings
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from tools.stack import ROOT

REFERENCE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def snippets() -> dict[str, str]:
    """Return each YAML snippet of settings, by the file and its number there."""
    found = {}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(r"^```yaml\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for number, block in enumerate(blocks):
            keys = yaml.safe_load(block)
            if isinstance(keys, dict) and keys.keys() <= Settings.model_fields.keys():
                found[f"{path.name}-{number}"] = block
    return found


SNIPPETS = snippets()


def test_there_are_snippets_on_the_pages_that_show_settings() -> None:
    names = {name.partition(".")[0] for name in SNIPPETS}
    assert names >= {"README", "settings", "getting-started", "mlflow", "variants", "fleet", "containers", "scale"}


def test_a_setting_that_does_not_exist_would_be_noticed(tmp_path: Path) -> None:
    config = tmp_path / "ml-monitoring.yml"
    snippet = next(snippet for snippet in SNIPPETS.values() if "reconcile:" in snippet)
    config.write_text(snippet.replace("reconcile:", "reconsile:"), encoding="utf-8")
    with pytest.raises(ConfigError):
        load(config, {})


def test_the_reference_names_every_setting() -> None:
    names = {*Settings.model_fields, *SourceSettings.model_fields, *MlflowSettings.model_fields}
    assert [name for name in sorted(names) if not re.search(rf"^ *(\| `)?{name}\b", REFERENCE, re.MULTILINE)] == []


def test_the_reference_gives_the_defaults() -> None:
    settings = load(None, {"ML_MONITORING_SOURCES__MLFLOW__URI": "sqlite:////data/mlflow.db"})
    shown = yaml.safe_load(SNIPPETS["settings.md-0"])
    assert shown["web"]["port"] == settings.web.port
    assert shown["web"]["host"] == settings.web.host
    assert shown["log"] == settings.log.model_dump()
    for name, default in (("interval", "15s"), ("timeout", "10s"), ("max_series", "10000")):
        assert f"| `{name}` | {default} |" in REFERENCE
        assert MlflowSettings.model_validate({"uri": "sqlite:///x", name: default}) == MlflowSettings.model_validate(
            {"uri": "sqlite:///x"}
        )
