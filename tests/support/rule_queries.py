"""What a query finds after rules were evaluated on given series: promtool says it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def found_by(
    promtool: Path, folder: Path, rules: Mapping[str, Any], series: Mapping[str, str], query: str, at: str
) -> list[dict[str, str]]:
    """Return the labels of each series that a query finds.

    Args:
        promtool: The program.
        folder: Where the files of rules are.
        rules: Their contents by name, in the order of evaluation.
        series: The values of each series, a minute apart.
        query: PromQL.
        at: How long after the first values it is asked.
    """
    test: dict[str, Any] = {
        "rule_files": list(rules),
        "group_eval_order": [group["name"] for content in rules.values() for group in content["groups"]],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                # Nothing is expected, so that it says what there is.
                "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": []}],
            }
        ],
    }
    path = folder / "case.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    got = (done.stdout + done.stderr).partition("got:")[2]
    return [dict(re.findall(r'(\w+)="([^"]*)"', labels)) for labels in re.findall(r"\{([^}]*)\}", got)]
