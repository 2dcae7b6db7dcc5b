"""Run recording rules on invented series: what `promtool test rules` evaluates, compared as numbers."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate.files import render
from ml_monitoring.alerting.generate.rules import build_recording_rules
from ml_monitoring.alerting.model.thresholds import Thresholds


def check_rules(
    promtool: Path,
    directory: Path,
    series: Mapping[str, str],
    expected: Mapping[str, float | None],
    *,
    at: str,
    topics: Sequence[str],
    thresholds: Thresholds | None = None,
    interval: str = "1m",
    tolerance: float = 1e-9,
) -> None:
    """Evaluate the rules on the series and compare.

    Args:
        promtool: Prometheus's own tool.
        directory: Empty folder.
        series: Values by series, in promtool's notation.
        expected: Value by expression that gives one series without labels; None where there must be no sample.
        at: When.
        topics: Topics of the recording rules that are needed, in the order in which they are evaluated.
        thresholds: Settings; the project's own by default.
        interval: Between two values of a series.
        tolerance: Relative difference that is allowed; Prometheus 2.42 has no fuzzy comparison of its own.
    """
    numbers = thresholds or load_thresholds()
    groups = [f"{topic}.rules" for topic in topics]
    rules = build_recording_rules(numbers)
    rules["groups"] = [group for group in rules["groups"] if group["name"] in groups]
    # `python -m tools.mutants` finds them by these names.
    number = len([*directory.glob("case*.yml")])
    (directory / f"rules{number}.yml").write_text(render("rules.yml", rules))
    cases: list[dict[str, Any]] = []
    for expr, value in expected.items():
        if value is None:
            cases.append({"expr": expr, "eval_time": at, "exp_samples": []})
            continue
        size = abs(value) * tolerance + 1e-12
        within = f"count(abs(sum({expr}) - ({value!r})) <= {size!r})"
        cases.append({"expr": within, "eval_time": at, "exp_samples": [{"labels": "{}", "value": 1}]})
        # Printed when the comparison fails: what it is instead.
        cases.append({"expr": f"sum({expr}) unless on () {within}", "eval_time": at, "exp_samples": []})
    test = {
        "rule_files": [f"rules{number}.yml"],
        "group_eval_order": groups,
        "evaluation_interval": interval,
        "tests": [
            {
                "interval": interval,
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": cases,
            }
        ],
    }
    path = directory / f"case{number}.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr)
