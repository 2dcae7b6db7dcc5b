"""The alerts for Grafana's own alerting, against Grafana's SDK and against what Alertmanager does with the same."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import alerting as sdk

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate import alertmanager, grafana, grafana_notifications, grafana_rules
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.operate.routing import stops
from tests.support.round_trip import lost

Json = dict[str, Any]
CHANNELS: Json = {
    "mail": {
        "kind": "email",
        "teams": ["platform"],
        "to": "oncall@example.org, second@example.org",
        "from": "alerts@example.org",
        "smarthost": "smtp.example.org:587",
        "username": "alerts",
        "password_file": "/run/secrets/smtp_password",
    },
    "chat": {"kind": "slack", "teams": ["mlops"], "channel": "#alerts$1", "api_url_file": "/run/secrets/slack_url"},
    "pager": {
        "kind": "pagerduty",
        "severities": ["critical"],
        "escalations": True,
        "routing_key_file": "/run/secrets/pagerduty_key",
    },
    "workflow": {"kind": "msteams", "teams": ["growth"], "webhook_url_file": "/run/secrets/teams_url"},
    "tickets": {
        "kind": "webhook",
        "severities": ["info"],
        "url": "http://tickets.example.org/alerts",
        "credentials_file": "/run/secrets/tickets_token",
    },
}
NIGHTS: Json = {
    "nights": {
        "severities": ["info"],
        "intervals": [{"times": [{"start_time": "20:00", "end_time": "24:00"}], "weekdays": ["monday:friday"]}],
    }
}


def with_settings(**settings: Any) -> Thresholds:
    data = load_thresholds().model_dump(by_alias=True)
    data["notifications"] |= settings
    return Thresholds.model_validate(data)


RICH = with_settings(
    channels=CHANNELS,
    mute_times=NIGHTS,
    heartbeat={"url_file": "/run/secrets/heartbeat_url"},
    actions={"retrain": {"url": "http://trainer.example.org/retrain"}},
)
PLAIN = load_thresholds()
SILENT = with_settings(alert_log=None)


def files(thresholds: Thresholds) -> dict[str, Json]:
    return {name: yaml.safe_load(text) for name, text in grafana.files(thresholds).items()}


def rules(thresholds: Thresholds = PLAIN) -> dict[str, Json]:
    groups = grafana_rules.build(thresholds, datasource="prometheus")
    return {rule["title"]: rule for group in groups for rule in group["rules"]}


def notifications(thresholds: Thresholds) -> grafana_notifications.GrafanaNotifications:
    return grafana_notifications.build(thresholds, grafana_notifications.ForFiles())


def round_trip(model: Any, given: Json) -> list[str]:
    return list(lost(given, json.loads(json.dumps(model.from_json(given), cls=JSONEncoder))))


def test_each_enabled_alert_is_one_rule_with_the_same_condition_labels_and_wait() -> None:
    made = rules()
    alerts = load_alerts(PLAIN)
    assert [*made] == [alert.name for alert in alerts]
    for alert in alerts:
        rule = made[alert.name]
        assert rule["data"][0]["model"]["expr"] == alert.expr
        assert rule["labels"] == {**alert.rule_labels, "stack": "ml-monitoring"}
        assert rule["for"] == alert.numbers.for_


def test_a_rule_is_written_as_grafana_itself_writes_rules_of_prometheus() -> None:
    assert rules()["MlMonitoringSourceStale"] == {
        "uid": "ml-monitoring-4e17a2b66cb29a6efd5c",
        "title": "MlMonitoringSourceStale",
        "condition": "C",
        "for": "1m",
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": {"severity": "warning", "team": "platform", "stack": "ml-monitoring"},
        "annotations": {
            "summary": "A source of the exporter is stale.",
            "description": "The exporter {{ $labels.instance }} last read its source {{ $labels.source }} "
            '{{ with $values.A }}{{ .Value | printf "%.1f" }}{{ end }} refresh intervals ago. Panels show old numbers.',
            "runbook_url": "http://127.0.0.1:9847/runbooks/MlMonitoringSourceStale",
            "dashboard_url": "http://127.0.0.1:3000/d/ml-monitoring-exporter-health?viewPanel=1568927857"
            "&var-exporter={{ with $labels.instance }}{{ . | urlquery }}{{ end }}"
            "&var-source={{ with $labels.source }}{{ . | urlquery }}{{ end }}",
            "__dashboardUid__": "ml-monitoring-exporter-health",
            "__panelId__": "1568927857",
        },
        "data": [
            {
                "refId": "A",
                "relativeTimeRange": {"from": 600, "to": 0},
                "datasourceUid": "prometheus",
                "model": {
                    "refId": "A",
                    "datasource": {"type": "prometheus", "uid": "prometheus"},
                    "expr": "instance_source:ml_monitoring_source_age_per_interval:ratio > 3\n"
                    "and ml_monitoring_source_up == 1",
                    "instant": True,
                    "range": False,
                },
            },
            {
                "refId": "B",
                "relativeTimeRange": {"from": 600, "to": 0},
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "B",
                    "datasource": {"type": "__expr__", "uid": "__expr__"},
                    "type": "math",
                    "expression": "is_number($A) || is_nan($A) || is_inf($A)",
                },
            },
            {
                "refId": "C",
                "relativeTimeRange": {"from": 600, "to": 0},
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "C",
                    "datasource": {"type": "__expr__", "uid": "__expr__"},
                    "type": "threshold",
                    "expression": "B",
                    "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
                },
            },
        ],
    }


def test_names_fit_what_grafana_takes_and_are_the_projects_own() -> None:
    uids = [rule["uid"] for rule in rules(RICH).values()]
    said = notifications(RICH)
    points = [one["uid"] for point in said.contact_points for one in point["receivers"]]
    for names in (uids, points):
        assert len(names) == len(set(names))
        # Grafana: at most 40 letters, digits, dashes and underscores.
        assert all(re.fullmatch(r"ml-monitoring-[\w-]{1,26}", name, re.ASCII) for name in names)
    named = [*said.contact_points, *said.mute_times]
    assert all(one["name"].startswith("ml-monitoring-") for one in named)
    assert all(name.startswith("ml-monitoring-") for name in grafana.files(RICH))


@pytest.mark.parametrize(
    ("prometheus", "expected"),
    [
        (
            "{{ $value | humanizePercentage }} failed",
            "{{ with $values.A }}{{ .Value | humanizePercentage }}{{ end }} failed",
        ),
        ('{{ printf "%.2g" $value }}', '{{ with $values.A }}{{ printf "%.2g" .Value }}{{ end }}'),
        ("{{ $labels.job }}{{ with $labels.origin }}, {{ . }}{{ end }}",) * 2,
        ("x={{ $labels.a | urlquery }}", "x={{ with $labels.a }}{{ . | urlquery }}{{ end }}"),
        (
            'x={{ $labels.a | reReplaceAll "b" "$1-c" | urlquery }}',
            'x={{ with $labels.a }}{{ . | reReplaceAll "b" "$1-c" | urlquery }}{{ end }}',
        ),
    ],
)
def test_annotations_are_translated(prometheus: str, expected: str) -> None:
    assert grafana_rules.annotation(prometheus) == expected


def test_no_annotation_holds_what_grafana_would_take_for_something_else() -> None:
    with_logs = Thresholds.model_validate(
        PLAIN.model_dump(by_alias=True)
        | {"links": PLAIN.links.model_dump() | {"logs": "http://127.0.0.1:3000/d/ml-monitoring-logs"}}
    )
    texts = [text for rule in rules(with_logs).values() for text in rule["annotations"].values()]
    assert any("var-service=" in text for text in texts)
    # Newer Grafana reads ${...} in a file as a variable of its environment; $value is a sentence.
    assert [text for text in texts if "${" in text or re.search(r"\$value\b", text)] == []
    # Functions that both have, in the Prometheus library of Grafana 9.4 too.
    used = {word for text in texts for word in re.findall(r"(?:\{\{|\|) ([a-z]\w*)\b", text)}
    assert used <= {"end", "with", "urlquery", "humanize", "humanizePercentage", "humanizeDuration", "printf"} | {
        "reReplaceAll"
    }


@pytest.mark.parametrize("thresholds", [PLAIN, RICH], ids=["plain", "rich"])
def test_grafanas_sdk_knows_every_key(thresholds: Thresholds) -> None:
    said = notifications(thresholds)
    assert {name: round_trip(sdk.Rule, rule) for name, rule in rules(thresholds).items()} == {
        name: [] for name in rules()
    }
    assert round_trip(sdk.NotificationPolicy, said.policy) == []
    points = [one for point in said.contact_points for one in point["receivers"]]
    assert [round_trip(sdk.ContactPoint, one) for one in points] == [[] for _ in points]


@pytest.mark.parametrize("thresholds", [PLAIN, RICH, SILENT], ids=["plain", "rich", "silent"])
def test_each_policy_names_a_contact_point_that_is_there(thresholds: Thresholds) -> None:
    said = notifications(thresholds)
    named = {policy["receiver"] for policy in every_policy(said.policy)}
    assert named <= {point["name"] for point in said.contact_points} | {"grafana-default-email"}
    muted = {name for policy in every_policy(said.policy) for name in policy.get("mute_time_intervals", [])}
    assert muted == {mute["name"] for mute in said.mute_times}


def as_alertmanager(policy: Json) -> Json:
    """Return a policy as a route of Alertmanager again, without what only Grafana needs."""
    route = {key: value for key, value in policy.items() if key not in {"object_matchers", "routes"}}
    route["matchers"] = [f'{label}{operator}"{value}"' for label, operator, value in policy["object_matchers"]]
    children = [as_alertmanager(child) for child in policy.get("routes", [])]
    return route | ({"routes": children} if children else {})


@pytest.mark.parametrize("thresholds", [PLAIN, RICH], ids=["plain", "rich"])
def test_grafana_notifies_the_same_people_at_the_same_times_as_alertmanager(thresholds: Thresholds) -> None:
    theirs = alertmanager.build(thresholds=thresholds)
    policy = as_alertmanager(notifications(thresholds).policy)
    ours: Json = {
        "route": policy,
        "receivers": [{"name": f"ml-monitoring-{receiver['name']}"} for receiver in theirs["receivers"]],
    }
    alerts = load_alerts(thresholds)
    for alert in alerts:
        labels = {"alertname": alert.name, **alert.labels}
        expected = [
            (f"ml-monitoring-{stop.receiver}", stop.group_wait, stop.repeat_interval) for stop in stops(theirs, labels)
        ]
        found = stops(ours, labels | {"stack": "ml-monitoring"})
        muted = {name for stop in found for name in stop.muted_at}
        assert [(stop.receiver, stop.group_wait, stop.repeat_interval) for stop in found] == expected
        assert muted <= {"ml-monitoring-nights"}
        assert bool(muted) is (thresholds is RICH and alert.severity == "info")


def test_rules_that_cannot_be_evaluated_are_one_notification_of_the_team_of_the_stack() -> None:
    first = notifications(PLAIN).policy["routes"][0]
    assert first == {
        "object_matchers": [["alertname", "=~", "DatasourceError|DatasourceNoData"]],
        "receiver": "ml-monitoring-platform-critical",
        "group_by": ["alertname"],
        "group_wait": "2m",
        "group_interval": "1m",
        "repeat_interval": "15m",
    }


def test_where_nobody_is_notified_the_policy_is_muted_and_not_handed_to_others() -> None:
    said = notifications(SILENT)
    assert said.contact_points == ()
    assert said.unmatched == ""
    assert said.mute_times == (
        {
            "name": "ml-monitoring-never",
            "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}],
        },
    )
    # Grafana 9.4 refuses a policy that names none.
    assert {policy["receiver"] for policy in every_policy(said.policy)} == {"grafana-default-email"}
    leaves = [policy for policy in every_policy(said.policy) if "routes" not in policy]
    assert [policy["mute_time_intervals"] for policy in leaves] == [["ml-monitoring-never"]] * len(leaves)


def every_policy(policy: Json) -> list[Json]:
    return [policy, *(one for child in policy.get("routes", []) for one in every_policy(child))]


def test_channels_become_integrations_and_secrets_stay_in_files() -> None:
    points = {
        point["name"]: point["receivers"] for point in files(RICH)["ml-monitoring-contact-points.yaml"]["contactPoints"]
    }

    def settings(point: str) -> list[tuple[str, Json]]:
        return [(one["type"], one["settings"]) for one in points[f"ml-monitoring-{point}"]]

    log = (
        "webhook",
        {
            "url": "http://alertlog:9848/alerts",
            "maxAlerts": 2_000,
            "authorization_scheme": "Bearer",
            "authorization_credentials": "$__file{/run/secrets/alertlog_token}",
        },
    )
    text = '{{ template "ml.subject" . }}'
    assert settings("platform-warning") == [
        log,
        (
            "email",
            {
                "addresses": "oncall@example.org;second@example.org",
                "subject": text,
                "message": '{{ template "ml.text" . }}',
            },
        ),
    ]
    assert settings("mlops-warning") == [
        log,
        (
            "slack",
            {
                "url": "$__file{/run/secrets/slack_url}",
                "recipient": "#alerts$$1",
                "title": '{{ template "ml.slack.subject" . }}',
                "text": '{{ template "ml.slack" . }}',
            },
        ),
    ]
    assert settings("growth-warning")[1] == (
        "teams",
        {
            "url": "$__file{/run/secrets/teams_url}",
            "title": '{{ template "ml.markdown.subject" . }}',
            "message": '{{ template "ml.markdown" . }}',
        },
    )
    assert settings("escalation")[1][1]["integrationKey"] == "$__file{/run/secrets/pagerduty_key}"
    assert settings("growth-info")[1] == (
        "webhook",
        {
            "url": "http://tickets.example.org/alerts",
            "authorization_scheme": "Bearer",
            "authorization_credentials": "$__file{/run/secrets/tickets_token}",
        },
    )
    assert settings("watchdog")[1] == ("webhook", {"url": "$__file{/run/secrets/heartbeat_url}"})
    # The end of an alert is no reason to act again.
    assert [one["disableResolveMessage"] for one in points["ml-monitoring-action-retrain"]] == [True, False]


def test_messages_lead_to_grafanas_pages(programs: dict[str, Path], tmp_path: Path) -> None:
    labels = {"alertname": "MlflowRunHanging", "experiment": "a & b", "team": "mlops"}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"description": "A run of a & b hangs."},
        "startsAt": "2026-11-21T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "1",
    }
    data = {
        "receiver": "ml-monitoring-mlops-info",
        "status": "firing",
        "alerts": [alert],
        "groupLabels": {},
        "commonLabels": labels,
        "commonAnnotations": alert["annotations"],
        # With the slash at the end that Grafana's own address has.
        "externalURL": "http://grafana.example.org/grafana/",
    }
    (tmp_path / "data.json").write_text(json.dumps(data))
    (tmp_path / "texts.tmpl").write_text(notifications(PLAIN).template)
    done = subprocess.run(
        [
            *(programs["amtool"], "template", "render", f"--template.glob={tmp_path / '*.tmpl'}"),
            *('--template.text={{ template "ml.text" . }}', f"--template.data={tmp_path / 'data.json'}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        "A run of a & b hangs.\n"
        "  Began to fire: 2026-11-21 08:00 UTC\n"
        "\n"
        "Team: mlops\n"
        "Grafana: http://grafana.example.org/grafana/alerting/list\n"
        "Silence: http://grafana.example.org/grafana/alerting/silence/new?alertmanager=grafana"
        "&matcher=alertname%3DMlflowRunHanging&matcher=experiment%3Da+%26+b&matcher=team%3Dmlops"
    )


def test_no_definition_of_a_message_is_there_twice() -> None:
    names = re.findall(r'define "([\w.]+)"', notifications(PLAIN).template)
    assert len(names) == len(set(names))
    (texts,) = alertmanager.TEMPLATES
    assert sorted(names) == sorted(
        re.findall(r'define "([\w.]+)"', (alertmanager.TEMPLATES_DIRECTORY / texts).read_text("utf-8"))
    )


def test_the_command_writes_one_file_for_each_kind_with_the_chosen_names(tmp_path: Path) -> None:
    options = ["--datasource", "mimir", "--folder", "Team alerts", "--org", "3"]
    assert main(["grafana", "--settings", "/dev/null", "--output-dir", str(tmp_path / "alerting"), *options]) == 0
    written = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in (tmp_path / "alerting").iterdir()}
    assert {name: [*content] for name, content in written.items()} == {
        "ml-monitoring-contact-points.yaml": ["apiVersion", "contactPoints"],
        "ml-monitoring-mute-times.yaml": ["apiVersion", "muteTimes"],
        "ml-monitoring-policies.yaml": ["apiVersion", "policies"],
        "ml-monitoring-rules.yaml": ["apiVersion", "groups"],
        "ml-monitoring-templates.yaml": ["apiVersion", "templates"],
    }
    groups = written["ml-monitoring-rules.yaml"]["groups"]
    assert {(group["orgId"], group["folder"], group["interval"]) for group in groups} == {(3, "Team alerts", "30s")}
    assert {rule["data"][0]["datasourceUid"] for group in groups for rule in group["rules"]} == {"mimir"}
    (policy,) = written["ml-monitoring-policies.yaml"]["policies"]
    assert (policy["orgId"], policy["receiver"]) == (3, "ml-monitoring-unrouted")
