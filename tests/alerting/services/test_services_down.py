"""A service that died is followed by an alert, whatever is watched beside it; nobody else's service is ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.generate.files import render
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.thresholds import read
from tests.support.rule_queries import found_by

_GROUPS = ("exporter.", "adapters.", "traffic.", "services.")
_BENTO = 'job="ranker", instance="r:3000", endpoint="/rank", service_name="ranker", service_version="1", runner_name=""'
# Half of the requests fail for half an hour; then each process dies.
_LIBRARY = 'job="shop", instance="s:80"'
_DYING = {
    'up{job="ml-monitoring", instance="e:9847"}': "1x80",
    'up{job="shop", instance="s:80"}': "1x30 0x50",
    f"ml_process_start_timestamp_seconds{{{_LIBRARY}}}": "0x30 stale",
    f'ml_http_requests_total{{{_LIBRARY}, method="POST", route="/p", status="200"}}': "0+60x30 stale",
    f'ml_http_requests_total{{{_LIBRARY}, method="POST", route="/p", status="500"}}': "0+60x30 stale",
    'up{job="ranker", instance="r:3000"}': "1x30 0x50",
    f'bentoml_service_request_total{{{_BENTO}, http_response_code="200"}}': "0+60x30 stale",
    f'bentoml_service_request_total{{{_BENTO}, http_response_code="500"}}': "0+60x30 stale",
    # Those of others, under names that ours have elsewhere.
    'up{job="services", instance="x:80"}': "1x30 0x50",
    'up{job="alertlog", instance="x:9848"}': "1x30 0x50",
    'up{job="billing", instance="x:80"}': "1x30 0x50",
}


_SETTINGS = """
components: []
selectors: {services: null}
services: {adapters: [{server: bentoml, job: ranker}]}
notifications: {alert_log: null, alert_log_token_file: null}
"""


def seen(promtool: Path, folder: Path, query: str, at: str) -> set[str]:
    """Return label values that a query finds: nothing is expected, so that promtool says what there is."""
    settings = folder / "alerting.yml"
    settings.write_text(_SETTINGS)
    thresholds = read(ALERTS, [settings])
    rules = {"rules.yml": build_recording_rules(thresholds), "alerts.yml": build_alerts(thresholds)}
    for content in rules.values():
        # Those of other domains take most of the time and know nothing of services.
        content["groups"] = [one for one in content["groups"] if one["name"].startswith(_GROUPS)]
    for name, content in rules.items():
        (folder / name).write_text(render(name, content))
    found = found_by(promtool, folder, rules, _DYING, query, at)
    return {" ".join(labels.values()) for labels in found}


_FIRING = 'count by (alertname, job) (ALERTS{alertstate="firing", alertname!="MlMonitoringWatchdog"})'


@pytest.mark.parametrize(("at", "alert"), [("25m", "MlApiErrorRatioHigh"), ("60m", "MlServiceDown")])
def test_a_service_that_failed_and_died_is_still_said_to_be_down_with_no_component(
    at: str, alert: str, programs: dict[str, Path], tmp_path: Path
) -> None:
    found = {one for one in seen(programs["promtool"], tmp_path, _FIRING, at) if "Budget" not in one}
    assert found == {f"{alert} shop", f"{alert} ranker"}


def test_only_what_the_settings_name_is_ours(programs: dict[str, Path], tmp_path: Path) -> None:
    query = "count by (job) (instance:up:own)"
    assert seen(programs["promtool"], tmp_path, query, "60m") == {"ml-monitoring", "shop", "ranker"}
