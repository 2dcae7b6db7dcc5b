"""Alerts that reach other channels, or none any more, are named by the routes of both configurations."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.operate.changes import Version, compare
from ml_monitoring.alerting.operate.routing import stops

Json = dict[str, Any]
LOG = {"url": "http://127.0.0.1:9/log"}


def alert(name: str, severity: str = "warning", team: str = "platform") -> Json:
    return {"alert": name, "expr": "heat > 20", "labels": {"severity": severity, "team": team}}


def config() -> Json:
    """Return a configuration with the forms in which others write theirs."""
    return {
        "route": {
            "receiver": "rest",
            "routes": [
                {"match": {"severity": "critical"}, "receiver": "duty", "continue": True},
                {"matchers": ['{team=platform, severity=~"x|warning"}'], "receiver": "platform"},
                {"match_re": {"team": "mlops|growth"}, "routes": [{"matchers": ["team=mlops"], "receiver": "mlops"}]},
            ],
        },
        "receivers": [
            {"name": "rest", "webhook_configs": [LOG]},
            {"name": "duty", "webhook_configs": [LOG], "pagerduty_configs": [{"routing_key": "hunter2"}]},
            {
                "name": "platform",
                "webhook_configs": [LOG],
                "slack_configs": [{"api_url": "https://example.org/hunter2"}],
            },
            {"name": "mlops", "webhook_configs": [LOG], "email_configs": [{"to": "hunter2@example.org"}]},
        ],
    }


def said(before: Json, after: Json, old: Json | None = None, new: Json | None = None) -> list[str]:
    both = (Version([{"rules": [one]}], chosen or config()) for one, chosen in ((before, old), (after, new)))
    report = compare(*both)
    assert "hunter" not in report
    wanted = ("### Notify you no more", "### May notify you from now on")
    sections = [section.splitlines() for section in report.split("\n\n### ")]
    return [line for title, *listed in sections if f"### {title}" in wanted for line in listed if line]


def _without_platform() -> Json:
    new = config()
    del new["route"]["routes"][1]
    return new


def _renamed() -> Json:
    new = config()
    new["receivers"][2]["name"] = new["route"]["routes"][1]["receiver"] = "ml-monitoring-platform"
    return new


def _with_channel() -> Json:
    new = config()
    new["receivers"][0]["email_configs"] = [{"to": "hunter2@example.org"}]
    return new


NOBODY = "rest (without a channel of its own)"


@pytest.mark.parametrize(
    ("before", "after", "new", "shown"),
    [
        (
            alert("Hot"),
            alert("Hot", team="growth"),
            None,
            f"reaches no channel any more: platform (slack) → {NOBODY}",
        ),
        (alert("Hot"), alert("Hot", "info"), None, f"reaches no channel any more: platform (slack) → {NOBODY}"),
        (alert("Hot"), alert("Hot"), _without_platform(), f"reaches no channel any more: platform (slack) → {NOBODY}"),
        (alert("Hot"), alert("Hot", team="mlops"), None, "reaches mlops (email) in place of platform (slack)"),
        (alert("Hot", team="mlops"), alert("Hot", "critical", "mlops"), None, "reaches duty (pagerduty)"),
        (alert("Hot", "info"), alert("Hot"), None, "reaches platform (slack)"),
        (alert("Hot", "info"), alert("Hot", "info"), _with_channel(), "reaches rest (email)"),
        # Another name of the same channel is no other channel.
        (alert("Hot"), alert("Hot"), _renamed(), ""),
        (alert("Hot", "info"), alert("Hot", team="growth"), None, ""),
    ],
)
def test_an_alert_that_goes_elsewhere_is_named_with_the_kinds_of_channels(
    before: Json, after: Json, new: Json | None, shown: str
) -> None:
    assert said(before, after, None, new) == ([f"- **Hot** {shown}"] if shown else [])


def test_alerts_that_go_the_same_way_share_a_line() -> None:
    names = [f"A{number:02}" for number in range(12)]
    old, new = (
        Version([{"rules": [alert(name, team=team) for name in names]}], config()) for team in ("platform", "growth")
    )
    assert (
        "- **A00, A01, A02, A03, A04, A05, A06, A07, A08, A09, 2 more** reaches no channel any more: "
        f"platform (slack) → {NOBODY}"
    ) in compare(old, new).splitlines()


def test_a_receiver_that_lost_its_channels_is_not_said_once_more_for_each_alert() -> None:
    new = config()
    new["receivers"][2] = {"name": "platform"}
    assert said(alert("Hot"), alert("Hot"), None, new) == ["- **what goes to platform:** nobody is notified any more"]


@pytest.mark.parametrize("odd", [{"matchers": ["team"]}, {"match_re": {"team": "("}}, {"matchers": 5}])
def test_routes_that_cannot_be_followed_stop_no_comparison(odd: Json) -> None:
    new = copy.deepcopy(config())
    new["route"]["routes"].insert(0, odd)
    assert said(alert("Hot"), alert("Hot", team="growth"), None, new) == []


@pytest.mark.parametrize("team", ["platform", "mlops", "growth", ""])
@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_routes_of_others_are_followed_as_alertmanager_follows_them(
    team: str, severity: str, programs: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump({"global": {"smtp_smarthost": "a:1", "smtp_from": "a@b"}} | config()), "utf-8")
    labels = {"alertname": "X", "team": team, "severity": severity}
    command = [str(programs["amtool"]), "config", "routes", "test", f"--config.file={path}"]
    found = subprocess.run(
        [*command, *(f"{name}={value}" for name, value in labels.items())], capture_output=True, text=True, check=True
    )
    assert ",".join(stop.receiver for stop in stops(config(), labels)) == found.stdout.strip()
