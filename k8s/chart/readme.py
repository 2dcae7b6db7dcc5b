"""The table of the chart's values, from the comments of values.yaml as helm-docs reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

_KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):")
_SAID = re.compile(r" *# -- (?P<text>.*)")
_FURTHER = re.compile(r" *# (?P<text>.*)")
_HEAD = """# ml-monitoring

<!-- Generated from values.yaml by `make generate`; do not edit. -->

The exporter, its alert log, and what Prometheus, Alertmanager and Grafana make of them, beside kube-prometheus-stack as
it is installed by default. [Kubernetes](../../../docs/kubernetes.md) shows how.

| value | default | what it is |
| --- | --- | --- |
"""


def readme(values: str) -> str:
    """Return the text of README.md."""
    defaults = yaml.safe_load(values)
    rows = [f"| `{path}` | `{_default(defaults, path)}` | {text} |" for path, text in described(values)]
    return _HEAD + "\n".join(rows) + "\n"


def described(values: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each value that has a description, and that."""
    path: list[str] = []
    said: list[str] = []
    for line in values.splitlines():
        if match := _SAID.fullmatch(line):
            said = [match["text"]]
        elif said and (match := _FURTHER.fullmatch(line)):
            said.append(match["text"])
        elif match := _KEY.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if said:
                yield ".".join(path), " ".join(said)
            said = []


def _default(defaults: Any, path: str) -> str:
    for key in path.split("."):
        defaults = defaults[key]
    return json.dumps(defaults).replace("|", "\\|")
