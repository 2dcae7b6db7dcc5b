"""The examples of gates ask for what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.cli import new_parser
from ml_monitoring.exporter.catalog import CATALOG
from ml_monitoring.exporter.sources.experiments.gate import REQUIREMENTS, Gate, GateAnswer
from ml_monitoring.exporter.sources.experiments.judgement import Decision

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "rollouts"
DOCUMENT = Gate("x", GateAnswer.STOP, Decision.WORSE, "", "", (), None, 0.0).document


def example(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def test_argo_compares_with_what_the_exporter_answers() -> None:
    (metric,) = example("argo-web.yaml")["spec"]["metrics"]
    for condition, answer in (("successCondition", GateAnswer.GO_ON), ("failureCondition", GateAnswer.STOP)):
        found = re.fullmatch(r'result\.(\w+) == "([\w ]+)"', metric[condition])
        assert found
        assert (found[1] in DOCUMENT, found[2]) == (True, answer)
    assert metric["provider"]["web"]["url"].endswith("/experiments/{{args.experiment}}")


def test_argo_queries_a_metric_that_is_exposed() -> None:
    (metric,) = example("argo-prometheus.yaml")["spec"]["metrics"]
    name = re.findall(r"\w+_experiment_\w+", metric["provider"]["prometheus"]["query"])[0]
    assert CATALOG[name].labels == ("experiment",)


def test_flagger_asks_for_what_a_gate_knows() -> None:
    for webhook in example("flagger.yaml")["spec"]["analysis"]["webhooks"]:
        path, _, query = webhook["url"].partition("?")
        assert path.endswith("/experiments/ranking-v2/gate")
        assert query.removeprefix("require=") in REQUIREMENTS


@pytest.mark.parametrize(
    "step", [each["run"] for each in example("ci.yaml")["jobs"]["promote"]["steps"] if "run" in each][:1]
)
def test_a_job_runs_a_command_that_there_is(step: str) -> None:
    program, *arguments = shlex.split(step)
    options = new_parser(program, arguments[0]).parse_args(arguments)
    assert (options.name, options.require) == ("ranking-v2", "better")
