"""The example for Terraform: what it says is in the provider's schema, and what Terraform itself would make of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate import files, grafana, grafana_rules
from tools import environments, go_programs
from tools.stack import ROOT

EXAMPLE = ROOT / "examples" / "terraform"
PROVIDER = Path(__file__).parent / "terraform"
SCHEMA = json.loads((PROVIDER / "schema.json").read_text(encoding="utf-8"))
TERRAFORM = shutil.which("terraform") or shutil.which("tofu")
needs_terraform = pytest.mark.skipif(TERRAFORM is None, reason="neither Terraform nor OpenTofu is on this machine")
needs_go = pytest.mark.skipif(not go_programs.available(), reason="Go is not on this machine")
DASHBOARDS = sorted((ROOT / "dashboards" / "generated").rglob("*.json"))


def terraform(*arguments: str, cwd: Path, config: str = "/dev/null") -> str:
    assert TERRAFORM is not None
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("TF_", "GRAFANA_"))}
    done = subprocess.run(
        [TERRAFORM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        # CHECKPOINT_DISABLE: it would ask for news elsewhere.
        env={**variables, "TF_CLI_CONFIG_FILE": config, "CHECKPOINT_DISABLE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unknown(given: dict[str, Any], block: dict[str, Any], path: str) -> Iterator[str]:
    """Yield what a block says that the schema does not know, and what it lacks."""
    nested = block.get("block_types", {})
    said = {key.strip('"') for key in given if not key.startswith("__") and key not in ("count", "for_each")}
    dynamic = {
        name.strip('"'): inner["content"][0] for each in given.get("dynamic", ()) for name, inner in each.items()
    }
    said = (said - {"dynamic"}) | dynamic.keys()
    yield from (f"{path}.{name}" for name in said - block["attributes"].keys() - nested.keys())
    required = {name for name, attribute in block["attributes"].items() if attribute.get("required")}
    required |= {name for name, inner in nested.items() if inner.get("min_items")}
    yield from (f"{path}.{name} is missing" for name in required - said)
    for name, inner in nested.items():
        for content in [dynamic[name]] if name in dynamic else given.get(name, ()):
            yield from unknown(content, inner["block"], f"{path}.{name}")


def test_the_provider_knows_all_that_the_example_says() -> None:
    command = [environments.program("release", "hcl2tojson"), EXAMPLE / "main.tf"]
    content = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    used = set()
    for resource in content["resource"]:
        ((kind, named),) = resource.items()
        ((name, given),) = named.items()
        kind = kind.strip('"')
        used.add(kind)
        assert list(unknown(given, SCHEMA["resources"][kind]["block"], f"{kind}.{name}")) == []
    assert used == SCHEMA["resources"].keys()


@needs_terraform
def test_the_files_are_formatted() -> None:
    terraform("fmt", "-check", "-diff", cwd=EXAMPLE)


@pytest.mark.wide
@needs_go
@pytest.mark.parametrize("file", sorted(EXAMPLE.glob("*.tf")), ids=lambda file: str(file.name))
def test_the_formatter_of_the_language_changes_nothing(file: Path) -> None:
    # Most of what `terraform fmt` does, on machines without it.
    done = subprocess.run([go_programs.build("hclfmt"), file], capture_output=True, text=True, check=True)
    assert done.stdout == file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the configuration of Terraform in which the provider is the one that has the schema and touches nothing."""
    folder = tmp_path_factory.mktemp("provider")
    made = go_programs.build_module(PROVIDER, "terraform-provider-grafana")
    config = folder / "terraform.rc"
    config.write_text(
        f'provider_installation {{\n  dev_overrides {{ "grafana/grafana" = "{made.parent}" }}\n  direct {{}}\n}}\n'
    )
    return config


@pytest.mark.wide
@needs_terraform
@needs_go
@pytest.mark.parametrize("alerts", [True, False])
@pytest.mark.parametrize("datasource", [None, "grafanacloud-prom"])
def test_terraform_plans_every_dashboard_and_every_rule(
    provider: Path, tmp_path: Path, alerts: bool, datasource: str | None
) -> None:
    for path in EXAMPLE.glob("*.tf"):
        shutil.copy(path, tmp_path)
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "dashboards").symlink_to(ROOT / "dashboards" / "generated")
    texts = grafana.files(load_thresholds(), datasource="prometheus", folder=grafana.DEFAULT_FOLDER, org=1)
    files.write(texts, tmp_path / "generated" / "alerting")
    terraform("validate", "-no-color", cwd=tmp_path, config=str(provider))
    flags = [f"-var=alerts={str(alerts).lower()}", *([f"-var=datasource_uid={datasource}"] if datasource else [])]
    terraform("plan", "-out=plan", *flags, cwd=tmp_path, config=str(provider))
    planned = json.loads(terraform("show", "-json", "plan", cwd=tmp_path, config=str(provider)))
    resources = planned["planned_values"]["root_module"]["resources"]
    counted = Counter(resource["type"] for resource in resources)
    assert counted["grafana_dashboard"] == len(DASHBOARDS)
    assert counted["grafana_data_source"] == (datasource is None)
    assert counted["grafana_folder"] == len({path.parent for path in DASHBOARDS}) + alerts
    uid = datasource or "ml-monitoring-prometheus"
    groups = {
        resource["values"]["name"]: [_as_provisioned(rule) for rule in resource["values"]["rule"]]
        for resource in resources
        if resource["type"] == "grafana_rule_group"
    }
    wanted = grafana_rules.build(load_thresholds(), datasource=uid)
    assert groups == ({group["name"]: [_plain(rule) for rule in group["rules"]] for group in wanted} if alerts else {})


def _as_provisioned(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule of Terraform in the words of provisioning."""
    return {
        "uid": rule["uid"],
        "title": rule["name"],
        "condition": rule["condition"],
        "for": rule["for"],
        "noDataState": rule["no_data_state"],
        "execErrState": rule["exec_err_state"],
        "labels": rule["labels"],
        "annotations": rule["annotations"],
        "data": [
            {
                "refId": step["ref_id"],
                "relativeTimeRange": step["relative_time_range"][0],
                "datasourceUid": step["datasource_uid"],
                "model": json.loads(step["model"]),
            }
            for step in rule["data"]
        ],
    }


def _plain(rule: Any) -> dict[str, Any]:
    plain = json.loads(json.dumps(rule))
    assert isinstance(plain, dict)
    return plain
