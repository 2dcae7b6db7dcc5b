"""Every single change of rules or of Alertmanager's configuration is a difference, and a line names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.generate import files

# The steps to a value, the value in place of it (None for none), and what a line names.
_ROUTE = ("route", "routes", 3)
_CONFIGURED: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "wait of critical alerts": ((*_ROUTE, "routes", 0, "group_wait"), "1h", "`10s` → `1h`"),
    "wait of warnings": ((*_ROUTE, "routes", 1, "group_wait"), "2h", "`30s` → `2h`"),
    "wait of infos": ((*_ROUTE, "routes", 2, "group_wait"), "3h", "`1m` → `3h`"),
    "wait of all": (("route", "group_wait"), "5s", "group_wait"),
    "interval": ((*_ROUTE, "routes", 0, "group_interval"), "1h", "group_interval"),
    "repetition": ((*_ROUTE, "routes", 0, "repeat_interval"), "1h", "repeat_interval"),
    "receiver": ((*_ROUTE, "routes", 0, "receiver"), "growth-info", "receiver"),
    "continue": ((*_ROUTE, "routes", 0, "continue"), True, "continue"),
    "grouping": (("route", "group_by"), ["job"], "group_by"),
    "matchers": ((*_ROUTE, "matchers"), ['team="none"'], 'team="none"'),
    "muted": ((*_ROUTE, "routes", 1, "mute_time_intervals"), ["nights"], "nights"),
    "muted no more": ((*_ROUTE, "routes", 2, "mute_time_intervals"), None, "nights"),
    "active": ((*_ROUTE, "routes", 1, "active_time_intervals"), ["nights"], "active_time_intervals"),
    "a key that nobody knows": ((*_ROUTE, "routes", 1, "news"), 1, "news"),
    "time": (("time_intervals", 0, "time_intervals", 0, "times", 0, "start_time"), "18:00", "time nights"),
    "no times": (("time_intervals", 0, "time_intervals", 0, "times"), [], "time nights"),
    "location": (("time_intervals", 0, "time_intervals", 0, "location"), "UTC", "time nights"),
    "time's name": (("time_intervals", 0, "name"), "evenings", "time evenings"),
    "inhibition": (("inhibit_rules", 0, "equal"), ["x"], "inhibition"),
    "receiver's name": (("receivers", 3, "name"), "other", "other"),
    "address": (("receivers", 4, "email_configs", 0, "to"), "b@example.org", "email"),
    "text": (("receivers", 4, "email_configs", 0, "html"), "b", "html"),
    "key of a receiver that nobody knows": (("receivers", 4, "news"), 1, "receivers"),
    "templates": (("templates",), ["x"], "templates"),
    "global": (("global", "resolve_timeout"), "1m", "resolve_timeout"),
    "section that nobody knows": (("news",), {"a": 1}, "news"),
}
_RULES: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "expression": (("rules", 0, "expr"), "heat > 5 or cold", "cold"),
    "number in a function": (("rules", 0, "expr"), "round(heat, 2) > 5", "expression"),
    "for": (("rules", 0, "for"), "1h", "`for`"),
    "keep_firing_for": (("rules", 0, "keep_firing_for"), "1h", "`keep_firing_for`"),
    "label": (("rules", 0, "labels", "room"), "a", "label room"),
    "annotation": (("rules", 0, "annotations", "summary"), "b", "texts|summary"),
    "name": (("rules", 0, "alert"), "Cold", "Cold"),
    "a key that nobody knows": (("rules", 0, "news"), 1, "news"),
    "recorded": (("rules", 1, "expr"), "b", "recording rules"),
    "recorded label": (("rules", 1, "labels"), {"a": "b"}, "recording rules"),
    "interval": (("interval",), "5m", "interval"),
    "limit": (("limit",), 5, "limit"),
    "group": (("name",), "other", "other"),
}


def _changed(content: Any, steps: tuple[Any, ...], value: Any) -> None:
    for step in steps[:-1]:
        content = content.setdefault(step, {}) if isinstance(content, dict) else content[step]
    if value is None:
        content.pop(steps[-1], None)
    else:
        content[steps[-1]] = value


def _differ(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what both views say of a difference."""
    said = []
    for view in ([], ["--all"]):
        assert main(["diff", str(old), str(new), "--exit-code", *view]) == 1
        said.append(capsys.readouterr().out)
    return said


@pytest.mark.parametrize(("steps", "value", "named"), _CONFIGURED.values(), ids=_CONFIGURED)
def test_each_change_of_a_configuration_is_named_with_and_without_rules(
    steps: tuple[Any, ...], value: Any, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load((files.DEFAULT_DIRECTORY / "alertmanager.yml").read_text(encoding="utf-8"))
    for receiver in config["receivers"]:
        receiver["email_configs"] = [{"to": f"{receiver['name']}@example.org"}]
    night = {"times": [{"start_time": "20:00", "end_time": "24:00"}], "location": "Europe/Berlin"}
    config["global"] = {"resolve_timeout": "5m"}
    alerts = [
        {"alert": severity, "expr": severity, "labels": {"severity": severity, "team": "platform"}}
        for severity in ("critical", "warning", "info")
    ]
    config["time_intervals"] = [{"name": "nights", "time_intervals": [night]}]
    config["route"]["routes"][3]["routes"][2]["mute_time_intervals"] = ["nights"]
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "alerts.yml").write_text(
            yaml.safe_dump({"groups": [{"name": "a", "rules": alerts}]}), "utf-8"
        )
        (tmp_path / name / "alertmanager.yml").write_text(yaml.safe_dump(config), "utf-8")
        _changed(config, steps, value)
    for file in ("", "alertmanager.yml"):
        for said in _differ(tmp_path / "old" / file, tmp_path / "new" / file, capsys):
            assert named in said


@pytest.mark.parametrize(("steps", "value", "named"), _RULES.values(), ids=_RULES)
def test_each_change_of_rules_is_named(
    steps: tuple[Any, ...], value: Any, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alert = {"alert": "Hot", "expr": "heat > 5", "labels": {"severity": "info"}, "annotations": {"summary": "a"}}
    group = {"name": "house", "rules": [alert, {"record": "a:b:c", "expr": "a"}]}
    for name in ("old.yml", "new.yml"):
        (tmp_path / name).write_text(yaml.safe_dump({"groups": [group]}), encoding="utf-8")
        _changed(group, steps, value)
    for said in _differ(tmp_path / "old.yml", tmp_path / "new.yml", capsys):
        assert any(word in said for word in named.split("|"))


def test_a_value_that_may_be_secret_is_never_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, secret in (("old.yml", "hunter1"), ("new.yml", "hunter2")):
        config = {"route": {"receiver": "a"}, "receivers": [{"name": "a", "news": secret}]}
        (tmp_path / name).write_text(yaml.safe_dump(config), encoding="utf-8")
    for said in _differ(tmp_path / "old.yml", tmp_path / "new.yml", capsys):
        assert said == "- **alertmanager.yml: receivers** changed\n"
