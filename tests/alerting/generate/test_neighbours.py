"""Every alert in a Prometheus that others use too: nothing adds up across clusters, nobody else's target pages us.

Each alert's own unit test for promtool is run twice more: with its series in two clusters and namespaces at once, and
with what other programs export under somebody else's jobs.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.model.foreign import FOREIGN
from tools.mutants.cases import RULE_FILE, Case, of_alerts

CASES = {case.name: case for case in of_alerts()}
# Ours in cluster a, and the same numbers in the cluster and namespace of somebody else who has this stack.
PLACES = ({"cluster": "a", "namespace": "ml"}, {"cluster": "b", "namespace": "ml-of-others"})
# Of no series, hence of no cluster.
OF_NOTHING = {"MlMonitoringWatchdog"}
# What fires because no series is there has no cluster either.
OF_ABSENCE = {"fires when Prometheus has no exporter to scrape", "fires when a target was removed while it was up"}
SHOP = {"cluster": "a", "namespace": "shop"}

Json = dict[str, Any]


class _Texts(yaml.SafeLoader):
    """Reads every scalar as it is written: to YAML the value 0x40, forty times 0, is a hexadecimal number."""


_Texts.yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("^<<$"))]}


def written(case: Case) -> Json:
    """Return what a unit test says of alerts, without its queries of other expressions."""
    document: Json = yaml.load(case.text, Loader=_Texts)  # a safe loader
    document["tests"] = [test for test in document["tests"] if "alert_rule_test" in test]
    for test in document["tests"]:
        test.pop("promql_expr_test", None)
    assert document["tests"]
    return document


def name_of(series: str) -> str:
    return series.partition("{")[0]


def placed(series: str, labels: dict[str, str]) -> str:
    name, _, rest = series.partition("{")
    added = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{added},{rest}" if rest else f"{name}{{{added}}}"


def run(promtool: Path, folder: Path, case: Case, document: Json) -> None:
    (folder / RULE_FILE).write_text(case.rules(), encoding="utf-8")
    path = folder / "case.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(CASES.keys() - OF_NOTHING))
def test_what_fires_in_two_clusters_fires_in_each_with_its_own_numbers(
    name: str, programs: dict[str, Path], tmp_path: Path
) -> None:
    document = written(CASES[name])
    for test in document["tests"]:
        inputs = test["input_series"]
        if test.get("name") in OF_ABSENCE:
            continue
        test["input_series"] = [{**one, "series": placed(one["series"], place)} for place in PLACES for one in inputs]
        for asked in test.get("alert_rule_test", ()):
            asked["exp_alerts"] = [
                {**expected, "exp_labels": {**expected["exp_labels"], **place}}
                for expected in asked.get("exp_alerts") or []
                for place in PLACES
            ]
    run(programs["promtool"], tmp_path, CASES[name], document)


def of_others(document: Json) -> bool:
    """Tell whether all that a unit test is about is exported by other programs."""
    return all(name_of(one["series"]) in FOREIGN for test in document["tests"] for one in test["input_series"])


FOREIGN_CASES = [name for name, case in CASES.items() if name not in OF_NOTHING and of_others(written(case))]


def test_every_alert_on_a_program_that_others_run_is_tried() -> None:
    domains = {"Host", "Database", "Prometheus", "Alertmanager", "Log", "Gpu"}
    domains |= {"MlMonitoringDown", "MlMonitoringTargetDown", "MlMonitoringJobVanished"}
    assert {name for name in CASES if name.startswith(tuple(domains))} == set(FOREIGN_CASES)


@pytest.mark.parametrize("name", FOREIGN_CASES)
def test_the_targets_of_others_fire_none_of_ours(name: str, programs: dict[str, Path], tmp_path: Path) -> None:
    document = written(CASES[name])
    fires = False
    for test in document["tests"]:
        theirs = [
            {**one, "series": placed(one["series"], SHOP).replace('job="', 'job="shop-')}
            for one in test["input_series"]
        ]
        # Our exporter is well, without which there is an alert of its own.
        ours = {"series": 'up{job="ml-monitoring", instance="e:9847"}', "values": "1x2000"}
        test["input_series"] = [*theirs, ours]
        for asked in test.get("alert_rule_test", ()):
            fires = fires or bool(asked.get("exp_alerts"))
            asked["exp_alerts"] = []
    # Under our jobs the same series do fire.
    assert fires
    run(programs["promtool"], tmp_path, CASES[name], document)
