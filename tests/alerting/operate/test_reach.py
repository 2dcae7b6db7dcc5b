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
        "time_intervals": [{"name": "nights"}, {"name": "office"}],
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
    wanted = ("### Notify you no more", "### Notify elsewhere", "### May notify you from now on")
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


NOBODY = "reaches no channel any more (before: slack)"


@pytest.mark.parametrize(
    ("before", "after", "new", "shown"),
    [
        (alert("Hot"), alert("Hot", team="growth"), None, NOBODY),
        (alert("Hot"), alert("Hot", "info"), None, NOBODY),
        (alert("Hot"), alert("Hot"), _without_platform(), NOBODY),
        (alert("Hot"), alert("Hot", team="mlops"), None, "no longer reaches slack|reaches email after 30s"),
        (alert("Hot", team="mlops"), alert("Hot", "critical", "mlops"), None, "reaches pagerduty after 30s"),
        (alert("Hot", "info"), alert("Hot"), None, "reaches slack after 30s"),
        (alert("Hot", "info"), alert("Hot", "info"), _with_channel(), "reaches email after 30s"),
        # Another name of the same channel is no other channel.
        (alert("Hot"), alert("Hot"), _renamed(), ""),
        (alert("Hot", "info"), alert("Hot", team="growth"), None, ""),
    ],
)
def test_an_alert_that_goes_elsewhere_is_named_with_the_kinds_of_channels(
    before: Json, after: Json, new: Json | None, shown: str
) -> None:
    assert said(before, after, None, new) == [f"- **Hot** {line}" for line in shown.split("|") if line]


def test_alerts_that_go_the_same_way_share_a_line() -> None:
    names = [f"A{number:02}" for number in range(12)]
    old, new = (
        Version([{"rules": [alert(name, team=team) for name in names]}], config()) for team in ("platform", "growth")
    )
    report = compare(old, new).splitlines()
    assert report[0] == "- alerts: 12 changed, 12 reaching fewer channels"
    assert "- **all 12 alerts** reach no channel any more (before: slack)" in report
    for version, team in ((old, "growth"), (new, "growth")):
        version.groups[0]["rules"][0] = alert("A00", team=team)
    assert (
        "- **A01, A02, A03, A04, A05, A06, A07, A08, A09, A10, 1 more (`--all` names them)** reach no channel "
        "any more (before: slack)"
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
    # Newer ones warn above of an empty value.
    assert ",".join(stop.receiver for stop in stops(config(), labels)) == found.stdout.splitlines()[-1]


def _without_slack() -> Json:
    new = config()
    del new["receivers"][2]["slack_configs"]
    return new


def _with_pager() -> Json:
    """Return a configuration in which the same pager is called at once and, for all that is critical, late."""
    new = config()
    pager = {"pagerduty_configs": [{"routing_key": "hunter2"}]}
    new["receivers"] = [
        {"name": "late", **pager} if one["name"] == "duty" else one | pager for one in config()["receivers"]
    ]
    new["route"]["routes"][0] |= {"receiver": "late", "group_wait": "30m"}
    new["route"]["group_wait"] = "10s"
    return new


def test_a_channel_that_is_gone_is_said_although_a_log_is_left() -> None:
    assert said(alert("Hot"), alert("Hot"), None, _without_slack()) == [f"- **Hot** {NOBODY}"]


def test_a_channel_is_reached_as_soon_as_by_the_first_of_its_receivers() -> None:
    new = _with_pager()
    assert said(alert("Hot"), alert("Hot"), None, new) == ["- **Hot** reaches pagerduty after 10s"]
    duty = alert("Hot", "critical", "mlops")
    assert said(duty, duty, new, config()) == ["- **Hot** no longer reaches pagerduty (once more by late)"]
    assert "- **Hot** sent to email, pagerduty: first (`group_wait`) after `10s` → `30s`" in compare(
        Version([{"rules": [duty]}], new), Version([{"rules": [duty]}], config())
    )


def _called_late(new: Json, **options: Any) -> list[str]:
    """Return what is said of a pager that two routes call when something changes of the first, and when it is back."""
    old = _with_pager()
    changed = copy.deepcopy(old) | new
    changed["route"]["routes"][2]["routes"][0] |= options
    versions = [Version([{"rules": [alert("Hot", "critical", "mlops")]}], one) for one in (old, changed)]
    reports = [compare(*pair) for pair in (versions, versions[::-1])]
    return [line for report in reports for line in report.splitlines() if line[:7] == "- **Hot" and "pager" in line]


def test_a_channel_that_a_later_route_still_reaches_is_later_and_not_lost() -> None:
    receivers = [{"name": "mlops"} if one["name"] == "mlops" else one for one in _with_pager()["receivers"]]
    for lines in (_called_late({"receivers": receivers}), _called_late({}, receiver="none")):
        assert lines == [
            "- **Hot** reaches pagerduty only by late after 30m (before: after 10s)",
            "- **Hot** reaches pagerduty after 10s (before: only by late after 30m)",
        ]


def test_times_of_silence_name_a_channel_that_another_route_reaches_in_them() -> None:
    office = "outside of the time office (`active_time_intervals`)"
    assert _called_late({}, active_time_intervals=["office"]) == [
        f"- **Hot** not sent to email, pagerduty (but by late after 30m), webhook {office}",
        f"- **Hot** now sent to email, pagerduty, webhook {office}",
    ]


def _top(new: Json, *rules: Json) -> list[str]:
    """Return what is said first of a changed configuration."""
    listed = [{"rules": [*rules, alert("Hot")]}]
    first = compare(Version(listed, config()), Version(listed, new)).partition("### ")[2].partition("\n\n###")[0]
    return first.splitlines()[2:] if first.startswith("Notify you no more") else []


def test_a_route_that_names_what_there_is_not_keeps_alertmanager_from_loading_all() -> None:
    why = "- **alertmanager.yml** Alertmanager will not load it: a route names the {}, which there is not"
    assert _top(_with(receiver="platfrom"))[0] == why.format("receiver platfrom")
    for key in ("mute_time_intervals", "active_time_intervals"):
        assert _top(_with(**{key: ["weekend"]})) == [why.format("time weekend")]
        assert _top(_with(**{key: ["office"]})) == []


def test_what_an_alert_that_always_fires_mutes_is_never_sent() -> None:
    always = alert("Watchdog", "none") | {"expr": " vector(1)"}
    inhibition = {"source_matchers": ["alertname=Watchdog"], "target_matchers": ["severity=warning"]}
    muted = "- **Hot** never sent: muted by an inhibition while Watchdog fires, which is always"
    assert _top(config() | {"inhibit_rules": [inhibition]}, always) == [muted]
    for other in ({"equal": ["job"]}, {"source_matchers": ["alertname=Hot"]}, {"target_matchers": ["severity=info"]}):
        assert _top(config() | {"inhibit_rules": [inhibition | other]}, always) == []


def test_another_address_of_the_same_kind_is_another_channel_but_a_new_secret_of_a_channel_of_slack_is_not() -> None:
    new = config()
    new["receivers"][3]["email_configs"] = [{"to": "hunter3@example.org", "headers": {}}]
    mlops = alert("Hot", team="mlops")
    assert said(mlops, mlops, None, new) == [
        "- **Hot** reaches email at another address, no longer at the former",
    ]
    both = [config(), config()]
    for place, one in enumerate(both):
        one["receivers"][2]["slack_configs"] = [{"channel": "#ops", "api_url": f"hunter{place}", "title": place}]
    assert said(alert("Hot"), alert("Hot"), *both) == []
    both[1]["receivers"][2]["slack_configs"][0]["channel"] = "#other"
    assert said(alert("Hot"), alert("Hot"), *both) == [
        "- **Hot** reaches slack (#other), no longer slack (#ops)",
    ]


def test_an_alert_that_came_or_went_and_notifies_nobody_is_not_said_to_notify() -> None:
    hot, cold = alert("Hot", "info"), alert("Cold") | {"expr": "cold"}
    for old, new, word in ((cold, hot, "added"), (hot, cold, "removed")):
        report = compare(Version([{"rules": [old]}], config()), Version([{"rules": [new]}], config())).splitlines()
        place = report.index("### Added or removed, notifying nobody")
        assert report[place + 2] == f"- **Hot** {word} (info, platform)"
        other = {"added": "### Notify you no more", "removed": "### May notify you from now on"}[word]
        assert report[report.index(other) + 2].startswith("- **Cold** ")


def test_times_in_which_nothing_is_sent_and_inhibitions_make_alerts_quieter() -> None:
    new = config()
    new["route"]["routes"][1] |= {"mute_time_intervals": ["nights"], "group_wait": "2m"}
    new["inhibit_rules"] = [{"source_matchers": ["a=1"], "target_matchers": ["b=2"]}]
    rules = [{"rules": [alert("Hot")]}]
    assert compare(Version(rules, config()), Version(rules, new)).splitlines() == [
        "- alerts: 1 reaching channels at other times",
        "- inhibitions: 1 changed",
        "",
        "### Later or quieter",
        "",
        "- **Hot** sent to slack: first (`group_wait`) after `30s` → `2m`",
        "- **Hot** not sent to slack in the time nights",
        '- **inhibition** added: `a="1" mutes b="2", same nothing`',
    ]


def _with(**options: Any) -> Json:
    new = config()
    new["route"]["routes"][1] |= options
    return new


@pytest.mark.parametrize(
    ("old", "new", "direction", "shown"),
    [
        (
            {},
            {"repeat_interval": "1d"},
            "Later or quieter",
            "sent to slack: again, while it fires (`repeat_interval`), every `4h` → `1d`",
        ),
        (
            {"group_interval": "90s", "repeat_interval": "2h"},
            {"repeat_interval": "2h"},
            "Later or quieter",
            "sent to slack: what changes of its group (`group_interval`) after `1m30s` → `5m`",
        ),
        ({"group_wait": "5m"}, {"group_wait": "300s"}, "", ""),
        (
            {},
            {"group_wait": "0s", "repeat_interval": "1m"},
            "Sooner or louder",
            "sent to slack: first (`group_wait`) after `30s` → `0s`; "
            "again, while it fires (`repeat_interval`), every `4h` → `1m`",
        ),
        (
            {},
            {"active_time_intervals": ["office"]},
            "Later or quieter",
            "not sent to slack outside of the time office (`active_time_intervals`)",
        ),
        (
            {"active_time_intervals": ["office"]},
            {"active_time_intervals": []},
            "Sooner or louder",
            "now sent to slack outside of the time office (`active_time_intervals`)",
        ),
    ],
)
def test_waits_of_routes_are_said_in_words_by_their_direction(old: Json, new: Json, direction: str, shown: str) -> None:
    rules = [{"rules": [alert("Hot")]}]
    report = compare(Version(rules, _with(**old)), Version(rules, _with(**new)))
    assert report.splitlines()[2:] == ([f"### {direction}", "", f"- **Hot** {shown}"] if shown else [])


def test_an_address_that_moved_to_another_file_may_be_the_same() -> None:
    both = []
    for place in "ab":
        both.append(config())
        both[-1]["receivers"][2] = {"name": "platform", "pagerduty_configs": [{"routing_key_file": f"/run/{place}"}]}
    rules = [{"rules": [alert("Hot")]}]
    assert compare(*(Version(rules, one) for one in both)).splitlines()[2:9] == [
        "### Notify you only if the new credentials are right",
        "",
        "- **receiver platform** pagerduty changed (routing_key_file)",
        "",
        "### Changed otherwise",
        "",
        "- **Hot** reaches pagerduty at the address that another file holds: as before only where that is the same",
    ]
    both[0]["receivers"][2]["pagerduty_configs"] = [{"routing_key": "hunter2"}]
    assert said(alert("Hot"), alert("Hot"), *both) == []


def test_a_log_that_all_receivers_have_is_one_line_when_it_comes_or_goes() -> None:
    new = config()
    for one in new["receivers"]:
        one["webhook_configs"] = [LOG, {"url": "http://127.0.0.1:9/more"}]
    rules = [{"rules": [alert("Hot")]}]
    for old, other, word, title, count in (
        (config(), new, "added", "Alertmanager and other files", "Alertmanager and other files: 1 changed"),
        (new, config(), "removed", "Notify you no more", "receivers: all without a channel that all had"),
    ):
        assert compare(Version(rules, old), Version(rules, other)).splitlines() == [
            f"- {count}",
            "",
            f"### {title}",
            "",
            f"- **all receivers** channels of webhook that all have, such as the alert log, {word}: `1`",
        ]
