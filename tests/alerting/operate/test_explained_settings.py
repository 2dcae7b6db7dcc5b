"""What `explain` lists under "Set in" beside an alert's own numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate.expanded import used
from ml_monitoring.alerting.generate.rules import build_recording_rules
from ml_monitoring.alerting.model.settings import Sections
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.operate.explain import settings_of
from ml_monitoring.exporter import durations

USUAL = load_thresholds()
# Where not just any other value of the kind is valid.
OTHERS: dict[str, Any] = {
    "slos.latency_threshold": 1.0,
    "llm.first_token_threshold": 2.5,
    "slos.response_buckets": [0.3],
    "business.accuracy_unit": "ratio",
    "ab_test.shares": {"A": 0.8, "B": 0.2},
    "ab_test.candidate_share": 0.2,
    "llm.prices": {"m": {"input": 1.0}},
}


def settings(data: dict[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    """Yield each setting of a section, and another value of it."""
    for key, value in data.items():
        name = f"{above}.{key}"
        if name in OTHERS:
            yield name, OTHERS[name]
        elif isinstance(value, dict):
            yield from settings(value, name)
        elif isinstance(value, str):
            is_duration = value[:1].isdigit()
            yield name, durations.format_seconds(durations.parse(value) * 2) if is_duration else f"{value}x"
        else:
            yield name, value + 1 if isinstance(value, int) else value * 0.9


CHANGES = [
    change
    for section in Sections.model_fields
    for change in settings(USUAL.model_dump(by_alias=True)[section], section)
]


def conditions(thresholds: Thresholds) -> dict[str, frozenset[str]]:
    """Return of each alert its condition, and what is recorded for it."""
    recorded: dict[str, str] = defaultdict(str)
    for rule in (rule for group in build_recording_rules(thresholds)["groups"] for rule in group["rules"]):
        recorded[rule["record"]] += f"\n{rule['expr']}"
    found = {}
    for alert in load_alerts(thresholds):
        seen: set[str] = set()
        waiting = used(alert.expr, recorded)
        while waiting:
            seen.add(name := waiting.pop())
            waiting |= used(recorded[name], recorded) - seen
        found[alert.name] = frozenset({alert.expr, *(recorded[name] for name in seen)})
    return found


def test_each_setting_that_changes_an_alerts_condition_is_among_its_settings() -> None:
    before = conditions(USUAL)
    listed = {alert.name: settings_of(alert) for alert in load_alerts()}
    missing, changing = [], set()
    for name, value in CHANGES:
        change: Any = value
        for part in reversed(name.split(".")):
            change = {part: change}
        after = conditions(USUAL.changed(change))
        for alert in (alert for alert in before if after[alert] != before[alert]):
            changing.add(name)
            missing += [f"{alert}: {name}"] if name not in listed[alert] else []
    assert missing == []
    assert {"slos.period", "slos.page_fast.budget", "traffic.around", "drift.window", "ab_test.shares"} <= changing


def explain(folder: Path, alert: str, settings: str) -> int:
    """Explain an alert by settings in `own.yml`, and return the exit status."""
    path = folder / "own.yml"
    path.write_text(settings, encoding="utf-8")
    return main(["explain", alert, f"--settings={path}"])


def test_settings_of_other_sections_are_listed_with_the_line_that_gave_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(tmp_path, "MlApiErrorBudgetBurnsFast", "slos:\n  page_fast:\n    factor: 20\n") == 0
    said = capsys.readouterr().out
    assert f"    {tmp_path / 'own.yml'}:3: slos.page_fast.factor: 20\n" in said
    assert "thresholds.yml" in next(line for line in said.splitlines() if "slos.period: 30d" in line)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ("minimum_runs: 5", "minimum_runs: unknown key; did you mean parameters.minimum_runs?"),
        ("parameters: {threshold: 0.3}", "threshold: is not a parameter of this alert; it belongs beside parameters"),
        ("parameters: {for: 5m}", "for: is not a parameter of this alert; it belongs beside parameters"),
    ],
)
def test_a_key_on_the_wrong_level_of_an_alert_is_answered_with_its_place(
    numbers: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = f"alerts:\n  MlflowFailedRunRatioHigh: {{{numbers}}}\n"
    assert explain(tmp_path, "MlflowFailedRunRatioHigh", settings) == 1
    assert said in capsys.readouterr().err


def test_a_key_below_what_it_belongs_beside_is_answered_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(tmp_path, "MlApiErrorBudgetBurnsFast", "slos:\n  page_fast: {period: 7d}\n") == 1
    assert "slos.page_fast.period: unknown key; it belongs beside page_fast, not below it" in capsys.readouterr().err
