"""The AlertmanagerConfig says what Alertmanager's own configuration says, in the Operator's words."""

from __future__ import annotations

from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.generate.inline import inlined
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.k8s.manifests.alertmanagerconfig import alertmanager_config
from tests.support.kubernetes_schemas import problems

Json = dict[str, Any]
SECRET = "ml-monitoring-notifications"


def with_settings(**settings: Any) -> Thresholds:
    data = load_thresholds().model_dump(by_alias=True)
    data["notifications"] |= {"alert_log": None} | settings
    return Thresholds.model_validate(data)


CHANNELS = {
    "mail": {
        "kind": "email",
        "to": "oncall@example.org",
        "from": "alerts@example.org",
        "smarthost": "smtp.example.org:587",
        "username": "alerts",
        "password_file": "/run/secrets/smtp_password",
    },
    "chat": {"kind": "slack", "channel": "#alerts", "api_url_file": "/run/secrets/slack_url"},
    "pager": {"kind": "pagerduty", "escalations": True, "routing_key_file": "/run/secrets/pagerduty_key"},
    "tickets": {"kind": "webhook", "severities": ["warning", "info"], "url": "http://tickets.example.org/alerts"},
    "hidden": {"kind": "webhook", "url_file": "/run/secrets/hook", "credentials_file": "/run/secrets/hook_token"},
}
EVERYTHING = with_settings(
    channels=CHANNELS,
    heartbeat={"url_file": "/run/secrets/heartbeat"},
    actions={"retrain": {"url": "http://trainer.example.org/retrain"}},
    mute_times={
        "nights": {
            "severities": ["info"],
            "intervals": [
                {
                    "times": [{"start_time": "20:00", "end_time": "24:00"}],
                    "weekdays": ["monday:friday"],
                    "days_of_month": ["1:5", "-1"],
                    "months": ["january:march"],
                    "years": ["2026"],
                }
            ],
        }
    },
)


def back(spec: Json) -> Json:
    """Translate what both can say back into Alertmanager's words, as the Operator does it: routes and inhibitions."""

    def matchers(entries: list[Json]) -> list[str]:
        return [f'{each["name"]}{each["matchType"]}"{each["value"]}"' for each in entries]

    def route(entry: Json) -> Json:
        names = {
            "groupBy": "group_by",
            "groupWait": "group_wait",
            "groupInterval": "group_interval",
            "repeatInterval": "repeat_interval",
            "muteTimeIntervals": "mute_time_intervals",
        }
        result = {names.get(key, key): value for key, value in entry.items()}
        if "matchers" in entry:
            result["matchers"] = matchers(entry["matchers"])
        if "routes" in entry:
            result["routes"] = [route(child) for child in entry["routes"]]
        return result

    return {
        "route": route(spec["route"]),
        "inhibit_rules": [
            {
                "source_matchers": matchers(rule["sourceMatch"]),
                "target_matchers": matchers(rule["targetMatch"]),
                "equal": rule["equal"],
            }
            for rule in spec["inhibitRules"]
        ],
        "receivers": [receiver["name"] for receiver in spec["receivers"]],
    }


@pytest.mark.parametrize("thresholds", [with_settings(), EVERYTHING], ids=["as committed", "with everything"])
def test_routes_inhibitions_and_receivers_are_those_of_the_file(thresholds: Thresholds) -> None:
    config = alertmanager.build(thresholds=thresholds)
    resource = alertmanager_config("ml-monitoring", config)
    assert problems(resource) == []
    assert back(resource["spec"]) == {
        "route": config["route"],
        "inhibit_rules": config["inhibit_rules"],
        "receivers": [receiver["name"] for receiver in config["receivers"]],
    }


def test_channels_take_their_secrets_from_the_secret_by_the_files_names() -> None:
    spec = alertmanager_config("ml-monitoring", alertmanager.build(thresholds=EVERYTHING))["spec"]
    receivers = {receiver["name"]: receiver for receiver in spec["receivers"]}
    critical = receivers["platform-critical"]
    (mail,), (chat,), (pager,) = critical["emailConfigs"], critical["slackConfigs"], critical["pagerdutyConfigs"]
    assert mail["authPassword"] == {"name": SECRET, "key": "smtp_password"}
    assert mail["headers"] == [{"key": "Subject", "value": inlined('{{ template "ml.subject" . }}')}]
    assert chat["apiURL"] == {"name": SECRET, "key": "slack_url"}
    assert pager["routingKey"] == {"name": SECRET, "key": "pagerduty_key"}
    assert [each["key"] for each in pager["details"]] == ["firing", "resolved"]
    (hidden,) = critical["webhookConfigs"]
    assert hidden == {
        "urlSecret": {"name": SECRET, "key": "hook"},
        "httpConfig": {"authorization": {"credentials": {"name": SECRET, "key": "hook_token"}}},
        "sendResolved": True,
    }
    (tickets,) = receivers["platform-info"]["webhookConfigs"]
    assert tickets == {"url": "http://tickets.example.org/alerts", "sendResolved": True}
    assert receivers["watchdog"]["webhookConfigs"] == [
        {"urlSecret": {"name": SECRET, "key": "heartbeat"}, "sendResolved": False}
    ]
    assert "/run/secrets" not in str(spec)


def test_times_of_silence_are_translated() -> None:
    spec = alertmanager_config("ml-monitoring", alertmanager.build(thresholds=EVERYTHING))["spec"]
    assert spec["muteTimeIntervals"] == [
        {
            "name": "nights",
            "timeIntervals": [
                {
                    "times": [{"startTime": "20:00", "endTime": "24:00"}],
                    "weekdays": ["monday:friday"],
                    "daysOfMonth": [{"start": 1, "end": 5}, {"start": -1, "end": -1}],
                    "months": ["january:march"],
                    "years": ["2026"],
                }
            ],
        }
    ]


def test_what_the_operator_has_no_word_for_is_refused_by_name() -> None:
    teams = with_settings(channels={"teams": {"kind": "msteams", "webhook_url_file": "/run/secrets/teams"}})
    with pytest.raises(ConfigError, match="the Operator has no msteamsv2_configs; give Alertmanager its file"):
        alertmanager_config("ml-monitoring", alertmanager.build(thresholds=teams))
    interval = {"times": [{"start_time": "20:00", "end_time": "24:00"}], "location": "Europe/Berlin"}
    away = with_settings(mute_times={"nights": {"severities": ["info"], "intervals": [interval]}})
    with pytest.raises(ConfigError, match="cannot have a location; give them in UTC"):
        alertmanager_config("ml-monitoring", alertmanager.build(thresholds=away))
    with pytest.raises(ConfigError, match="no place for global"):
        alertmanager_config("ml-monitoring", alertmanager.build() | {"global": {}})
