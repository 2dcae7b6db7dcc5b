"""Messages on Kubernetes: every channel has the stack's texts, and Alertmanager needs no file of templates for them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.generate.inline import inlined
from ml_monitoring.k8s.chart.messages import messages
from ml_monitoring.k8s.manifests.alertmanagerconfig import alertmanager_config
from tests.alerting.generate.test_templates import NAMES, TWO_AND_ONE_OVER, call, rendered
from tests.kubernetes.chart_matrix import NO_BULK
from tests.kubernetes.conftest import one
from tests.kubernetes.test_notifications import with_settings
from tests.support import helm
from tests.support.alertmanager_server import serving
from tests.support.kubernetes_schemas import problems
from tools.sinks import HttpSink, SmtpSink

Json = dict[str, Any]
SLACK: Json = {"channel": "#ml", "apiURL": {"name": "ml-monitoring-notifications", "key": "slack_url"}}
ALERT = {"alertname": "MlMonitoringSourceDown", "severity": "critical", "team": "platform"}
SAID = {
    "summary": "A source of the exporter is down.",
    "description": "The exporter a:9847 cannot read its source mlflow.",
    "dashboard_url": "http://grafana/d/ml-monitoring?viewPanel=7",
    "runbook_url": "http://exporter/runbooks/MlMonitoringSourceDown",
}


def receivers(*channels: Json) -> dict[str, Json]:
    """Return the receivers of the chart with these channels."""
    objects = helm.template({**NO_BULK, "alertmanagerConfig": {"templates": False, "channels": list(channels)}})
    resource = one(objects, "AlertmanagerConfig", "ml-monitoring")
    assert problems(resource) == []
    return {each["name"]: each for each in resource["spec"]["receivers"]}


def as_alertmanager(kind: str, entry: Json, secrets: dict[str, str]) -> Json:
    """Return a channel in Alertmanager's own words, as the Operator writes it."""

    def value(given: Any) -> Any:
        if isinstance(given, dict) and given.keys() == {"name", "key"}:
            return secrets[given["key"]]
        if isinstance(given, list) and given and isinstance(given[0], dict):
            return {each["key"]: each["value"] for each in given}
        return given

    def words(name: str) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()

    return {words(kind): [{words(name): value(given) for name, given in entry.items()}]}


def test_a_channel_of_the_values_says_what_one_of_the_settings_says() -> None:
    chat = {"kind": "slack", "channel": "#ml", "api_url_file": "/run/secrets/slack_url"}
    spec = alertmanager_config("", alertmanager.build(thresholds=with_settings(channels={"chat": chat})))["spec"]
    (of_settings,) = (each for each in spec["receivers"] if each["name"] == "platform-critical")
    made = receivers({"configs": {"slackConfigs": [SLACK]}})
    assert made["platform-critical"]["slackConfigs"] == of_settings["slackConfigs"]


def test_what_a_channel_of_the_values_says_itself_stays() -> None:
    own = {"title": "mine", "text": "", "sendResolved": False}
    made = receivers(
        {"configs": {"slackConfigs": [SLACK | own]}},
        {"severities": [], "heartbeat": True, "configs": {"webhookConfigs": [{"url": "https://dead.example.org"}]}},
    )
    (channel,) = made["platform-critical"]["slackConfigs"]
    assert own.items() <= channel.items()
    assert channel["fallback"] == messages()["slackConfigs"]["fallback"]
    # The end of the heartbeat is none.
    assert made["watchdog"]["webhookConfigs"][-1] == {"url": "https://dead.example.org", "sendResolved": False}


def test_every_kind_of_channel_has_texts_in_words_that_the_operator_knows() -> None:
    definitions = json.loads(Path("k8s/chart/kubernetes.json").read_text(encoding="utf-8"))
    known = {name: each for name, each in definitions["OperatorReceiver"]["properties"].items() if name != "name"}
    # One more, of a newer Operator.
    assert messages().keys() == known.keys() | {"msteamsv2Configs"}
    for kind, texts in messages().items():
        if kind in known:
            item = known[kind]["items"]
            item = definitions[item["$ref"].rpartition("/")[2]] if "$ref" in item else item
            assert texts.keys() <= item["properties"].keys()
        assert texts["sendResolved"] is True


@pytest.mark.parametrize("name", NAMES)
def test_a_text_with_its_definitions_in_it_says_the_same(name: str, programs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "none.tmpl").write_text("")
    given = (programs["amtool"], name, TWO_AND_ONE_OVER, tmp_path)
    whole = rendered(*given, text=inlined(call(name)), templates=tmp_path)
    assert whole
    assert whole == rendered(*given)


def test_an_alertmanager_without_templates_sends_through_channels_of_the_values(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    with SmtpSink() as smtp, HttpSink() as http:
        mail = {
            "to": "ml@example.org",
            "from": "a@example.org",
            "smarthost": f"localhost:{smtp.port}",
            "requireTLS": False,
        }
        pager = {"routingKey": {"name": "pager", "key": "key"}, "url": f"{http.url}/pager"}
        made = receivers({"configs": {"slackConfigs": [SLACK], "emailConfigs": [mail], "pagerdutyConfigs": [pager]}})
        receiver: Json = {"name": "all"}
        for kind in ("slackConfigs", "emailConfigs", "pagerdutyConfigs"):
            (entry,) = made["platform-critical"][kind]
            receiver |= as_alertmanager(kind, entry, {"slack_url": f"{http.url}/slack", "key": "k"})
        route = {"receiver": "all", "group_wait": "0s", "group_interval": "1s"}
        path = tmp_path / "alertmanager.yml"
        path.write_text(yaml.safe_dump({"route": route, "receivers": [receiver]}), encoding="utf-8")
        with serving(programs["alertmanager"], path, tmp_path) as server:
            server.fire(ALERT, annotations=SAID)
            (slack,) = json.loads(http.wait_for(lambda post: post.path == "/slack").body)["attachments"]
            page = json.loads(http.wait_for(lambda post: post.path == "/pager").body)["payload"]
            message = smtp.wait_for(lambda mail: True).message
            server.resolve(ALERT, annotations=SAID)
            over = http.wait_for(lambda post: post.path == "/slack" and "RESOLVED" in post.body)
    title = f"[CRITICAL] {ALERT['alertname']}: {SAID['summary']}"
    assert slack["title"] == page["summary"] == message["Subject"] == title
    assert slack["color"] == "danger"
    assert page["severity"] == "critical"
    parts = {part.get_content_type(): part.get_content() for part in message.iter_parts()}
    for text in (slack["text"], page["custom_details"]["firing"], parts["text/plain"], parts["text/html"]):
        for said in (SAID["description"], SAID["runbook_url"], SAID["dashboard_url"]):
            assert said in text
    assert "<no value>" not in f"{slack}{page}{parts}{over.body}"
