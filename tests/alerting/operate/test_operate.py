"""What the commands for people on call cannot do."""

from __future__ import annotations

import pytest

from ml_monitoring.alerting.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["maintenance-end", "--alertmanager=http://127.0.0.1:9"], "http://127.0.0.1:9 cannot be reached"),
        (
            ["test-fire", "--alertmanager=http://127.0.0.1:9"],
            "another address with --alertmanager URL ($ALERTMANAGER_URL)",
        ),
        (["test-fire", "--channel=pager"], "no channel pager in"),
        (["backtest", "Zzz"], "Zzz does not exist; there are: "),
        (
            ["backtest", "MlMonitoringWatchdog", "--prometheus=http://127.0.0.1:9"],
            "http://127.0.0.1:9 cannot be reached",
        ),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == (2 if "channel=" in arguments[1] or "Zzz" in arguments else 1)
    assert message in capsys.readouterr().err
