"""A user's own file, laid over the defaults: what it changes, and how it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import ALERTS, load_thresholds
from ml_monitoring.alerting.model.thresholds import DEFAULT_PATHS, read
from ml_monitoring.dashboards.cli import main as dashboards
from ml_monitoring.exporter.errors import ConfigError

OWN = """\
# Ours.
teams: [platform, mlops, growth, search]
links: {grafana: "https://grafana.example"}
notifications:
  alert_log: null
  warning: {repeat_interval: 1d}
  channels:
    search: {kind: slack, teams: [search], channel: "#search", api_url_file: /run/secrets/slack_url}
alerts:
  MlflowFailedRunRatioHigh:
    threshold: 0.45
    team: search
    parameters: {minimum_runs: 50}
  MlflowRunHanging: null
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yml"
    path.write_text(OWN, encoding="utf-8")
    return path


def generated(directory: Path, name: str) -> Any:
    return yaml.safe_load((directory / name).read_text(encoding="utf-8"))


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    empty = tmp_path / "own.yml"
    empty.write_text("# nothing yet\n", encoding="utf-8")
    assert read(ALERTS) == read(ALERTS, [empty]) == load_thresholds()


def test_mappings_are_merged_lists_replaced_and_null_takes_away(own: Path) -> None:
    usual, changed = load_thresholds(), read(ALERTS, [own])
    assert changed.teams == ("platform", "mlops", "growth", "search")
    assert (changed.links.grafana, changed.links.runbooks) == ("https://grafana.example", usual.links.runbooks)
    assert changed.notifications.alert_log is None
    assert changed.notifications.warning.repeat_interval == "1d"
    assert changed.notifications.warning.group_wait == usual.notifications.warning.group_wait
    ratio = changed.alerts["MlflowFailedRunRatioHigh"]
    assert (ratio.threshold, ratio.for_, ratio.team) == (0.45, "5m", "search")
    assert ratio.parameters == {"window": "6h", "minimum_runs": 50}
    assert not changed.alerts["MlflowRunHanging"].enabled
    others = changed.alerts.keys() - {"MlflowFailedRunRatioHigh", "MlflowRunHanging"}
    assert all(changed.alerts[name] == usual.alerts[name] for name in others)


def test_of_several_files_the_last_goes_first(own: Path, tmp_path: Path) -> None:
    over = tmp_path / "over.yml"
    over.write_text(
        "alerts: {MlflowFailedRunRatioHigh: {threshold: 0.6}}\nnotifications: {channels: {search: null}}\n",
        encoding="utf-8",
    )
    changed = read(ALERTS, [own, over])
    assert changed.alerts["MlflowFailedRunRatioHigh"].threshold == 0.6
    assert changed.alerts["MlflowFailedRunRatioHigh"].team == "search"
    assert changed.notifications.channels == {}


def test_own_settings_reach_rules_and_routes(own: Path, tmp_path: Path) -> None:
    assert main(["generate", "--settings", str(own), "--output-dir", str(tmp_path / "out")]) == 0
    rules = {
        rule["alert"]: rule for group in generated(tmp_path / "out", "alerts.yml")["groups"] for rule in group["rules"]
    }
    assert "recent_ratio > 0.45" in rules["MlflowFailedRunRatioHigh"]["expr"]
    assert rules["MlflowFailedRunRatioHigh"]["labels"]["team"] == "search"
    assert rules.keys() == {alert.name for alert in ALERTS} - {"MlflowRunHanging"}
    receivers = {one["name"]: one for one in generated(tmp_path / "out", "alertmanager.yml")["receivers"]}
    assert [slack["channel"] for slack in receivers["search-warning"]["slack_configs"]] == ["#search"]
    assert "slack_configs" not in receivers["mlops-warning"]


def test_own_numbers_reach_the_colours_of_panels(own: Path, tmp_path: Path) -> None:
    for name, settings in (("usual", "/dev/null"), ("own", str(own))):
        assert dashboards(["generate", "--settings", settings, "--output-dir", str(tmp_path / name)]) == 0
    (page,) = (
        str(path.relative_to(tmp_path / "own"))
        for path in (tmp_path / "own").rglob("ml-monitoring-mlflow-experiments.json")
    )
    usual, changed = ((tmp_path / name / page).read_text(encoding="utf-8") for name in ("usual", "own"))
    assert ('"value": 0.3' in usual, '"value": 0.45' in usual) == (True, False)
    assert ('"value": 0.3' in changed, '"value": 0.45' in changed) == (False, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "alerts:\n  MlflowRunHangs: {for: 1h}",
            "2: alerts.MlflowRunHangs: no alert has this name; did you mean MlflowRunHanging?",
        ),
        ("alerts:\n  Mine: null", "2: alerts.Mine: no alert has this name"),
        (
            "alerts:\n  MlMonitoringWatchdog:\n    threshold: 1",
            "3: alerts.MlMonitoringWatchdog.threshold: this alert compares nothing",
        ),
        (
            "alerts:\n  MlflowFailedRunRatioHigh:\n    threshold: 45",
            "3: alerts.MlflowFailedRunRatioHigh.threshold: 45 is not a ratio in 0..1: write 0.45 for 45 %",
        ),
        (
            "alerts:\n  MlflowRunHanging:\n    threshold: 86400",
            "3: alerts.MlflowRunHanging.threshold: 86400 has no unit: write a duration such as 5m, 6h or 1d",
        ),
        (
            "alerts:\n  MlflowRunHanging:\n    unit: ratio",
            "3: alerts.MlflowRunHanging.unit: the signal oldest_running_age is in seconds, not ratio",
        ),
        (
            "alerts:\n  MlflowRunHanging: {team: ml}",
            "2: alerts.MlflowRunHanging.team: 'ml' is not one of the teams; there are: platform, mlops, growth",
        ),
        (
            "teams:\n  [platform, mlops]",
            "1: teams: lacks 'growth', which alerts.VariantEarlyKillRateHigh.team and 14 more name",
        ),
        (
            "alerts:\n  MlflowRunHanging: {action: retrain}",
            "2: alerts.MlflowRunHanging.action: 'retrain' is not in notifications.actions; there are: none",
        ),
        (
            "alerts:\n  MlflowRunHanging: {parameters: {window: 1h}}",
            "2: alerts.MlflowRunHanging.parameters.window: is not a parameter of this alert; there are: none",
        ),
        ("alerts:\n  MlflowRunHanging: {for: null}", "2: alerts.MlflowRunHanging.for: is missing"),
        (
            "alerts:\n  MlflowRunHanging: {for: 30m1h}",
            "2: alerts.MlflowRunHanging.for: not a duration: write it as 30s, 5m, 6h, 1d or 1h30m",
        ),
        ("traffic:\n  windw: 5m", "2: traffic.windw: unknown key"),
        (
            "slos:\n  latency_threshold: 0.3",
            "2: slos.latency_threshold: is not a bucket of the response times; take one of ",
        ),
        (
            "notifications:\n  channels:\n    chat: {channel: '#a'}",
            "3: notifications.channels.chat: lacks its kind: one of email, slack, pagerduty, msteams, webhook",
        ),
        (
            "notifications:\n  channels:\n    chat:\n      kind: slack\n      channel: 5\n      api_url_file: /x",
            "5: notifications.channels.chat.channel: must be a text, in quotes where it looks like something else",
        ),
        (
            "notifications:\n  channels:\n    hook: {kind: webhook}",
            "3: notifications.channels.hook: give either url or url_file",
        ),
        ("teams: platform", "1: teams: must be a list: [platform]"),
        ("teams: s3cr3t", "1: teams: must be a list: [a, b], or lines that begin with a dash"),
        ("extensions: [monitoring]", "1: extensions: must be a text, not a list: write it without brackets or dashes"),
        ("extensions: {monitoring: x}", "1: extensions: must be a text, not settings like `key: value`"),
        (
            "notifications:\n  channels:\n    mail:\n      {kind: email, to: [a@b], from: a@b, smarthost: 'h:25'}",
            "4: notifications.channels.mail.to: must be a text, not a list: write it without brackets or dashes",
        ),
        (
            "notifications: none",
            "1: notifications: must hold settings: write `channels: ...` on a line of its own below it",
        ),
        (
            "alerts: {MlflowRunHanging: 2d}",
            "1: alerts.MlflowRunHanging: must hold settings: write `threshold: ...` on a line of its own below it",
        ),
        (
            "alerts:\n  MlflowRunHanging:\n  threshold: 2d",
            "3: alerts.threshold: no alert has this name; it is a key of an alert: indent it below the alert",
        ),
        (
            "alerts:\n  MlflowFailedRunRatioHigh:\n  minimum_runs: 5",
            "3: alerts.minimum_runs: no alert has this name; it is a parameter: indent it below `parameters` of its "
            "alert",
        ),
        (
            "notifications:\n  channels:\n    chat:\n    kind: slack",
            "4: notifications.channels.kind: is a key of what is named above it: indent it further than that name",
        ),
        (
            "alerts:\n  ShopSlow: {expr: up}",
            "2: alerts.ShopSlow: no alert has this name; one of your own is a file that "
            "`ml-monitoring new alert ShopSlow` writes",
        ),
        (
            "business:\n  window: 1h\n  candidate: A",
            "3: business.candidate: is A, as is baseline: a variant",
        ),
        ("traffic:\n  day: 1d\n  window: 10s", "3: traffic.window: must be at least 1m, as a rate needs some scrapes"),
        ("traffic:\n  window: 0.5h", "2: traffic.window: not a duration: write it as 30m"),
        (
            "notifications:\n  channels:\n    chat:\n      kind: webhook\n      url: http://x/\n      severities: []",
            "6: notifications.channels.chat.severities: gets no alerts: name some, or leave the line out",
        ),
        (
            "notifications:\n  channels:\n    chat:\n      kind: webhook\n      url: http://x/\n      teams: []",
            "6: notifications.channels.chat.teams: names none: name some, or leave the line out for all teams",
        ),
        ("thresholds: {}", "1: thresholds: unknown key; there are: traffic, business, ab_test, "),
        ("links:\n  grafana: grafana:3000", "2: links.grafana: has no scheme: put http:// or https:// in front"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_file_and_line_of_the_own_file(
    text: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "own.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read(ALERTS, [path])
    (said,) = caught.value.problems
    assert said.startswith(f"{path}:{problem}")


def test_all_problems_are_listed_in_the_order_of_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text(
        "alerts:\n  Nobody: {for: 1m}\n  MlflowRunHanging:\n    threshold: 1\n    for: soon\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        read(ALERTS, [path])
    assert [problem.removeprefix(f"{path}:")[0] for problem in caught.value.problems] == ["2", "4", "5"]


def test_explain_names_the_file_of_each_number(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "MlflowFailedRunRatioHigh", "--settings", str(own)]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = lines[lines.index("  Set in") + 1 : lines.index("  Expression")]
    default = DEFAULT_PATHS[0]
    first = default.read_text(encoding="utf-8").splitlines().index("  MlflowFailedRunRatioHigh:") + 1
    assert shown == [
        f"    {own}:11: threshold: 0.45",
        f"    default (thresholds.yml:{first + 2}): unit: ratio",
        f"    default (thresholds.yml:{first + 3}): for: 5m",
        f"    default (thresholds.yml:{first + 4}): severity: warning",
        f"    {own}:12: team: search",
        f"    default (thresholds.yml:{first + 6}): confidence: 0.99",
        f"    default (thresholds.yml:{first + 9}): parameters.window: 6h",
        f"    {own}:13: parameters.minimum_runs: 50",
    ]


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text(
        "alerts:\n"
        "  MlflowRunHanging: {threshold: lots}\n"
        "  MlflowRunHangs: {threshold: 1d}\n"
        "  MlMonitoringSourceStale: {fro: 5m}\n"
        "selectors: {exporter: job=ml}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as refused:
        read(ALERTS, [path])
    begun = [
        "2: alerts.MlflowRunHanging.threshold: ",
        "3: alerts.MlflowRunHangs: no alert has this name",
        "4: alerts.MlMonitoringSourceStale.fro: unknown key",
        "5: selectors.exporter: 'job=ml' is no list of matchers: "
        'write job="node",namespace="ml", values in double quotes',
    ]
    problems = refused.value.problems
    assert len(problems) == len(begun), problems
    for problem, begin in zip(problems, begun, strict=True):
        assert problem.startswith(f"{path}:{begin}"), problem
