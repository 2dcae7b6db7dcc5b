from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import ALERTS, alerts_on, load_alerts, load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.mlflow.signals import FAILED_RUN_RATIO
from ml_monitoring.alerting.model.thresholds import DEFAULT_PATHS, read
from ml_monitoring.exporter.errors import ConfigError

TEXT = DEFAULT_PATHS[0].read_text(encoding="utf-8")


def changed(tmp_path: Path, old: str, new: str) -> list[Path]:
    """Return copies of the defaults with one place changed; the changed one is last."""
    (path,) = (path for path in DEFAULT_PATHS if old in path.read_text(encoding="utf-8"))
    copy = tmp_path / path.name
    copy.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    return [*(other for other in DEFAULT_PATHS if other != path), copy]


def line_of(text: str, wanted: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if wanted in line)


STALE = "    threshold: 3\n    unit: count\n"
RATIO = "    threshold: 0.3\n"


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        (RATIO, "    threshold: 30\n", "threshold: 30", "threshold: 30 is not a ratio in 0..1: write 0.3 for 30 %"),
        (RATIO, '    threshold: "30 %"\n', "30 %", "threshold: '30 %' is not a number: write 0.3 for 30 %"),
        (RATIO, "    threshold: [0.3]\n", "[0.3]", "threshold: [0.3] is neither a number nor a text"),
        (RATIO, "    threshold: .nan\n", ".nan", "threshold: nan is not a ratio in 0..1"),
        (RATIO, "", "MlflowFailedRunRatioHigh", "threshold: is missing"),
        (STALE, "    threshold: -1\n    unit: count\n", "-1", "threshold: -1 is not a count"),
        (
            STALE,
            "    threshold: 3\n    unit: seconds\n",
            "unit: seconds",
            "unit: the signal source_age_intervals is in count, not seconds",
        ),
        ("threshold: 1d", "threshold: 86400", "86400", "86400 has no unit: write a duration such as 5m, 6h or 1d"),
        ("threshold: 1d", "threshold: 1 day", "1 day", "threshold: not a duration: write it as 30s"),
        ("threshold: 1d", "threshold: 0s", "threshold: 0s", "threshold: must be longer than 0"),
        ("for: 2m", "for: 2", "for: 2", "for: is not a duration: write it as 2s, 2m"),
        ("for: 2m", "fro: 2m", "fro: 2m", "fro: unknown key"),
        ("severity: critical", "severity: page", "severity: page", "must be critical, warning, info or none"),
        ("severity: none", "severity: info", "severity: info", "severity: 'info' cannot be meant here, but: none"),
        (
            "severity: critical",
            "severity: none  # here",
            "severity: none  # here",
            "severity: 'none' cannot be meant here, but: critical, warning, info",
        ),
        (
            "    team: mlops",
            "    team: ml",
            "team: ml",
            "team: 'ml' is not one of the",
        ),
        ("      window: 6h", "      window: 6", "window: 6", "parameters.window: 6 has no unit"),
        (
            "      window: 6h",
            "      windows: 6h",
            "windows: 6h",
            "parameters.windows: is not a parameter of this alert; did you mean window?",
        ),
        ("system/.*", "'system/('", "system/(", "is not a regular expression: `(` at 8 is not closed"),
        ("  MlMonitoringSourceStale:", "  ExporterSourceOld:", "ExporterSourceOld", "no alert has this name"),
        (
            "  MlMonitoringSourceStale:",
            "  ExporterSourceOld:",
            "alerts:",
            "MlMonitoringSourceStale: is missing; the alert exists",
        ),
        ("grafana: http", "grafana: ftp", "ftp", "links.grafana: is not an http:// or https://"),
        ("[platform, mlops, growth]", "[]", "teams: []", "teams: needs at least 1, and has 0"),
        ("alert_labels: {}", "alert_labels: {team: x}", "alert_labels:", "team: is a label that alerts have already"),
        ("alert_labels: {}", "alert_labels: {persona: x}", "alert_labels:", "persona: is a label that alerts have"),
        (
            "alert_labels: {}",
            "alert_labels: {a: '{{x}}'}",
            "alert_labels:",
            "alert_labels.a: must not be empty, nor hold",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(
    old: str, new: str, at: str, message: str, tmp_path: Path
) -> None:
    defaults = changed(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        read(ALERTS, defaults=defaults)
    place = f"{defaults[-1]}:{line_of(defaults[-1].read_text(), at)}: "
    assert [one for one in caught.value.problems if one.startswith(place) and message in one]


def test_a_setting_given_twice_is_refused_where_it_stands_again(tmp_path: Path) -> None:
    defaults = changed(tmp_path, RATIO, f"{RATIO}{RATIO}")
    second = line_of(TEXT, RATIO.strip()) + 1
    with pytest.raises(ConfigError) as caught:
        read(ALERTS, defaults=defaults)
    assert caught.value.problems == (
        f"{defaults[-1]}:{second}: not valid YAML: key 'threshold' is given twice; the first time in line {second - 1}",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- alerts\n", ":1: must hold settings like `key: value`, not a list"),
        (
            "alerts: {\n",
            ":2: not valid YAML: expected the node content, but found '<stream end>' (column 1); "
            "a bracket or a quote of line 1 is not closed",
        ),
        (
            "links: !secret x\n",
            ":1: not valid YAML: a tag has no meaning here (column 8); put a text that begins with ! in quotes",
        ),
        ("a: 1\n---\nb: 2\n", ":2: not valid YAML: a second document begins: settings are one, so take this line out"),
    ],
)
def test_what_is_no_file_of_settings_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(ALERTS, [path])
    assert caught.value.problems == (f"{path}{message}",)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml: cannot be read: .*No such file"):
        read(ALERTS, [tmp_path / "nowhere.yml"])


def test_a_changed_number_reaches_rule_colour_and_condition(tmp_path: Path) -> None:
    numbers = read(ALERTS, defaults=changed(tmp_path, RATIO, "    threshold: 0.5\n"))
    (alert,) = alerts_on(FAILED_RUN_RATIO, numbers)
    assert alert.threshold == 0.5
    assert alert.expr == (
        "experiment:mlflow_runs_failed_per_ended:recent_ratio > 0.5\n"
        "and (experiment:mlflow_runs_failed_per_ended:recent_ratio - 0.5) * sqrt(experiment:mlflow_runs_ended:recent)"
        " > 1.163\n"
        "and experiment:mlflow_runs_ended:recent >= 5"
    )
    assert alert.condition == "More than 50 % of the runs of an experiment that finished or failed within 6h failed."
    assert alert.evidence[1] == "It takes at least 5 runs that finished or failed."


def test_a_changed_window_reaches_the_recording_rule(tmp_path: Path) -> None:
    numbers = read(ALERTS, defaults=changed(tmp_path, "window: 6h", "window: 90m"))
    rules = {
        rule["record"]: rule["expr"] for group in build_recording_rules(numbers)["groups"] for rule in group["rules"]
    }
    assert "[90m]" in rules["experiment_status:mlflow_runs:recent"]
    assert not [expr for expr in rules.values() if "<Mlflow" in expr]


def test_a_disabled_alert_is_in_no_rule_and_colours_nothing(tmp_path: Path) -> None:
    numbers = read(ALERTS, defaults=changed(tmp_path, RATIO, f"    enabled: false\n{RATIO}"))
    names = {rule["alert"] for group in build_alerts(numbers)["groups"] for rule in group["rules"]}
    assert names == {alert.name for alert in ALERTS} - {"MlflowFailedRunRatioHigh"}
    assert alerts_on(FAILED_RUN_RATIO, numbers) == ()


def test_a_new_team_gets_receivers_and_a_route(tmp_path: Path) -> None:
    numbers = read(ALERTS, defaults=changed(tmp_path, "[platform, mlops, growth]", "[platform, mlops, growth, search]"))
    config = alertmanager.build(thresholds=numbers)
    assert {"search-critical", "search-warning", "search-info"} <= {one["name"] for one in config["receivers"]}
    assert ['team="search"'] in [route["matchers"] for route in config["route"]["routes"]]


def test_a_further_channel_adds_to_the_receivers_that_it_chooses() -> None:
    class Pager:
        label = "pagerduty (pager)"

        def configs(self, receiver: alertmanager.Receiver) -> dict[str, list[dict[str, str]]]:
            wanted = receiver.severity == "critical"
            return {"pagerduty_configs": [{"routing_key_file": "/run/secrets/pager"}]} if wanted else {}

    receivers = alertmanager.build("http://127.0.0.1:9/", channels=[Pager()], alert_log_url="")["receivers"]
    paged = {one["name"] for one in receivers if "pagerduty_configs" in one}
    assert paged == {"platform-critical", "mlops-critical", "growth-critical"}
    # The test of a deployment is sent to the alert log only, and here there is none.
    others = [one for one in receivers if one["name"] != alertmanager.DEPLOYMENT_TEST]
    assert all(len(one["webhook_configs"]) == 1 for one in others)


def test_addresses_of_a_deployment_go_before_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFANA_URL", "https://grafana.example/monitoring/")
    monkeypatch.setenv("RUNBOOKS_URL", "https://wiki.example")
    assert main(["generate", "--output-dir", str(tmp_path), "--webhook-url", "http://hook.example/a?b=c"]) == 0
    alerts = yaml.safe_load((tmp_path / "alerts.yml").read_text())["groups"][0]["rules"][0]["annotations"]
    assert alerts["runbook_url"] == "https://wiki.example/MlMonitoringWatchdog"
    assert alerts["dashboard_url"].startswith("https://grafana.example/monitoring/d/ml-monitoring-exporter-health")
    receivers = yaml.safe_load((tmp_path / "alertmanager.yml").read_text())["receivers"]
    others = [one for one in receivers if one["name"] != alertmanager.DEPLOYMENT_TEST]
    assert {one["webhook_configs"][0]["url"] for one in others} == {"http://hook.example/a?b=c"}


def test_an_address_that_is_none_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAFANA_URL", "grafana:3000")
    assert main(["generate", "--output-dir", str(tmp_path / "out"), "--webhook-url", "hook"]) == 1
    assert capsys.readouterr().err == (
        "error: GRAFANA_URL: has no scheme: put http:// or https:// in front\n"
        "error: --webhook-url: is not an http:// or https:// address\n"
    )
    assert not (tmp_path / "out").exists()


def test_the_command_tells_what_is_wrong_with_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.yml"
    path.write_text("alerts: {MlflowFailedRunRatioHigh: {threshold: 30}}\n", encoding="utf-8")
    assert main(["generate", "--settings", str(path), "--output-dir", str(tmp_path / "out")]) == 1
    assert "threshold: 30 is not a ratio in 0..1" in capsys.readouterr().err


def test_the_default_numbers_are_read_once() -> None:
    assert load_thresholds() is load_thresholds()
    assert [alert.name for alert in load_alerts()] == [alert.name for alert in ALERTS]
