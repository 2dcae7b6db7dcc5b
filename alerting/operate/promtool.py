"""What promtool says of rules, and the unit tests of a user's own alerts and recording rules."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from ml_monitoring.alerting.domains import EXTENSIONS
from ml_monitoring.alerting.extension_queries import QUOTED, Asked, missing_labels, own_queries, own_templates
from ml_monitoring.alerting.extensions import recorded_by_file
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.operate import templates
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.errors import ConfigError, MonitorError
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.suggestions import suggestion

# Those that a unit test compares; links are the settings' business, and differ from one deployment to the next. So are
# `alert_labels`.
_TEXTS: Final = ("summary", "description")
# What a test runs against, as `generate` writes them.
_RULE_FILES: Final = ("rules.yml", "alerts.yml")
_TIME_LIMIT: Final = 300
_NO_PROMTOOL: Final = "promtool is not on the PATH: it comes with Prometheus"
# What promtool says of a rule, without the place in a file that is not the user's.
_OF_GROUP: Final = re.compile(
    r'group "(\d+)", rule \d+, "[^"]*": (?:annotation "description": template: \w+:\d+: |could not parse expression: )?'
    r"(?:\d+:\d+: )?(?:parse error: )?(.*)"
)


def refuse_broken(thresholds: Thresholds) -> None:
    """Refuse PromQL in a user's own files that Prometheus would refuse; without promtool that is said.

    Raises:
        ConfigError: Some is broken; each problem with its file and line.
        MonitorError: promtool fails.
    """
    if thresholds.extensions is None:
        return
    asked = list(own_queries(Path(thresholds.extensions), thresholds))
    problems = [one.problem(said) for one in asked if (said := missing_labels(one.expr, one.by))]
    described = list(own_templates(Path(thresholds.extensions)))
    if asked and shutil.which("promtool") is None:
        problems += [one.problem(said) for one in described if (said := templates.problem_of(one.template))]
        note = f"note: {_NO_PROMTOOL}; without it the PromQL of your own files is not checked"
        print(note, file=sys.stderr)  # noqa: T201  # for all commands that write what it is in
    elif asked:
        problems = [*_broken([*asked, *described]), *problems]
    if problems:
        raise ConfigError(problems)


def refused(groups: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return why promtool does not parse the expression of a rule, by the rule's name; nothing without promtool."""
    if shutil.which("promtool") is None:
        return {}
    rules = [rule for group in groups for rule in group["rules"]]
    _said, found = _unparsed([{"record": "x", "expr": str(rule.get("expr"))} for rule in rules])
    return {str(rules[number].get("alert") or rules[number].get("record")): why for number, why in found}


def _broken(asked: Sequence[Asked]) -> Iterator[str]:
    """Yield the sentence about each expression and template that promtool does not parse."""
    said, found = _unparsed([one.rule for one in asked])
    if said and not found:
        raise MonitorError(f"promtool refuses the PromQL of your own files:\n{said}")
    for number, why in found:
        one = asked[number]
        hint = _VARIABLES if "$" in QUOTED.sub("", one.expr) else ""
        yield one.problem(templates.of_go(why) if one.template else f"no PromQL: {why}{hint}")


def _unparsed(rules: Sequence[Mapping[str, Any]]) -> tuple[str, list[tuple[int, str]]]:
    """Return what promtool says of rules, and of it which ones it does not parse, by their places, and why."""
    # Each in a group of its own, by the name of which it is found again.
    groups = [{"name": str(number), "rules": [rule]} for number, rule in enumerate(rules)]
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "own.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
        said = _promtool("check", "rules", "--lint=none", "own.yml", directory=Path(name))
    return said, [(int(found[1]), found[2]) for found in _OF_GROUP.finditer(said)]


_VARIABLES: Final = (
    "; Grafana's variables stand in quotes only: write `{<filter>}` for what the choices of a page narrow, and "
    "`<window>` for the range of a rate"
)
# Keys of a file of promtool's unit tests, of one test, and of its cases.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"),
    "tests": (
        *("name", "interval", "input_series", "alert_rule_test", "promql_expr_test", "start_timestamp"),
        *("external_labels", "external_url"),
    ),
    "alert_rule_test": ("eval_time", "alertname", "exp_alerts"),
    "promql_expr_test": ("expr", "eval_time", "exp_samples"),
}


def problems_of_tests(thresholds: Thresholds, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each own alert and file of recording rules, and what is wrong; nothing where its test passes.

    Args:
        thresholds: The settings in force.
        folder: The folder of extensions.

    Raises:
        ConfigError: A file cannot be used, or its PromQL is broken.
        MonitorError: There is no promtool, or it refuses the rules.
    """
    if shutil.which("promtool"):
        refuse_broken(thresholds)
    files = {path.name.removesuffix(".test.yml"): path for path in sorted((folder / "tests").glob("*.test.yml"))}
    alerts = {alert.name: thresholds.alerts[alert.name].enabled for alert in thresholds.own_alerts}
    recorded = recorded_by_file(folder)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file, rules in _rules(thresholds).items():
            (directory / file).write_text(yaml.safe_dump(rules, sort_keys=False), encoding="utf-8")
        if said := _promtool("check", "rules", "alerts.yml", "rules.yml", directory=directory):
            raise MonitorError(f"promtool refuses the rules:\n{said}")
        for tested in (*recorded, *(alert for alert, enabled in alerts.items() if enabled)):
            if tested not in files:
                says = "what is recorded" if tested in recorded else "when the alert fires, and when not"
                yield tested, f"{folder / 'tests' / tested}.test.yml: is missing; it says {says}"
                continue
            try:
                layers = Layers.of_file(files[tested])
            except ConfigError as error:
                yield tested, "\n".join(error.problems)
                continue
            if misspelt := list(_misspelt(layers, thresholds.alerts)):
                yield tested, "\n".join(misspelt)
                continue
            if missing := _untested(layers.data, tested, recorded.get(tested)):
                yield tested, f"{files[tested]}: has no case {missing}"
                continue
            # Beside the rules, which the test names.
            shutil.copy(files[tested], directory / files[tested].name)
            said = _promtool("test", "rules", files[tested].name, directory=directory)
            yield tested, f"{files[tested]}: {said}" if said else ""
    for unknown in sorted(files.keys() - {*alerts, *recorded}):
        kind = "alert" if unknown[:1].isupper() else "file of rules"
        yield unknown, f"{files[unknown]}: there is no {kind} {unknown}"


def _untested(content: Mapping[str, Any], name: str, records: Sequence[str] | None) -> str:
    """Return of what a test has no case, for an alert or the series of a file of rules; empty where it has all."""
    if records is None:
        cases = list(_cases(content, name))
        missing = [word for word, fires in (("fires", True), ("stays silent", False)) if fires not in cases]
        return f"in which it {' or '.join(missing)}" if missing else ""
    shown = {name for expr in _shown(content) for name in re.findall(r"[\w:]+", expr)}
    missing = [record for record in records if record not in shown]
    return f"with samples of {', '.join(missing)}" if missing else ""


def _misspelt(layers: Layers, alerts: Collection[str]) -> Iterator[str]:
    """Yield the sentences about keys of a test that look like others, and about alerts that there are not."""
    parts: list[tuple[Location, Any, str]] = [((), layers.data, "")]
    for place, part, kind in parts:
        if isinstance(part, list):
            parts += [((*place, index), item, kind) for index, item in enumerate(part)]
        for key, value in part.items() if isinstance(part, dict) else ():
            if key in _KEYS:
                parts.append(((*place, key), value, key))
            elif key not in _KEYS[kind] and (near := suggestion(str(key), _KEYS[kind])):
                yield layers.problem((*place, key), f"unknown key{near}")
        if isinstance(part, dict):
            yield from _unusable(layers, place, part)
        name = part.get("alertname") if isinstance(part, dict) else None
        if isinstance(name, str) and name not in alerts:
            yield layers.problem((*place, "alertname"), f"there is no alert {name}{suggestion(name, alerts)}")


def _unusable(layers: Layers, place: Location, part: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentences about durations of a test without a unit, and rules that it does not run against."""
    for key in ("eval_time", "interval", "evaluation_interval"):
        # Prometheus takes a 0 without a unit.
        if part.get(key) not in (None, 0):
            try:
                durations.parse(str(durations.refuse_number(part[key])))
            except ValueError as error:
                yield layers.problem((*place, key), str(error))
    for number, file in enumerate(part["rule_files"]) if isinstance(part.get("rule_files"), list) else ():
        if file not in _RULE_FILES:
            yield layers.problem(
                (*place, "rule_files", number), f"a test runs against {' and '.join(_RULE_FILES)}, not against {file}"
            )


def _shown(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the expressions of which a test says that they have samples."""
    for test in content.get("tests") or ():
        for case in test.get("promql_expr_test") or () if isinstance(test, dict) else ():
            if isinstance(case, dict) and case.get("exp_samples"):
                yield str(case.get("expr"))


def _cases(content: Mapping[str, Any], alert: str) -> Iterator[bool]:
    """Yield of each case of an alert whether it is to fire."""
    for test in content.get("tests") or ():
        for case in test.get("alert_rule_test") or () if isinstance(test, dict) else ():
            if isinstance(case, dict) and case.get("alertname") == alert:
                yield bool(case.get("exp_alerts"))


def _rules(thresholds: Thresholds) -> dict[str, dict[str, Any]]:
    # Copies, as plain as YAML wants them.
    alerts, recording = (
        [{**group, "rules": [dict(rule) for rule in group["rules"]]} for group in made["groups"]]
        for made in (build_alerts(thresholds), build_recording_rules(thresholds))
    )
    for rule in (rule for group in alerts if group["name"] == f"{EXTENSIONS}.alerts" for rule in group["rules"]):
        rule["annotations"] = {key: rule["annotations"][key] for key in _TEXTS}
        rule["labels"] = {name: rule["labels"][name] for name in rule["labels"].keys() - thresholds.alert_labels}
    return {"alerts.yml": {"groups": alerts}, "rules.yml": {"groups": recording}}


def _promtool(*arguments: str, directory: Path) -> str:
    """Return what promtool complains about; nothing where all is well."""
    program = shutil.which("promtool")
    if program is None:
        raise MonitorError(_NO_PROMTOOL)
    try:
        done = subprocess.run(  # noqa: S603  # its arguments are ours
            [program, *arguments], capture_output=True, text=True, check=False, cwd=directory, timeout=_TIME_LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"promtool did not end within {_TIME_LIMIT} s"
    return "" if done.returncode == 0 else (done.stderr + done.stdout).strip()
