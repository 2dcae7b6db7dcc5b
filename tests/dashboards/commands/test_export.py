"""Export for Grafana's import dialog and grafana.com."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.publish.portable import exportable
from tests.support.specimen import specimen


def imported(dashboard: dict[str, Any], inputs: dict[str, str]) -> dict[str, Any]:
    """Do what Grafana's import does: put the chosen values in for `${NAME}`, everywhere, and drop what asked for them.

    Other `${...}`, which are variables of the page, stay: so does pkg/services/dashboardimport/utils of Grafana.
    """
    text = re.sub(r"\$\{.+?\}", lambda match: inputs.get(match.group(0)[2:-1], match.group(0)), json.dumps(dashboard))
    result: dict[str, Any] = json.loads(text)
    return {key: value for key, value in result.items() if not key.startswith("__")}


def test_every_page_is_exported_to_a_file_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--output-dir", str(tmp_path)]) == 0
    files = sorted(path.name for path in tmp_path.iterdir())
    generated = sorted(path.name for path in Path("dashboards/generated").glob("*/*.json"))
    assert files == generated
    assert sorted(Path(line).name for line in capsys.readouterr().out.splitlines()) == files


def test_inputs_and_requirements_name_the_plugins_that_the_page_uses() -> None:
    export = exportable(specimen().to_json(load_alerts(), load_thresholds().scope()))
    assert export["__inputs"][0] == {
        "name": "DS_PROMETHEUS",
        "label": "Prometheus",
        "description": "",
        "type": "datasource",
        "pluginId": "prometheus",
        "pluginName": "Prometheus",
    }
    inputs = {(each["name"], each["pluginId"]) for each in export["__inputs"]}
    assert inputs == {
        ("DS_PROMETHEUS", "prometheus"),
        ("DS_LOKI", "loki"),
        ("DS_POSTGRESQL", "postgres"),
    }
    requires = {(plugin["type"], plugin["id"]) for plugin in export["__requires"]}
    assert {("grafana", "grafana"), ("datasource", "prometheus"), ("datasource", "loki")} <= requires
    kinds = {plugin for kind, plugin in requires if kind == "panel"}
    assert {"stat", "timeseries", "table", "logs", "alertlist", "heatmap"} <= kinds
    assert "row" not in kinds
    assert [plugin["id"] for plugin in export["__requires"]] == sorted(plugin["id"] for plugin in export["__requires"])


def test_every_generated_page_can_be_exported(pages: list[dict[str, Any]]) -> None:
    for page in pages:
        assert exportable(page)["__inputs"]


def test_an_import_gives_the_page_back_with_the_chosen_data_source_first(pages: list[dict[str, Any]]) -> None:
    for page in pages:
        export = exportable(page)
        inputs = {each["name"]: f"uid-of-{each['pluginId']}" for each in export["__inputs"]}
        result = imported(export, inputs)
        for variable in result["templating"]["list"]:
            if variable["type"] == "datasource":
                chosen = f"uid-of-{variable['query']}"
                assert variable["current"] == {"selected": True, "text": chosen, "value": chosen}
                variable["current"] = {"selected": True, "text": "default", "value": "default"}
        assert result == page | {"editable": True, "id": None}


@pytest.mark.parametrize("form", [[], ["--format", "v2"], ["--format", "v2", "--layout", "git-sync"]])
def test_what_was_not_exported_is_written_over_only_by_force(
    form: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = ["export", "--dashboards", "dashboards/generated", "--output-dir", str(tmp_path), *form]
    assert main(export) == 0
    # Its own files it writes again.
    assert main(export) == 0
    path = next(tmp_path.rglob("ml-monitoring-alerts.json"))
    path.write_text(path.read_text(encoding="utf-8").replace("  ", " "), encoding="utf-8")
    capsys.readouterr()
    assert main(export) == 1
    assert capsys.readouterr() == (
        "",
        f"error: {path}: is there already and was not exported, so nothing is written: "
        "give another --output-dir, or --force to write over it\n",
    )
    assert main([*export, "--force"]) == 0
