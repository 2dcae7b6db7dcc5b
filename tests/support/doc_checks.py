"""What reads the data in the documentation: each kind of file is checked by the program that it is for."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.thresholds import Thresholds, load_layers, validated
from ml_monitoring.exporter.config import Settings, load
from tests.support.doc_blocks import Block
from tests.support.kubernetes_schemas import problems
from tools.stack import ROOT

# What the settings of examples name: variables, and what is in files of secrets.
ENVIRON = {"MLFLOW_BACKEND_STORE_URI": "sqlite:////data/mlflow.db", "MLFLOW_DB_PASSWORD": "x", "MLFLOW_TOKEN": "x"}
_SECRET = re.compile(r"/(?:run/secrets|etc/ml-monitoring)/[\w.-]+")
_PROMETHEUS = {"global", "scrape_configs", "rule_files", "alerting", "remote_write", "storage", "otlp"}
_ALERTMANAGER = {"route", "receivers", "inhibit_rules", "templates", "time_intervals", "global"}
_PROVISIONING = ROOT / "docker" / "grafana" / "provisioning"


@dataclass(frozen=True)
class Tools:
    """What checks may use.

    Attributes:
        programs: Has `promtool` and `amtool`.
        folder: For what they read.
    """

    programs: Mapping[str, Path]
    folder: Path

    def run(self, program: str, *arguments: str, text: str) -> None:
        """Let a program judge a file with this text."""
        path = self.folder / "block.yml"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [self.programs[program], *arguments, path], capture_output=True, text=True, check=False, cwd=self.folder
        )
        assert done.returncode == 0, done.stdout + done.stderr


Check = Callable[[str, Any, Tools], None]


def exporter_settings(text: str, content: Any, tools: Tools) -> None:
    """Load settings of the exporter."""
    for path in set(_SECRET.findall(text)):
        place = tools.folder / path.strip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if "." not in place.name:
            place.write_text("postgresql://watcher@db/app", encoding="utf-8")
        text = text.replace(path, str(place))
    config = tools.folder / "ml-monitoring.yml"
    config.write_text(text, encoding="utf-8")
    load(config, ENVIRON)


def alerting_settings(text: str, content: Any, tools: Tools) -> None:
    """Load numbers, teams and channels, laid over the defaults."""
    path = tools.folder / "alerting.yml"
    path.write_text(text, encoding="utf-8")
    validated(ALERTS, load_layers([path]))


def prometheus(text: str, content: Any, tools: Tools) -> None:
    """Let promtool read a configuration; whether rule files and secrets are there is not its business here."""
    tools.run("promtool", "check", "config", "--syntax-only", text=text)


def rules(text: str, content: Any, tools: Tools) -> None:
    """Let promtool read rules."""
    tools.run("promtool", "check", "rules", text=text)


def alertmanager(text: str, content: Any, tools: Tools) -> None:
    """Let amtool read a configuration."""
    tools.run("amtool", "check-config", text=text)


def kubernetes(text: str, content: Any, tools: Tools) -> None:
    """Compare objects with the published schemas; what kustomize reads is the business of who runs it."""
    for manifest in yaml.safe_load_all(text):
        assert problems(manifest) == []


def provisioning(text: str, content: Any, tools: Tools) -> None:
    """Compare the keys with those of the files that the stack in Docker gives its Grafana."""
    known = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in _PROVISIONING.glob("*/*.yaml")]
    assert keys(content) - set().union(*map(keys, known)) == set()


def keys(value: Any, place: str = "") -> set[str]:
    """Return the places of all keys."""
    if isinstance(value, dict):
        return {f"{place}.{key}" for key in value} | set().union(
            *(keys(each, f"{place}.{k}") for k, each in value.items())
        )
    return set().union(*(keys(each, place) for each in value)) if isinstance(value, list) else set()


def check_of(block: Block) -> Check | None:
    """Return what checks a block of data; None where nothing knows such data."""
    if block.language == "json":
        return lambda text, _content, _tools: json.loads(text)
    if block.language != "yaml":
        return None
    first = next(iter(yaml.safe_load_all(block.text)), None)
    if not isinstance(first, dict):
        return None
    names = set(first)
    if names == {"groups"}:
        return rules
    if isinstance(first.get("apiVersion"), str):
        return kubernetes
    if first.get("apiVersion") == 1:
        return provisioning
    for known, check in (
        (set(Settings.model_fields), exporter_settings),
        (set(Thresholds.model_fields), alerting_settings),
        (_PROMETHEUS, prometheus),
        (_ALERTMANAGER, alertmanager),
    ):
        if names <= known:
            return check
    return None
