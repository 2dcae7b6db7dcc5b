"""Whether a deployment works: from every target to a delivered alert."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.deploy import certificates
from tools.deploy.engine import ROOT, DeployError, Stack
from tools.deploy.result import Result

TEST_ALERT = "DeploymentTest"
_PROMETHEUS = "http://prometheus:9090"
_ALERTMANAGER = "http://alertmanager:9093"
_ALERT_LOG = "http://alertlog:9848"
_GRAFANA = "http://grafana:3000"
_VICTORIA = "http://victoriametrics:8428"
# Scrapes that may be on their way to VictoriaMetrics, which besides shows nothing of the last half minute.
_BEHIND = 90.0
# Seconds for one check; most time goes into the first scrapes and evaluations.
PATIENCE = 120.0
_POLL = 2.0


def check(stack: Stack, patience: float = PATIENCE) -> Iterator[Result]:
    """Try everything that the stack is for; each check is given so many seconds to come true."""

    def wait(subject: str, look: Callable[[], str]) -> Result:
        return _wait(subject, look, patience)

    # Sent first, since it needs a moment.
    sent = time.time()
    marker = f"{sent:.0f}"
    posted = _post_alert(stack, marker)
    running = stack.services.keys() & {row["Service"] for row in stack.containers()}
    yield wait("containers", lambda: _containers(stack))
    yield wait("targets", lambda: _targets(stack))
    yield wait("rules", lambda: _rules(stack))
    yield wait("configuration", lambda: _reloaded(stack))
    if stack.has_overlay("tls"):
        shown = wait("certificates", lambda: certificates.check_shown(stack))
        yield certificates.judge(shown.message, time.time()) if shown.ok else shown
    yield wait("alerts", lambda: _watchdog(stack))
    if "victoriametrics" in running:
        yield wait("remote write", lambda: _remote(stack))
    if "alertlog" in running:
        yield posted if not posted.ok else wait("test alert", lambda: _delivered(stack, marker, sent))
    if "grafana" in running:
        yield wait("dashboards", lambda: _dashboards(stack))


def _wait(subject: str, look: Callable[[], str], patience: float) -> Result:
    """Look until what is looked for is there; it says what is missing by raising."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return Result(subject, True, look())
        except DeployError as error:
            if time.monotonic() >= deadline:
                return Result(subject, False, str(error))
        time.sleep(_POLL)


def _containers(stack: Stack) -> str:
    return judge_containers(stack.containers())


def judge_containers(rows: list[dict[str, Any]]) -> str:
    """Return a sentence on the containers.

    Raises:
        DeployError: One does not run, is not healthy, or failed at what it had to do once.
    """
    wrong = [
        f"{row['Service']}: {row['State']}{', ' + row['Health'] if row.get('Health') else ''}"
        for row in rows
        if not (
            (row["State"] == "running" and row.get("Health", "") in ("", "healthy"))
            or (row["State"] == "exited" and row.get("ExitCode") == 0)
        )
    ]
    if wrong or not rows:
        raise DeployError("\n".join(wrong) or "there are no containers")
    return f"{len(rows)} healthy"


def _targets(stack: Stack) -> str:
    return judge_targets(stack.call(f"{_PROMETHEUS}/api/v1/targets?state=active").json())


def judge_targets(answer: Any) -> str:
    """Return a sentence on Prometheus's targets.

    Raises:
        DeployError: One is not up.
    """
    targets = answer["data"]["activeTargets"]
    wrong = [
        f"{target['labels']['job']} {target['labels']['instance']}: {target['lastError'] or 'not scraped yet'}"
        for target in targets
        if target["health"] != "up"
    ]
    if wrong or not targets:
        raise DeployError("\n".join(wrong) or "Prometheus has no targets")
    return f"{len(targets)} up: {', '.join(sorted({target['labels']['job'] for target in targets}))}"


def _rules(stack: Stack) -> str:
    texts = [(stack.generated / name).read_text(encoding="utf-8") for name in ("rules.yml", "alerts.yml")]
    expected = {name for text in texts for name in re.findall(r"^  - name: (\S+)$", text, re.MULTILINE)}
    return judge_rules(stack.call(f"{_PROMETHEUS}/api/v1/rules").json(), expected)


def judge_rules(answer: Any, expected: set[str]) -> str:
    """Return a sentence on Prometheus's rules.

    Raises:
        DeployError: A group is missing, or a rule has not been evaluated without an error.
    """
    groups = answer["data"]["groups"]
    missing = sorted(expected - {group["name"] for group in groups})
    rules = [(group["name"], rule) for group in groups for rule in group["rules"]]
    wrong = [
        f"{group}/{rule['name']}: {rule.get('lastError') or 'not evaluated yet'}"
        for group, rule in rules
        if rule["health"] != "ok"
    ]
    if missing or wrong:
        raise DeployError("\n".join([*(f"group {name} is not loaded" for name in missing), *wrong][:10]))
    return f"{len(rules)} in {len(groups)} groups, all evaluated"


def _reloaded(stack: Stack) -> str:
    """Ask the servers themselves: their own metrics may be a scrape old."""
    for name, url in (("prometheus", _PROMETHEUS), ("alertmanager", _ALERTMANAGER)):
        answer = stack.call(f"{url}/metrics")
        match = re.search(rf"^{name}_config_last_reload_successful (\S+)$", answer.body, re.MULTILINE)
        if match is None or float(match[1]) != 1:
            raise DeployError(f"{name} refused its new configuration; see: docker logs {stack.project}-{name}-1")
    return "taken by Prometheus and Alertmanager"


def _remote(stack: Stack) -> str:
    answer = stack.call(f"{_VICTORIA}/api/v1/query?query=time()-max(timestamp(up))").json()
    return judge_remote(answer)


def judge_remote(answer: Any) -> str:
    """Return a sentence on how far VictoriaMetrics is behind.

    Raises:
        DeployError: It has no samples, or none of late.
    """
    found = answer["data"]["result"]
    if not found:
        raise DeployError("VictoriaMetrics has no samples of Prometheus")
    behind = float(found[0]["value"][1])
    if behind > _BEHIND:
        raise DeployError(f"the newest sample in VictoriaMetrics is {behind:.0f} s old")
    return "VictoriaMetrics has Prometheus's samples"


def _watchdog(stack: Stack) -> str:
    alerts = stack.call(f"{_ALERTMANAGER}/api/v2/alerts?filter=alertname%3D%22MlMonitoringWatchdog%22").json()
    if not alerts:
        raise DeployError("MlMonitoringWatchdog is not in Alertmanager: alerts do not get there")
    return "reach Alertmanager from Prometheus"


def _post_alert(stack: Stack, marker: str) -> Result:
    now = datetime.now(UTC)
    alert = {
        "labels": {"alertname": TEST_ALERT, "deployment": marker, "severity": "info", "team": "platform"},
        "annotations": {"summary": "The stack was deployed; this alert shows that alerts are delivered."},
        "startsAt": now.isoformat(),
        # It ends by itself.
        "endsAt": (now + timedelta(minutes=2)).isoformat(),
    }
    answer = stack.call(f"{_ALERTMANAGER}/api/v2/alerts", body=json.dumps([alert]))
    if answer.status != 200:
        return Result("test alert", False, f"Alertmanager does not take it: {answer.status} {answer.body[:200]}")
    return Result("test alert", True, "posted")


def _delivered(stack: Stack, marker: str, sent: float) -> str:
    kept = stack.call(f"{_ALERT_LOG}/api/alerts?since=10m&alertname={TEST_ALERT}").json()
    if not any(alert["labels"].get("deployment") == marker for alert in kept):
        raise DeployError("the test alert is in Alertmanager and did not reach the alert log")
    return f"delivered to the alert log within {time.time() - sent:.0f} s"


def _dashboards(stack: Stack) -> str:
    password = (stack.secrets / "grafana_admin_password").read_text(encoding="utf-8").strip()

    def ask(path: str) -> Any:
        return stack.call(f"{_GRAFANA}{path}", user="admin", password=password).json()

    health = ask("/api/datasources/uid/prometheus/health")
    if health.get("status") != "OK":
        raise DeployError(f"Grafana cannot query Prometheus: {health.get('message')}")
    found = {entry["uid"] for entry in ask("/api/search?type=dash-db&limit=5000")}
    files = (ROOT / "dashboards" / "generated").rglob("*.json")
    expected = {json.loads(path.read_text(encoding="utf-8"))["uid"] for path in files}
    if missing := sorted(expected - found):
        raise DeployError(f"Grafana does not have {', '.join(missing)}")
    return f"{len(expected)} in Grafana, which can query Prometheus"
