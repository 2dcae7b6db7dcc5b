"""What the page `Alerts` counts of the alert log's history."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.model.placeholders import fill
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.monitoring.signals import (
    ALERT_LAST_START,
    ALERT_NOTIFY_P90,
    ALERT_NOTIFY_TIME,
    ALERT_RESOLVE_P90,
    ALERT_RESOLVE_TIME,
    ALERT_STARTS,
)
from tests.support.rules import check_rules

_FAILED = 'alertname="MlflowFailedRunRatioHigh",severity="warning",team="mlops"'
_WATCHDOG = 'alertname="MlMonitoringWatchdog",severity="none",team="platform"'


def _logged(labels: str, seconds: int) -> dict[str, str]:
    """Return the log's series of an alert of which somebody is notified each minute, so many seconds after it began."""
    series = {"alert_starts_total": "0+1x10", "alert_last_start_timestamp_seconds": f"{seconds}x10"}
    for what in ("notify", "resolve"):
        name = f"alert_time_to_{what}_seconds"
        series |= {f"{name}_sum": f"0+{seconds}x10", f"{name}_count": "0+1x10"}
        series |= {f'{name}_bucket{{le="{le}"}}': f"0+{int(seconds <= le)}x10" for le in (30, 60, 120)}
        series[f'{name}_bucket{{le="+Inf"}}'] = "0+1x10"
    own = f'job="alertlog",{labels}'
    return {
        f"{name[:-1]},{own}}}" if name.endswith("}") else f"{name}{{{own}}}": values for name, values in series.items()
    }


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (ALERT_STARTS, 5.0),
        (ALERT_LAST_START, 20.0),
        (ALERT_NOTIFY_TIME, 20.0),
        (ALERT_RESOLVE_TIME, 20.0),
        (ALERT_NOTIFY_P90, 27.0),
        (ALERT_RESOLVE_P90, 27.0),
    ],
    ids=lambda one: one.name if isinstance(one, Signal) else "",
)
def test_the_watchdog_is_no_part_of_the_history(
    signal: Signal, expected: float, programs: dict[str, Path], tmp_path: Path
) -> None:
    series = _logged(_FAILED, 20) | _logged(_WATCHDOG, 65)
    scope = {**load_thresholds().scope(), "filter": "", "window": "5m"}
    check_rules(programs["promtool"], tmp_path, series, {fill(signal.expr, scope): expected}, at="10m", topics=())
