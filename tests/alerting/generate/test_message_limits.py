"""Whatever alerts say and however many they are: each channel's message is neutral text, below its limit, delivered."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.model.thresholds import Thresholds
from tests.support.alertmanager_server import AT_ONCE, Alertmanager, running
from tools.sinks import HttpSink, SmtpSink

# What the services document; a mail program shows some hundred KB without complaint.
TEAMS, SLACK_TEXT, PAGERDUTY, PAGERDUTY_SUMMARY, MAIL = 28 * 1024, 8_000, 512_000, 1_024, 200_000
COMMON = {"severity": "critical", "team": "platform"}
PANEL = "http://grafana:3000/d/ml-monitoring?viewPanel=7&var-experiment=a+b"


class StrictServices(HttpSink):
    """Answers as the services do: refuses what is above their limits, and keeps the rest."""

    def take(self, request: Request) -> Response:
        body = request.get_data()
        content = json.loads(body)
        if request.path == "/teams" and len(body) > TEAMS:
            return Response(status=413)
        if request.path == "/slack" and any(len(one["text"]) > SLACK_TEXT for one in content["attachments"]):
            return Response("msg_too_long", status=400)
        if request.path == "/pager":
            payload = content.get("payload", {})
            known = payload.get("severity") in {"critical", "error", "warning", "info"}
            if len(body) > PAGERDUTY or len(payload.get("summary", "")) > PAGERDUTY_SUMMARY or not known:
                return Response("{}", status=400, content_type="application/json")
        return super().take(request)


class Delivered:
    """What one group of alerts became in each channel."""

    def __init__(self, services: StrictServices, smtp: SmtpSink, name: str, count: int = 1, *, teams: bool) -> None:
        # The first message of a group is sent at once, with those that were there.
        title = f"[CRITICAL x{count}] {name}" if count > 1 else f"[CRITICAL] {name}"

        def post(path: str) -> dict[str, Any]:
            found = services.wait_for(lambda post: post.path == path and title in post.body)
            content: dict[str, Any] = json.loads(found.body)
            return content

        (self.slack,) = post("/slack")["attachments"]
        self.pager = post("/pager")["payload"]
        self.teams = [block["text"] for block in post("/teams")["attachments"][0]["content"]["body"]] if teams else []
        self.mail = smtp.wait_for(lambda mail: str(mail.message["Subject"]).startswith(title)).message
        parts = {part.get_content_type(): part.get_content() for part in self.mail.iter_parts()}
        self.text, self.html = parts["text/plain"], parts["text/html"]


def minor_version(amtool: Path) -> int:
    version = subprocess.run([amtool, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version 0\.(\d+)", version)
    # A build of one's own names no version and is newer than Debian's.
    return int(found[1]) if found else 99


@contextlib.contextmanager
def delivering(
    programs: dict[str, Path], directory: Path
) -> Iterator[tuple[Alertmanager, StrictServices, SmtpSink, bool]]:
    def secret(name: str, text: str) -> str:
        (directory / name).write_text(text)
        return str(directory / name)

    teams = minor_version(programs["amtool"]) >= 28
    with SmtpSink() as smtp, StrictServices() as services:
        channels: dict[str, Any] = {
            "mail": {
                "kind": "email",
                "to": "oncall@example.org",
                "from": "alerts@example.org",
                "require_tls": False,
                "smarthost": f"localhost:{smtp.port}",
            },
            "chat": {"kind": "slack", "channel": "#a", "api_url_file": secret("slack", f"{services.url}/slack")},
            "pager": {
                "kind": "pagerduty",
                "routing_key_file": secret("pager", "key"),
                "url": f"{services.url}/pager",
            },
            "hook": {"kind": "webhook", "url": f"{services.url}/hook"},
        }
        if teams:
            channels["teams"] = {"kind": "msteams", "webhook_url_file": secret("teams", f"{services.url}/teams")}
        data = load_thresholds().model_dump(by_alias=True)
        data["notifications"]["channels"] = channels
        config = alertmanager.build(thresholds=Thresholds.model_validate(data), timing=AT_ONCE, alert_log_url="")
        with running(programs["alertmanager"], config, directory) as server:
            yield server, services, smtp, teams


def alerts(name: str, count: int, **labels: str) -> list[dict[str, str]]:
    return [{"alertname": name, "number": f"n{number:04}", **COMMON, **labels} for number in range(count)]


WORST = {
    # Each is the longest of its kind in what is sent: escaped twice, four bytes a sign, escaped in JSON only.
    "markup": "<&>" * 2_000,
    "emoji": "🚨" * 4_000,
    "quotes": '"\\\n' * 2_000,
}


@pytest.mark.parametrize("kind", WORST)
def test_every_channel_takes_a_group_of_any_size(kind: str, programs: dict[str, Path], tmp_path: Path) -> None:
    counts = {"One": 1, "Many": 120, "Thousand": 1_000}
    texts = {
        "summary": WORST[kind],
        "description": WORST[kind],
        "dashboard_url": PANEL + "&" * 900,
        "runbook_url": f"{PANEL}&var-server={'%F0%9F%9A%A8' * 40}",
        "logs_url": PANEL,
    }
    # Labels as long as a program makes them, common to all.
    long = {f"label_{number}": "ä" * 300 for number in range(30)}
    with delivering(programs, tmp_path) as (server, services, smtp, teams):
        for name, count in counts.items():
            server.fire(*alerts(name, count, **long), annotations=texts)
        for name, count in counts.items():
            one = Delivered(services, smtp, name, count, teams=teams)
            assert name in one.pager["summary"]
            assert len(bytes(one.mail)) < MAIL
            assert len(str(one.mail["Subject"])) < 400
            said = [one.slack["text"], one.pager["custom_details"]["firing"], one.text, one.html, *one.teams[1:]]
            for text in said:
                more = re.search(r"and (\d+) more", text)
                assert ("more" in text) is (count > 1), text[-300:]
                assert (int(more[1]) if more else 0) < count
            assert len(json.loads(services.wait_for(lambda post: post.path == "/hook").body)["alerts"]) >= 1


HOSTILE = (
    'greet-{{name}} {{ template "x" . }} key: {{ .a }} <!channel> <https://x.example|click> [a](https://x.example) '
    "*b* _c_ `d` ~e~ <script>f</script> &lt; <at>g</at> @everyone # h"
)


def test_text_arrives_as_it_is_and_nothing_of_it_is_markup(programs: dict[str, Path], tmp_path: Path) -> None:
    texts = {
        "summary": HOSTILE,
        "description": HOSTILE,
        "dashboard_url": "javascript:alert(1)",
        "runbook_url": "http://x.example/a>|<b",
        "logs_url": "http://x.example/a) [b](http://x.example",
    }
    with delivering(programs, tmp_path) as (server, services, smtp, teams):
        server.fire(*alerts("Hostile", 1, model="greet-{{name}}", other=HOSTILE), annotations=texts)
        one = Delivered(services, smtp, "Hostile", teams=teams)
    escaped = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert one.slack["text"].startswith(f"• {escaped}\n<http")
    assert one.slack["title"] == one.slack["fallback"] == f"[CRITICAL] Hostile: {escaped}"
    assert one.slack["mrkdwn_in"] == ["pretext"]
    # No address that is none became a link, so all that is left of Slack's marks is the silence.
    assert re.findall(r"<[^>]*\|(\w+)>", one.slack["text"]) == ["Silence"]
    assert one.pager["custom_details"]["firing"].strip().startswith(HOSTILE)
    assert one.pager["summary"].startswith("[CRITICAL] Hostile: greet-{{name}} {{ template")
    assert one.text.startswith(HOSTILE)
    assert "<script>" not in one.html
    assert "javascript:" not in one.html
    for text in one.teams:
        assert not re.search(r"(?<!\\)[*_`~<>#]", text.split("\n\n[Silence](")[0].removeprefix("- ")), text
        assert r"\<!channel\> \<https://x.example\|click\> \[a\](https://x.example)" in text


@pytest.mark.parametrize(
    "text",
    [
        "key: {{name}}",
        "- {{name}}\n- b",
        "{a: {{name}}}",
        "[{{ .x }}, 'b']",
        "{{name}}: {{ fail",
        "? {{name}}\n: b",
        '"{{name}}"',
        "!!str {{name}}",
        "--- \n{{name}}: 1",
        "&a {{b}}: *a",
        "12",
        "2026-11-28",
        "null",
        "|\n {{name}}",
    ],
)
def test_a_page_is_sent_whatever_yaml_and_templates_make_of_its_text(
    text: str, pages: tuple[Alertmanager, StrictServices], request: pytest.FixtureRequest
) -> None:
    server, services = pages
    name = f"Page{request.node.callspec.indices['text']}"
    server.fire(
        {"alertname": name, **COMMON, "model": text, "x": "{{ .y }}"},
        annotations={"summary": "It broke.", "description": text},
    )
    post = services.wait_for(lambda post: post.path == "/pager" and f"{name}:" in post.body, timeout=15)
    said = json.loads(post.body)["payload"]["custom_details"]["firing"]
    assert said.strip().startswith(text.replace("\n", "\n  ")), said


@pytest.fixture(scope="module")
def pages(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with delivering(programs, tmp_path_factory.mktemp("pages")) as (server, services, _smtp, _teams):
        yield server, services


@pytest.mark.parametrize(("severity", "sent"), [("warning", "warning"), ("page!", "error"), ("none", "error")])
def test_a_severity_that_pagerduty_does_not_know_is_an_error(
    severity: str, sent: str, programs: dict[str, Path], tmp_path: Path
) -> None:
    group = {"status": "firing", "receiver": "r", "alerts": [], "externalURL": "http://x", "groupLabels": {}}
    path = tmp_path / "data.json"
    path.write_text(json.dumps(group | {"commonLabels": {"severity": severity}, "commonAnnotations": {}}))
    rendered = subprocess.run(
        [
            *(programs["amtool"], "template", "render", f"--template.data={path}"),
            f"--template.glob={alertmanager.TEMPLATES_DIRECTORY / '*.tmpl'}",
            '--template.text={{ template "ml.pagerduty.severity" . }}',
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert rendered.stdout == sent
