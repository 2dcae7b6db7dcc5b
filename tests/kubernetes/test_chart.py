"""The Helm chart: what it makes by default, and that it is what the stack is made of."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.overview.signals import NOT_WATCHED
from ml_monitoring.dashboards.commands.generate import write_pages
from ml_monitoring.dashboards.publish.kustomize import COMPONENT_PAGES
from ml_monitoring.k8s.chart import files as chart_files
from ml_monitoring.k8s.cli import main
from tests.kubernetes.chart_matrix import NO_BULK
from tests.kubernetes.conftest import one
from tests.support import helm
from tests.support.extensions import ALERT, RECORDS, write_example
from tests.support.kubernetes_schemas import problems

Json = dict[str, Any]
OWN_PAGE = "ml-monitoring-own-shop"
COMPONENTS = dict.fromkeys(("host", "database", "containers", "monitoring", "logs", "gpus"), True)
GOLDEN = Path("tests/golden/chart.yaml")


@pytest.fixture(scope="module")
def default() -> list[Json]:
    return helm.template()


def of_kind(objects: list[Json], kind: str) -> dict[str, Json]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def alerts(objects: list[Json]) -> dict[str, Json]:
    rules = of_kind(objects, "PrometheusRule").values()
    return {
        rule["alert"]: rule
        for each in rules
        for group in each["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def pages(objects: list[Json]) -> dict[str, Json]:
    return {
        name: each
        for name, each in of_kind(objects, "ConfigMap").items()
        if "grafana_dashboard" in each["metadata"]["labels"]
    }


def test_helm_finds_nothing_to_complain_about() -> None:
    done = helm.run("lint", "--strict", "--quiet", helm.CHART)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_it_makes_by_default_equals_the_golden_file() -> None:
    assert helm.text(NO_BULK) == GOLDEN.read_text(encoding="utf-8")


def test_all_of_it_fits_the_published_schemas(default: list[Json]) -> None:
    assert [(each["kind"], each["metadata"]["name"], found) for each in default if (found := problems(each))] == []


def test_rules_are_those_of_the_manifests(default: list[Json], base: dict[str, Json]) -> None:
    wanted = {each["metadata"]["name"]: each["spec"] for name, each in base.items() if name.startswith("rules/")}
    assert {name: each["spec"] for name, each in of_kind(default, "PrometheusRule").items()} == wanted


def test_routes_receivers_and_templates_are_those_of_the_manifests(default: list[Json], base: dict[str, Json]) -> None:
    assert one(default, "AlertmanagerConfig", "ml-monitoring")["spec"] == base["alertmanagerconfig.yaml"]["spec"]
    templates = one(default, "ConfigMap", "ml-monitoring-templates")["data"]
    assert {name: each.rstrip("\n") for name, each in templates.items()} == base["alertmanager-templates.yaml"]["data"]


def test_pages_are_the_generated_ones_with_runbooks_of_the_exporter() -> None:
    generated = {path.stem: path for path in Path("dashboards/generated").glob("*/*.json")}
    made = pages(helm.template({"components": COMPONENTS, "prometheusRule": {"enabled": False}}))
    assert made.keys() == generated.keys()
    for uid, path in generated.items():
        text = path.read_text(encoding="utf-8")
        text = text.replace("http://127.0.0.1:9847", "http://ml-monitoring.ml-monitoring.svc:9847")
        assert json.loads(made[uid]["data"][f"{uid}.json"]) == json.loads(text)
        assert made[uid]["metadata"]["annotations"] == {"grafana_folder": path.parent.name}


def test_lights_of_components_that_are_off_say_not_watched(default: list[Json], tmp_path: Path) -> None:
    written = write_pages(tmp_path, load_thresholds().changed({"components": []}))
    texts = {uid: each["data"][f"{uid}.json"] for uid, each in pages(default).items()}
    assert texts.keys() == {path.stem for path in written} - COMPONENT_PAGES.keys()
    lights = {uid: lights_of(text) for uid, text in texts.items()}
    assert lights == {path.stem: lights_of(path.read_text("utf-8")) for path in written if path.stem in texts}
    overview = lights["ml-monitoring-operations-overview"]
    assert {title for title, query in overview.items() if query.endswith(NOT_WATCHED)} == {
        *("Hosts", "PostgreSQL", "Monitoring", "Logs"),
    }


def lights_of(page: str) -> dict[str, str]:
    """Return the query of each light of a page by its title."""
    return {
        panel["title"]: panel["targets"][0]["expr"]
        for panel in json.loads(page)["panels"]
        if "not watched" in json.dumps(panel) and panel["type"] == "stat"
    }


def test_the_chart_is_small_enough_for_the_secret_that_helm_keeps_it_in() -> None:
    def held(path: Path) -> Json:
        data = base64.b64encode(path.read_bytes()).decode()
        return {"name": path.relative_to(helm.CHART).as_posix(), "data": data}

    # As helm's driver for Secrets writes a release (pkg/storage/driver/util.go), with every page and rule switched on.
    release = {
        "chart": {"files": [held(path) for path in sorted(helm.CHART.rglob("*")) if path.is_file()]},
        "manifest": helm.text({"components": COMPONENTS}),
    }
    stored = base64.b64encode(gzip.compress(json.dumps(release).encode(), 9))
    # Kubernetes takes 1 MiB; the rest is for pages to come and a user's values.
    assert len(stored) < 0.8 * 2**20


def test_the_table_of_values_has_every_value() -> None:
    def leaves(value: Any, path: str) -> set[str]:
        if not isinstance(value, dict) or not value:
            return {path}
        return {path} | {leaf for key, item in value.items() for leaf in leaves(item, f"{path}.{key}".lstrip("."))}

    table = (helm.CHART / "README.md").read_text(encoding="utf-8")
    values = yaml.safe_load((helm.CHART / "values.yaml").read_text(encoding="utf-8"))
    listed = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    # A value is listed itself, or what it is a part of, or its parts.
    missing = {
        path
        for path in leaves(values, "") - {""}
        if not any(path == row or path.startswith(f"{row}.") or row.startswith(f"{path}.") for row in listed)
    }
    assert missing == set()


def test_its_files_are_those_that_the_templates_read() -> None:
    made = {path.relative_to(helm.CHART).as_posix() for path in (helm.CHART / "files").rglob("*") if path.is_file()}
    read = {
        path
        for path in made
        if path.startswith(("files/rules/", "files/dashboards/"))
        or path in {"files/numbers.json", "files/alertmanagerconfig.json", "files/messages.json"}
        or path.endswith(".tmpl")
    }
    assert made == read


def test_notes_name_the_next_command_and_every_secret(tmp_path: Path) -> None:
    # helm prints notes only where it installs: here they are the text of an object.
    chart = tmp_path / "chart"
    shutil.copytree(helm.CHART, chart)
    notes = (chart / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    shown = f'{{{{- define "notes" }}}}{notes}{{{{ end }}}}\nkind: Notes\ntext: {{{{ include "notes" . | quote }}}}\n'
    (chart / "templates" / "notes.yaml").write_text(shown, encoding="utf-8")
    stores = [
        {"kind": "mlflow", "name": "prod", "existingSecret": "prod-store", "secretKeys": {"uri": "address"}},
        {"kind": "variants", "existingSecret": "variants-store", "secretKeys": {"uri": "variants_uri"}},
    ]
    values = {**NO_BULK, "exporter": {"stores": stores}}
    objects = helm.template(values, chart=chart, release="monitoring", namespace="ml")
    (text,) = (each["text"] for each in objects if each["kind"] == "Notes")
    assert "kubectl create secret generic prod-store --namespace ml" in text
    assert "--from-file=address=FILE-WITH-THE-URI" in text
    assert "kubectl create secret generic variants-store --namespace ml" in text
    assert (
        "kubectl create secret generic ml-monitoring-notifications --namespace ml --from-file=alertlog_token=token"
        in text
    )
    assert "helm test monitoring --namespace ml" in text
    assert "image.registry is empty: nodes look for ml-monitoring/exporter:" in text
    assert "kubectl port-forward --namespace ml service/monitoring-ml-monitoring 9847:9847" in text
    # Every name is one of an object, or of a Secret that pods mount.
    assert "monitoring-ml-monitoring" in of_kind(objects, "Service")


def test_own_settings_make_a_chart_of_their_own(tmp_path: Path) -> None:
    # With a recording rule, an alert, its runbook and a page of one's own.
    settings = write_example(tmp_path)
    settings.write_text(
        "extensions: monitoring\n"
        "teams: [platform, mlops, growth, ml]\n"
        "alerts: {MlflowRunHanging: {threshold: 3d, team: ml}, MlflowChampionOld: null}\n"
        "links: {grafana: 'https://grafana.example.org'}\n"
        "components: [logs, gpus]\n"
        "notifications: {channels: {chat: {kind: slack, channel: '#ml', api_url_file: /run/secrets/slack}}}\n",
        encoding="utf-8",
    )
    chart = tmp_path / "chart"
    assert main(["chart", "--settings", str(settings), "--output-dir", str(chart)]) == 0
    only = {path.stem: path.stem == OWN_PAGE for path in (chart / "files" / "dashboards").rglob("*.json")}
    objects = helm.template({"alerts": {ALERT: {"threshold": 60}}, "dashboards": {"pages": only}}, chart=chart)
    assert [found for each in objects if (found := problems(each))] == []
    rules = alerts(objects)
    assert rules[ALERT]["expr"] == "(max by (region) (shop_orders_waiting)) > 60"
    own = of_kind(objects, "PrometheusRule")["ml-monitoring-extensions"]["spec"]["groups"]
    assert [rule["record"] for rule in own[0]["rules"]] == list(RECORDS)
    page = json.loads(pages(objects)[OWN_PAGE]["data"][f"{OWN_PAGE}.json"])
    # The colour follows the value.
    (panel,) = [panel for panel in page["panels"] if panel["title"] == "Orders that wait"]
    assert [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 60]
    # Where the alert's link leads, the exporter has the runbook.
    data = one(objects, "ConfigMap", "ml-monitoring")["data"]
    assert rules[ALERT]["annotations"]["runbook_url"].endswith(f"/runbooks/{ALERT}")
    assert rules[ALERT]["annotations"]["dashboard_url"].startswith("https://grafana.example.org/d/")
    runbook = (tmp_path / "monitoring" / "runbooks" / f"{ALERT}.md").read_text(encoding="utf-8")
    assert data[f"{ALERT}.md"].rstrip() == runbook.rstrip()
    folder = yaml.safe_load(data["ml-monitoring.yml"])["web"]["runbooks_dir"]
    (container,) = one(objects, "Deployment", "ml-monitoring")["spec"]["template"]["spec"]["containers"]
    assert {"name": "settings", "mountPath": folder, "readOnly": True} in container["volumeMounts"]
    assert rules["MlflowRunHanging"]["expr"].endswith("> 259200")
    assert rules["MlflowRunHanging"]["labels"]["team"] == "ml"
    assert "MlflowChampionOld" not in rules
    receivers = {
        each["name"]: each for each in one(objects, "AlertmanagerConfig", "ml-monitoring")["spec"]["receivers"]
    }
    (chat,) = receivers["ml-critical"]["slackConfigs"]
    assert chat["apiURL"] == {"name": "ml-monitoring-notifications", "key": "slack"}
    assert len(receivers["ml-critical"]["webhookConfigs"]) == 1


@pytest.mark.parametrize(
    ("notifications", "changed"),
    [
        ({}, {}),
        ({"alert_log_token_file": None}, {"existingSecret": ""}),
        ({"alert_log": None, "alert_log_token_file": None}, {"enabled": False}),
    ],
)
def test_what_own_settings_say_of_components_links_and_the_alert_log_are_the_default_values(
    notifications: Json, changed: Json
) -> None:
    settings: Json = {"components": ["host", "logs"], "links": {"logs": "https://l.example.org"}}
    thresholds = load_thresholds().changed(settings | {"notifications": notifications})
    made = yaml.safe_load(chart_files.files(thresholds)["values.yaml"])
    expected = yaml.safe_load((helm.CHART / "values.yaml").read_text(encoding="utf-8"))
    expected["components"] |= {"host": True, "logs": True}
    expected["links"]["logs"] = "https://l.example.org"
    expected["alertlog"] |= changed
    assert made == expected


def test_own_settings_do_not_overwrite_what_git_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "own.yml"
    settings.write_text("components: [host]\n", encoding="utf-8")
    assert main(["chart", "--settings", str(settings)]) == 1
    assert "own settings need an output folder of their own" in capsys.readouterr().err


def test_files_of_no_use_any_more_are_removed(tmp_path: Path) -> None:
    gone = tmp_path / "files" / "rules" / "gone.json"
    gone.parent.mkdir(parents=True)
    gone.write_text("{}")
    (tmp_path / "Chart.yaml").write_text("name: ml-monitoring\n")
    chart_files.write({"files/rules/kept.json": "{}"}, tmp_path)
    assert not gone.exists()
    assert (tmp_path / "files" / "rules" / "kept.json").exists()
    assert (tmp_path / "templates" / "NOTES.txt").exists()


@pytest.mark.parametrize("other", ["values.yaml", "Chart.yaml"])
def test_a_folder_of_something_else_stays_as_it_is(
    other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / other).write_text("name: shop\n")
    assert main(["chart", "--settings", "/dev/null", "--output-dir", str(tmp_path)]) == 1
    assert f"--output-dir: {tmp_path} holds files that are no chart ml-monitoring" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([other, "templates"])
