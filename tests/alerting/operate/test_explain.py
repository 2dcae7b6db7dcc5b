"""`alerts explain`: everything about an alert."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.model.thresholds import DEFAULT_PATHS

ALERTS = load_alerts()


def test_everything_about_an_alert_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "MlMonitoringSourceDown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    number = DEFAULT_PATHS[0].read_text().splitlines().index("  MlMonitoringSourceDown:") + 1
    assert lines[0] == "MlMonitoringSourceDown: A source of the exporter is down."
    assert lines[lines.index("  Set in") + 1 : lines.index("  Expression")] == [
        f"    default (thresholds.yml:{number + 1}): threshold: 1",
        f"    default (thresholds.yml:{number + 2}): unit: flag",
        f"    default (thresholds.yml:{number + 4}): for: 3m",
        f"    default (thresholds.yml:{number + 5}): severity: critical",
        f"    default (thresholds.yml:{number + 6}): team: platform",
    ]
    assert "    ml_monitoring_source_up < 1" in lines
    notified = lines[lines.index("  Notified") + 1 : lines.index("  Muted")]
    assert notified == [
        "    escalation: 33 min after the condition begins to hold, again every 1h; through webhook (alert log)",
        "    platform-critical: 3 min 10 s after the condition begins to hold, again every 15m; "
        "through webhook (alert log)",
    ]
    assert lines[lines.index("  Muted") + 1 :] == [
        "    MlMonitoringDown: Without the exporter nothing that it says can be trusted, not even that a problem ended."
    ]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_can_be_explained(alert: object, capsys: pytest.CaptureFixture[str]) -> None:
    name = next(one.name for one in ALERTS if one is alert)
    assert main(["explain", name]) == 0
    assert capsys.readouterr().out.count("\n") > 8


@pytest.mark.parametrize(
    ("settings", "name", "why"),
    [
        (
            "links: {logs: null}\nalerts:\n  MlPredictionsStopped: null\n",
            "MlPredictionsStopped",
            "it is switched off: {}:3",
        ),
        (
            "alerts:\n  MlPredictionsStopped:\n    enabled: false\n",
            "MlPredictionsStopped",
            "it is switched off: {}:3",
        ),
        ("components: [host]\n", "PrometheusTargetDown", "the component monitoring is not watched: {}:1"),
    ],
)
def test_an_alert_that_is_off_is_explained_by_what_switches_it_off(
    settings: str, name: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.yml"
    path.write_text(settings, encoding="utf-8")
    assert main(["explain", name, f"--settings={path}"]) == 0
    assert capsys.readouterr() == (f"{name}: no rule is made of it, as {why.format(path)}\n", "")


def test_what_switched_an_alert_off_is_named_also_where_a_later_file_gives_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["alerts:\n  MlApiLatencyHigh: null\n", "alerts:\n  MlApiLatencyHigh: {threshold: 60ms}\n"]
    texts.append("alerts:\n  MlApiLatencyHigh: {enabled: true}\n")
    paths = [tmp_path / f"{number}.yml" for number in range(3)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    settings = [f"--settings={path}" for path in paths]
    assert main(["explain", "MlApiLatencyHigh", *settings[:2]]) == 0
    off = f"MlApiLatencyHigh: no rule is made of it, as it is switched off: {paths[0]}:2\n"
    assert capsys.readouterr().out == off
    assert main(["backtest", "MlApiLatencyHigh", *settings[:2], "--prometheus=http://127.0.0.1:9"]) == 1
    assert "`ml-monitoring alerts explain MlApiLatencyHigh` says why" in capsys.readouterr().err
    assert main(["explain", "MlApiLatencyHigh", *settings]) == 0
    assert f"{paths[1]}:2: threshold: 60ms" in capsys.readouterr().out


def test_what_a_budget_burns_at_is_said_in_shares_of_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    own.write_text("slos: {availability: 0.95, period: 28d}\nalerts: {MlApiErrorBudgetBurnsFast: {threshold: 1.5}}\n")
    assert main(["explain", "MlApiErrorBudgetBurnsFast", "--settings", str(own)]) == 0
    said = capsys.readouterr().out
    # The threshold is a multiple of both factors.
    assert "burns at a rate above 21.6 (108 % fail or 21.6 % are late), over 56m" in said
    assert "or above 9 (45 % or 9 %), over 5h36m" in said
    assert "  Note" not in said


def test_a_budget_that_can_never_burn_so_fast_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.yml"
    own.write_text("slos: {availability: 0.9}\n")
    note = (
        "slos.availability is 90 %, so that its budget burns at 10 when all fail, and never at 14.4 "
        "(slos.page_fast.factor): set a smaller factor, or a higher objective\n"
    )
    for name, is_concerned in {"MlApiErrorBudgetBurnsFast": True, "MlApiErrorBudgetBurnsSlowly": False}.items():
        assert main(["explain", name, "--settings", str(own)]) == 0
        assert (f"  Note         {note}" in capsys.readouterr().out) is is_concerned
    assert main(["generate", "--settings", str(own), "--output-dir", str(tmp_path / "out")]) == 0
    assert f"note: {note}" in capsys.readouterr().err


def test_an_alert_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "Zzz"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: Zzz does not exist; there are: MlMonitoringWatchdog, MlMonitoringDown,"
    )
