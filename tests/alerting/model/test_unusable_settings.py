"""Settings that Prometheus or Alertmanager would refuse, or that no value is beyond, are named by their place."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml_monitoring.alerting.cli import main

CAN_NEVER = "can never fire: no value is"
NOT_CLOSED = "is not a regular expression: `(` at"


def generated(text: str, tmp_path: Path) -> int:
    settings = tmp_path / "own.yml"
    settings.write_text(f"# Ours.\n{text}\n", encoding="utf-8")
    return main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("""selectors: {logs: 'job=~"(a"'}""", f'selectors.logs: job=~"(a" {NOT_CLOSED} 1 is not closed'),
        (
            """selectors: {node: 'team="a",job!~"b("'}""",
            f'selectors.node: job!~"b(" {NOT_CLOSED} 2 is not closed',
        ),
        (
            r"""selectors: {services: 'job=~"a\d"'}""",
            r"selectors.services: \d is no escape in quotes of PromQL: write \\d",
        ),
        ('business: {experiments: "prod-("}', f"business.experiments: 'prod-(' {NOT_CLOSED} 6 is not closed"),
        (
            'alerts: {MlflowChampionOld: {parameters: {aliases: "a("}}}',
            f"alerts.MlflowChampionOld.parameters.aliases: 'a(' {NOT_CLOSED} 2 is not closed",
        ),
        *(
            (f"notifications: {{{severity}: {{{key}: 0s}}}}", f"notifications.{severity}.{key}: must be longer than 0")
            for severity, key in (
                ("critical", "repeat_interval"),
                ("warning", "group_interval"),
                ("watchdog", "repeat_interval"),
            )
        ),
        (
            "alerts: {HostCpuBusy: {threshold: 1}}",
            f"alerts.HostCpuBusy.threshold: {CAN_NEVER} above 1, which is 100 %: write 0.01 for 1 %",
        ),
        (
            "alerts: {HostDiskFull: {threshold: 0}}",
            f"alerts.HostDiskFull.threshold: {CAN_NEVER} below 0; to switch it off write null",
        ),
        (
            "alerts: {MlMonitoringDown: {threshold: 0}}",
            f"alerts.MlMonitoringDown.threshold: {CAN_NEVER} below 0; to switch it off write null",
        ),
        (
            "alerts: {GpuThrottled: {threshold: 1}}",
            f"alerts.GpuThrottled.threshold: {CAN_NEVER} above 1; to switch it off write null",
        ),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generated(text, tmp_path) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/own.yml:2: {said}\n"


@pytest.mark.parametrize(
    "text",
    [
        r"""selectors: {logs: 'job=~"a\\d|\"b\""'}""",
        """business: {experiments: 'prod\\.("a"|b)', accuracy_metric: 'top "5"'}""",
        "notifications: {critical: {group_wait: 0s}}",
        # Of what is worse there is no end, and a service may have more than its share of the processor.
        "alerts: {MlflowMetricWorseThanBest: {threshold: 1}, MlServiceResourceHigh: {threshold: 1}}",
        "alerts: {MlModelAccuracyLow: {threshold: 1}}",
    ],
)
def test_what_can_be_meant_is_taken(
    text: str, tmp_path: Path, programs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert generated(text, tmp_path) == 0, capsys.readouterr().err
    out = tmp_path / "out"
    for name in ("alerts.yml", "rules.yml"):
        subprocess.run([programs["promtool"], "check", "rules", out / name], check=True, capture_output=True)
    subprocess.run([programs["amtool"], "check-config", out / "alertmanager.yml"], check=True, capture_output=True)


@pytest.mark.parametrize("alert", ["HostDiskFull", "MlCacheHitRatioLow", "GpuIdle"])
def test_that_nearly_all_values_are_below_a_threshold_is_noted(
    alert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generated(f"alerts: {{{alert}: {{threshold: 1}}}}", tmp_path) == 0
    assert (
        f"note: {tmp_path}/own.yml:2: alerts.{alert}.threshold: as good as always fires: nearly every value is below "
        "1, which is 100 %: write 0.01 for 1 %\n"
    ) in capsys.readouterr().err


def test_a_threshold_of_the_other_side_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generated("alerts: {HostDiskFull: {threshold: 0.9}}", tmp_path) == 0
    assert (
        f"note: {tmp_path}/own.yml:2: alerts.HostDiskFull.threshold: fires below 0.9, by default below 0.05: write 0.1 "
        "if the rest is meant\n"
    ) in capsys.readouterr().err
