"""What notifications say, rendered by Alertmanager's own tool."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.generate.alertmanager import TEMPLATES, TEMPLATES_DIRECTORY
from ml_monitoring.alerting.generate.channels import CHANNELS

NAMES = ["ml.subject", "ml.text", "ml.slack", "ml.markdown", "ml.colour", "ml.html", "ml.silence_url"]
LABELS = {"alertname": "MlflowFailedRunRatioHigh", "severity": "warning", "team": "mlops"}


def alert(status: str, **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": LABELS | labels,
        "annotations": {
            "summary": "Too many recent runs of an experiment failed.",
            "description": f"50% of the recent runs of {labels.get('experiment', 'it')} failed.",
            "dashboard_url": "http://grafana/d/mlflow?viewPanel=7&var-experiment=a+b",
            "runbook_url": "http://exporter/runbooks/MlflowFailedRunRatioHigh",
        },
        "startsAt": "2026-11-21T08:00:00Z",
        "endsAt": "2026-11-21T09:30:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": "1",
    }


def data(*alerts: dict[str, Any]) -> dict[str, Any]:
    def common(what: str) -> dict[str, str]:
        first, *rest = [one[what] for one in alerts] or [{}]
        return {key: value for key, value in first.items() if all(other.get(key) == value for other in rest)}

    return {
        "receiver": "mlops-warning",
        "status": "firing" if any(one["status"] == "firing" for one in alerts) else "resolved",
        "alerts": list(alerts),
        "groupLabels": {"alertname": LABELS["alertname"]},
        "commonLabels": common("labels"),
        "commonAnnotations": common("annotations"),
        "externalURL": "http://alertmanager:9093",
    }


NONE, ONE = data(), data(alert("firing", experiment="churn"))
TWO_AND_ONE_OVER = data(
    alert("firing", experiment="churn"), alert("firing", experiment="fraud"), alert("resolved", experiment="spam")
)
OVER = data(alert("resolved", experiment="churn"))
AWKWARD = data(alert("firing", experiment='a "b" & <c>\\ 1/2'))


def call(name: str) -> str:
    return f'{{{{ template "{name}" . }}}}'


def rendered(
    amtool: Path,
    name: str,
    values: dict[str, Any],
    directory: Path,
    *,
    text: str = "",
    templates: Path = TEMPLATES_DIRECTORY,
) -> str:
    """Return what amtool makes of a text, by default the call of its template, with the templates of a folder."""
    path = directory / "data.json"
    path.write_text(json.dumps(values))
    done = subprocess.run(
        [
            *(amtool, "template", "render", f"--template.glob={templates / '*.tmpl'}"),
            *(f"--template.text={text or call(name)}", f"--template.data={path}"),
            f"--template.type={'html' if name == 'ml.html' else 'text'}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_templates_are_found() -> None:
    assert TEMPLATES == ("notifications.tmpl",)
    assert len(CHANNELS) == 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("values", [NONE, ONE, TWO_AND_ONE_OVER, OVER, AWKWARD], ids=["0", "1", "3", "over", "odd"])
def test_every_text_can_be_made_of_any_number_of_alerts(
    name: str, values: dict[str, Any], programs: dict[str, Path], tmp_path: Path
) -> None:
    text = rendered(programs["amtool"], name, values, tmp_path)
    assert "<no value>" not in text
    if name in {"ml.subject", "ml.colour", "ml.silence_url"}:
        assert text == text.strip()
        assert "\n" not in text


@pytest.mark.parametrize(
    ("values", "subject"),
    [
        (NONE, "[RESOLVED]"),
        (ONE, "[WARNING] MlflowFailedRunRatioHigh: Too many recent runs of an experiment failed."),
        (TWO_AND_ONE_OVER, "[WARNING x2] MlflowFailedRunRatioHigh: Too many recent runs of an experiment failed."),
        (OVER, "[RESOLVED] MlflowFailedRunRatioHigh: Too many recent runs of an experiment failed."),
    ],
)
def test_the_subject_says_how_bad_what_and_how_many(
    values: dict[str, Any], subject: str, programs: dict[str, Path], tmp_path: Path
) -> None:
    assert rendered(programs["amtool"], "ml.subject", values, tmp_path) == subject


def test_the_text_says_what_to_do(programs: dict[str, Path], tmp_path: Path) -> None:
    assert rendered(programs["amtool"], "ml.text", TWO_AND_ONE_OVER, tmp_path) == (
        "50% of the recent runs of churn failed.\n"
        "  Began to fire: 2026-11-21 08:00 UTC\n"
        "  Panel: http://grafana/d/mlflow?viewPanel=7&var-experiment=a+b\n"
        "  Runbook: http://exporter/runbooks/MlflowFailedRunRatioHigh\n"
        "\n"
        "50% of the recent runs of fraud failed.\n"
        "  Began to fire: 2026-11-21 08:00 UTC\n"
        "  Panel: http://grafana/d/mlflow?viewPanel=7&var-experiment=a+b\n"
        "  Runbook: http://exporter/runbooks/MlflowFailedRunRatioHigh\n"
        "\n"
        "Over since 2026-11-21 09:30 UTC: 50% of the recent runs of spam failed.\n"
        "  Began to fire: 2026-11-21 08:00 UTC\n"
        "  Panel: http://grafana/d/mlflow?viewPanel=7&var-experiment=a+b\n"
        "  Runbook: http://exporter/runbooks/MlflowFailedRunRatioHigh\n"
        "\n"
        "Team: mlops\n"
        "Alertmanager: http://alertmanager:9093/#/alerts?receiver=mlops-warning\n"
        "Silence: http://alertmanager:9093/#/silences/new?filter=%7Balertname%3D%22MlflowFailedRunRatioHigh%22%2C%20"
        "severity%3D%22warning%22%2C%20team%3D%22mlops%22%7D"
    )


def test_slack_and_teams_get_links_in_their_own_markup(programs: dict[str, Path], tmp_path: Path) -> None:
    silence = (
        "http://alertmanager:9093/#/silences/new?filter=%7Balertname%3D%22MlflowFailedRunRatioHigh%22%2C%20"
        "experiment%3D%22churn%22%2C%20severity%3D%22warning%22%2C%20team%3D%22mlops%22%7D"
    )
    panel = "http://grafana/d/mlflow?viewPanel=7&var-experiment=a+b"
    runbook = "http://exporter/runbooks/MlflowFailedRunRatioHigh"
    assert rendered(programs["amtool"], "ml.slack", ONE, tmp_path) == (
        f"• 50% of the recent runs of churn failed. <{panel}|Panel> <{runbook}|Runbook>\n<{silence}|Silence>"
    )
    assert rendered(programs["amtool"], "ml.markdown", ONE, tmp_path) == (
        f"- 50% of the recent runs of churn failed. [Panel]({panel}) [Runbook]({runbook})\n\n[Silence]({silence})"
    )


def test_logs_are_linked_where_they_are_collected(programs: dict[str, Path], tmp_path: Path) -> None:
    with_logs = alert("firing")
    with_logs["annotations"]["logs_url"] = "http://grafana/d/ml-monitoring-logs?var-service=exporter"
    texts = {name: rendered(programs["amtool"], name, data(with_logs), tmp_path) for name in NAMES}
    logs = "http://grafana/d/ml-monitoring-logs?var-service=exporter"
    assert f"\n  Logs: {logs}\n" in texts["ml.text"]
    assert f"|Runbook> <{logs}|Logs>" in texts["ml.slack"]
    assert f") [Logs]({logs})" in texts["ml.markdown"]
    assert f'<a href="{logs}">Logs</a>' in texts["ml.html"]


def test_labels_of_any_kind_are_harmless_in_links_and_html(programs: dict[str, Path], tmp_path: Path) -> None:
    value = "a%20%5C%22b%5C%22%20%26%20%3Cc%3E%5C%5C%201%2F2"
    assert f"experiment%3D%22{value}%22" in rendered(programs["amtool"], "ml.silence_url", AWKWARD, tmp_path)
    html = rendered(programs["amtool"], "ml.html", AWKWARD, tmp_path)
    assert f"experiment%3D%22{value}%22".lower() in html.lower()
    assert "runs of a &#34;b&#34; &amp; &lt;c&gt;\\ 1/2 failed" in html
    assert "<c>" not in html
