"""What promtool says of rules, and the unit tests of a user's own alerts."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from ml_monitoring.alerting.domains import EXTENSIONS
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter.errors import ConfigError, MonitorError
from ml_monitoring.exporter.settings_file import read_yaml

# Those that a unit test compares; links are the settings' business, and differ from one deployment to the next.
_TEXTS: Final = ("summary", "description")
_TIME_LIMIT: Final = 300


def problems_of_tests(thresholds: Thresholds, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each of the user's own alerts, and what is wrong with it; nothing where its test passes.

    Args:
        thresholds: The settings in force.
        folder: The folder of extensions.

    Raises:
        MonitorError: There is no promtool, or it refuses the rules.
    """
    files = {path.name.removesuffix(".test.yml"): path for path in sorted((folder / "tests").glob("*.test.yml"))}
    names = [alert.name for alert in thresholds.own_alerts if thresholds.alerts[alert.name].enabled]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file, rules in _rules(thresholds).items():
            (directory / file).write_text(yaml.safe_dump(rules, sort_keys=False), encoding="utf-8")
        if said := _promtool("check", "rules", "alerts.yml", "rules.yml", directory=directory):
            raise MonitorError(f"promtool refuses the rules:\n{said}")
        for alert in names:
            if alert not in files:
                yield (
                    alert,
                    f"{folder / 'tests' / alert}.test.yml: is missing; it says when the alert fires, and when not",
                )
                continue
            try:
                cases = list(_cases(read_yaml(files[alert]), alert))
            except ConfigError as error:
                yield alert, "\n".join(error.problems)
                continue
            if missing := [word for word, fires in (("fires", True), ("stays silent", False)) if fires not in cases]:
                yield alert, f"{files[alert]}: has no case in which it {' or '.join(missing)}"
                continue
            # Beside the rules, which the test names.
            shutil.copy(files[alert], directory / files[alert].name)
            said = _promtool("test", "rules", files[alert].name, directory=directory)
            yield alert, f"{files[alert]}: {said}" if said else ""
    for unknown in files.keys() - {alert.name for alert in thresholds.own_alerts}:
        yield unknown, f"{files[unknown]}: there is no alert {unknown}"


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
    return {"alerts.yml": {"groups": alerts}, "rules.yml": {"groups": recording}}


def _promtool(*arguments: str, directory: Path) -> str:
    """Return what promtool complains about; nothing where all is well."""
    program = shutil.which("promtool")
    if program is None:
        raise MonitorError("promtool is not on the PATH: it comes with Prometheus")
    try:
        done = subprocess.run(  # noqa: S603  # its arguments are ours
            [program, *arguments], capture_output=True, text=True, check=False, cwd=directory, timeout=_TIME_LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"promtool did not end within {_TIME_LIMIT} s"
    return "" if done.returncode == 0 else (done.stderr + done.stdout).strip()
