"""`alerts diff`: what changed between two versions of rules, by meaning, as Markdown."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from ml_monitoring.alerting.operate import promtool
from ml_monitoring.alerting.operate.changes import Version, compare
from ml_monitoring.exporter import differences
from ml_monitoring.exporter.errors import UsageError
from ml_monitoring.exporter.regular_files import describe_read_error
from ml_monitoring.exporter.yaml_syntax import describe

HELP = "say what changed between two versions of rules"
DESCRIPTION = (
    "Compare what `alerts generate` wrote by meaning: alerts, severities, teams, thresholds, waiting times, "
    "expressions, recording rules, and who is notified; as Markdown. Where promtool is installed, PromQL in NEW that "
    "it refuses is named."
)

_SUFFIXES = (".yml", ".yaml", ".tmpl")
Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    differences.add_arguments(
        parser,
        everything="list all changes: recording rules, links and texts too, and each alert of many with the same "
        "change",
    )


def run(options: argparse.Namespace) -> int:
    """Print the differences and return the exit status."""
    old, new = _read(options.old), _read(options.new)
    kinds = [_kind(name, version) for name, version in ((options.old, old), (options.new, new))]
    if kinds[0] != kinds[1]:
        problem = f"OLD is {kinds[0]} and NEW {kinds[1]}, which cannot be compared"
        raise UsageError([f"{problem}: give two folders, or twice the same file"])
    # Those of OLD are what Prometheus has, or has refused already.
    known = [rule for group in old.groups for rule in group["rules"]]
    changed = [{"rules": [rule for rule in group["rules"] if rule not in known]} for group in new.groups]
    report = compare(old, new, everything=options.all, refused=promtool.refused(changed))
    print(report or "No differences.")
    return 1 if report and options.exit_code else 0


def _kind(name: str, version: Version) -> str:
    if not name.endswith(_SUFFIXES) or Path(name).is_dir():
        return "a folder"
    return "a file of rules" if version.groups else "a configuration of Alertmanager"


def _read(name: str) -> Version:
    """Return a version of a file, a folder, or `REVISION:PATH` of the git repository.

    Raises:
        UsageError: There is nothing to read, or something in it cannot be read.
    """
    groups: list[Json] = []
    routing: Json | None = None
    others: dict[str, str] = {}
    for source, text in differences.texts_of(
        name, _SUFFIXES, lambda error: f"cannot be read: {describe_read_error(error)}"
    ):
        file = Path(source).name
        config = None if file.endswith(".tmpl") else _parsed(source, text)
        if config is not None and "groups" in config:
            groups += _groups(source, config["groups"])
        elif config is not None and "receivers" in config:
            if not (isinstance(config.get("route"), dict) and isinstance(config["receivers"], list)):
                raise UsageError([f"{source}: not as Alertmanager reads it; `amtool check-config {source}` says where"])
            routing = config
        else:
            others[file] = text
    if not groups and routing is None:
        raise UsageError([f"{name}: no rules in it; give a folder that `ml-monitoring alerts generate` wrote"])
    return Version(groups, routing, others)


def _parsed(source: str, text: str) -> Json | None:
    """Return a file's mapping; None of other YAML.

    Raises:
        UsageError: It is no YAML.
    """
    try:
        config = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError([f"{source}{line}: cannot be read as YAML: {describe(error)}"]) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UsageError([f"{source}: cannot be read as YAML: is it a file of rules?"]) from None
    return config if isinstance(config, dict) else None


def _groups(source: str, groups: Any) -> list[Json]:
    """Return groups of rules.

    Raises:
        UsageError: They are not of the form that Prometheus reads.
    """
    is_right = isinstance(groups, list) and all(
        isinstance(group, dict)
        and isinstance(group.get("rules") or [], list)
        and all(_is_rule(rule) for rule in group.get("rules") or [])
        for group in groups
    )
    if not is_right:
        raise UsageError(
            [f"{source}: groups: not as Prometheus reads rules; `promtool check rules {source}` says where"]
        )
    return [{**group, "rules": group.get("rules") or []} for group in groups]


def _is_rule(rule: Any) -> bool:
    if not isinstance(rule, dict) or not {"alert", "record"} & {*rule}:
        return False
    return all(isinstance(rule.get(key) or {}, dict) for key in ("labels", "annotations"))
