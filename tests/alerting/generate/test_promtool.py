"""What Prometheus's and Alertmanager's own tools say about the generated files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.generate.files import files, of_compose, render, templates, write
from ml_monitoring.alerting.model.thresholds import SEVERITIES
from tools.mutants.cases import RULE_FILE, Case, of_alerts

GENERATED = Path(__file__).resolve().parents[3] / "alerting" / "generated"
UNIT_TESTS = sorted(Path(__file__).parents[1].glob("*/*.test.yml"))
ALERTS = load_alerts()
TEAMS = load_thresholds().teams
_ALL_RULES = "rule_files: [../../../alerting/generated/rules.yml, ../../../alerting/generated/alerts.yml]"

# `promtool check rules --lint` exists since 2.31; "all" also complains of two rules that ask the same.
_LINT = ("--lint=all", "--lint-fatal")


def run(program: Path, *arguments: str | Path) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_are_unit_tests() -> None:
    assert len(UNIT_TESTS) >= len(ALERTS)


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.name.removesuffix(".test.yml"))
def test_a_unit_test_can_be_run_by_hand_from_where_it_is(path: Path) -> None:
    assert path.read_text().count(_ALL_RULES) == 1


# promtool evaluates every rule of its files at each step: all of them would take ten times as long.
@pytest.mark.parametrize("case", of_alerts(), ids=lambda case: case.name)
def test_rules_give_the_alerts_that_the_unit_test_expects(
    case: Case, programs: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / RULE_FILE).write_text(case.rules())
    narrowed = tmp_path / "test.yml"
    narrowed.write_text(case.text)
    run(programs["promtool"], "test", "rules", narrowed)


def test_prometheus_accepts_its_configuration_with_all_rules(programs: dict[str, Path]) -> None:
    assert "2 rule files found" in run(programs["promtool"], "check", "config", GENERATED / "prometheus.yml")


@pytest.mark.parametrize("name", ["rules.yml", "alerts.yml"])
def test_no_rule_is_lint(name: str, programs: dict[str, Path]) -> None:
    rules = [rule for group in yaml.safe_load((GENERATED / name).read_text())["groups"] for rule in group["rules"]]
    output = run(programs["promtool"], "check", "rules", *_LINT, GENERATED / name)
    assert f"{len(rules)} rules found" in output


def test_alertmanager_accepts_its_configuration(programs: dict[str, Path], tmp_path: Path) -> None:
    run(programs["amtool"], "check-config", GENERATED / "alertmanager.yml")
    with_webhook = tmp_path / "alertmanager.yml"
    config = alertmanager.build("http://127.0.0.1:9/")
    write(templates(), tmp_path)
    with_webhook.write_text(render("alertmanager.yml", config))
    assert f"{len(config['receivers'])} receivers" in run(programs["amtool"], "check-config", with_webhook)


def route(amtool: Path, **labels: str) -> str:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    return run(amtool, "config", "routes", "test", f"--config.file={GENERATED / 'alertmanager.yml'}", *pairs).strip()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_is_routed_to_its_team_and_severity(alert: object, programs: dict[str, Path]) -> None:
    bound = next(one for one in ALERTS if one is alert)
    expected = "watchdog" if bound.name == "MlMonitoringWatchdog" else f"{bound.team}-{bound.severity}"
    # Told to the escalation receiver too, but only after its wait.
    expected = f"escalation,{expected}" if bound.severity == "critical" else expected
    assert route(programs["amtool"], alertname=bound.name, **bound.labels) == expected


@pytest.mark.parametrize("team", TEAMS)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_every_team_and_severity_has_a_receiver(team: str, severity: str, programs: dict[str, Path]) -> None:
    expected = f"{team}-{severity}"
    expected = f"escalation,{expected}" if severity == "critical" else expected
    assert route(programs["amtool"], alertname="X", team=team, severity=severity) == expected


@pytest.mark.parametrize("labels", [{}, {"team": "nobody", "severity": "critical"}, {"team": "mlops"}])
def test_an_alert_that_no_route_matches_is_not_lost(labels: dict[str, str], programs: dict[str, Path]) -> None:
    assert route(programs["amtool"], alertname="X", **labels) == "unrouted"


def test_the_committed_files_are_what_is_generated(tmp_path: Path) -> None:
    for _ in range(2):
        write(files(load_thresholds()) | of_compose(), tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
            path.name: path.read_bytes() for path in GENERATED.iterdir()
        }
