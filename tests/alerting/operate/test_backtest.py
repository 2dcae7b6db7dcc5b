"""`alerts backtest`, on a real Prometheus with a past."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate.expanded import recorded_expressions
from ml_monitoring.alerting.operate.backtest import BacktestResult, Firing, backtest
from ml_monitoring.alerting.operate.soundness import Measured, TrafficLevel
from tests.support.console import Console
from tools.backfilled_prometheus import backfilled_prometheus
from tools.stack import ROOT

ALERTS = load_alerts()


@pytest.fixture(scope="module")
def past(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a real Prometheus with two days of the past in it: an hour in which a source was down, and two glitches."""
    folder = tmp_path_factory.mktemp("past")
    lines = ["# TYPE ml_monitoring_source_up gauge"]
    for minute in range(2880):
        down = 600 <= minute < 660 or minute == 1000 or 2000 <= minute < 2002
        lines.append(
            f'ml_monitoring_source_up{{job="ml-monitoring",instance="a",source="mlflow"}} {int(not down)} {minute * 60}'
        )
    with backfilled_prometheus(programs, folder, lines) as url:
        yield url


def test_a_backtest_finds_when_an_alert_would_have_fired(past: str) -> None:
    alerts = [alert for alert in ALERTS if alert.name == "MlMonitoringSourceDown"]
    (result,) = backtest(past, alerts, {}, {}, days=2, step=60, now=2880 * 60)
    # From three minutes after the source went down to seven after it came back; a glitch of a minute or two is none.
    assert [(firing.begins, firing.ends) for firing in result.firings] == [(603 * 60, 667 * 60)]
    assert result.firings[0].labels == {"job": "ml-monitoring", "instance": "a", "source": "mlflow"}
    assert result.seconds == 64 * 60
    # A flag has no other threshold, and nothing was measured.
    assert (result.level, result.threshold) == (None, None)


@pytest.fixture(scope="module")
def narrow(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Give a Prometheus that answers no more than 100 samples, and when its ten hours of many services begin."""
    begin = int(time.time()) // 60 * 60 - 36000
    lines = []
    for minute in range(600):
        at = begin + minute * 60
        for source in ("mlflow", "fleet"):
            is_up = source == "mlflow" or not 200 <= minute < 260
            lines.append(f'ml_monitoring_source_up{{job="ml-monitoring",source="{source}"}} {int(is_up)} {at}')
        lines += [f'ml_http_requests_total{{job="s{n}",status="500"}} {minute} {at}' for n in range(9)]
    folder = tmp_path_factory.mktemp("narrow")
    with backfilled_prometheus(programs, folder, lines, flags=["--query.max-samples=100"]) as url:
        yield url, begin


def test_what_is_too_much_for_one_query_is_asked_for_in_pieces(narrow: tuple[str, int]) -> None:
    url, begin = narrow
    alerts = [alert for alert in ALERTS if alert.name == "MlMonitoringSourceDown"]
    (result,) = backtest(url, alerts, {}, {}, days=1, step=60, now=begin + 36000, since=begin)
    assert [(firing.begins - begin, firing.ends - begin) for firing in result.firings] == [(203 * 60, 267 * 60)]


def test_an_alert_that_is_too_much_is_named_and_the_others_are_answered(
    narrow: tuple[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    url, _begin = narrow
    assert main(["backtest", "MlMonitoringSourceDown", "MlApiErrorRatioHigh", f"--prometheus={url}", "--days=1"]) == 1
    *_head, answered, unanswered = capsys.readouterr().out.splitlines()
    assert answered.split()[:3] == ["MlMonitoringSourceDown", "1", "1:04:00"]
    assert re.fullmatch(
        rf"MlApiErrorRatioHigh +is not known: {url}: 422: .*too many samples.*; ask for fewer days, or with a larger "
        "--step",
        unanswered,
    )


def test_a_terminal_shows_meanwhile_which_alert_is_asked_for(narrow: tuple[str, int]) -> None:
    url, _begin = narrow
    names = ["MlMonitoringSourceDown", "MlApiErrorRatioHigh"]
    command = [sys.executable, "-m", "ml_monitoring", "alerts", "backtest", *names, f"--prometheus={url}"]
    with Console(command, cwd=ROOT, env=os.environ) as console:
        console.answer("0 of 2 alerts done, now MlMonitoringSourceDown", "")
        console.answer("1 of 2 alerts done, now MlApiErrorRatioHigh", "")
        console.answer("is not known", "")
        # What was only meanwhile is gone.
        assert "\r\x1b[KMlApiErrorRatioHigh" in console.shown


def test_an_alert_that_cannot_be_evaluated_is_named_and_the_others_are_answered(young: str) -> None:
    alerts = [alert for alert in ALERTS if alert.name in ("MlApiErrorRatioHigh", "MlMonitoringSourceDown")]
    # Two series for one group, as where two exporters of different labels are scraped.
    doubled = 'up + on () (up or label_replace(up, "instance", "b", "", ""))'
    twice = dict.fromkeys(recorded_expressions(load_thresholds()), doubled)
    results = {one.alert.name: one for one in backtest(young, alerts, twice, {}, days=0.03, step=60)}
    assert results["MlMonitoringSourceDown"].problem == ""
    assert re.search(r"422: .*found duplicate series", results["MlApiErrorRatioHigh"].problem)
    assert "fewer days" not in results["MlApiErrorRatioHigh"].problem


def test_what_fires_for_several_series_at_once_counts_once() -> None:
    (alert,) = [alert for alert in ALERTS if alert.name == "MlMonitoringSourceDown"]
    spans = [(600, 900), (630, 690), (800, 1000), (2000, 2100)]
    result = BacktestResult(alert, tuple(Firing({"source": str(begins)}, begins, ends) for begins, ends in spans))
    assert result.seconds == 400 + 100


MEASURED = Measured(
    severity="critical",
    rule="",
    simulated="",
    seed=1,
    healthy="",
    unit="requests a minute",
    query="60 * sum without (instance, method, route, status) (rate(ml_http_requests_total[5m]))",
    levels=(
        TrafficLevel("low", 1, 24, 4, ()),
        TrafficLevel("usual", 60, 24, 1, ()),
        TrafficLevel("high", 3000, 24, 0, ()),
    ),
)


@pytest.fixture(scope="module")
def failing(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a Prometheus with a month of 100 requests a minute, and three times twenty minutes in which some fail."""
    lines = []
    for status in ("200", "500"):
        total = 0
        for minute in range(30 * 1440):
            failed = {5000: 10, 20000: 20, 30000: 30}.get(minute // 20 * 20, 0)
            total += failed if status == "500" else 100 - failed
            labels = f'job="ml",instance="a",method="GET",route="/",status="{status}"'
            lines.append(f"ml_http_requests_total{{{labels}}} {total} {minute * 60}")
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("failing"), lines) as url:
        yield url


def test_a_backtest_says_what_is_known_at_this_traffic_and_which_threshold_had_fired_once_a_month(failing: str) -> None:
    alerts = [alert for alert in ALERTS if alert.name == "MlApiErrorRatioHigh"]
    recorded, measured = recorded_expressions(load_thresholds()), {"MlApiErrorRatioHigh": MEASURED}
    (result,) = backtest(failing, alerts, recorded, measured, days=30, step=60, now=30 * 86400)
    assert len(result.firings) == 3
    assert result.level == MEASURED.levels[1]
    assert result.threshold is not None
    began = []
    for threshold in (result.threshold, 0.7 * result.threshold):
        again = [one.with_threshold(threshold) for one in alerts]
        (with_it,) = backtest(failing, again, recorded, {}, days=30, step=60, now=30 * 86400)
        began.append([firing.begins // 60 // 5000 for firing in with_it.firings])
    # A tenth failed the first time, more the second, and most the third time.
    assert (began[0], began[1][-2:]) == ([6], [4, 6])


@pytest.fixture(scope="module")
def young(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a Prometheus that has seen a healthy exporter for fifty minutes."""
    now = int(time.time())
    names = (
        'up{job="ml-monitoring",instance="a"}',
        'ml_monitoring_source_up{job="ml-monitoring",source="mlflow"}',
    )
    lines = [f"{name} 1 {moment}" for name in names for moment in range(now - 3000, now, 60)]
    # Two samples so far apart are no traffic.
    lines += [f'ml_http_requests_total{{job="shop",instance="b",status="200"}} 1 {now - ago}' for ago in (3000, 60)]
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("young"), lines) as url:
        yield url


def test_a_backtest_begins_where_the_history_begins_and_counts_what_did_not_fire(
    young: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"--prometheus={young}"
    assert main(["backtest", "MlMonitoringDown", address, "--days=2"]) == 0
    span, _head, row = capsys.readouterr().out.splitlines()
    assert re.search(r", where the history begins: 0:5\d:\d\d$", span)
    # Of an exporter that nobody watched before nothing is known, and yes or no has no threshold.
    assert row.split()[:3] == ["MlMonitoringDown", "0", "0:00:00"]
    assert row.split()[-2:] == ["-", "-"]
    assert main(["backtest", address, "--step=5m"]) == 0
    _span, _head, *rows, silent, unknown = capsys.readouterr().out.splitlines()
    fired = {row.split()[0]: row.split()[1] for row in rows}
    assert fired["MlMonitoringWatchdog"] == "1"
    assert "0" not in fired.values()
    assert re.fullmatch(r"\d+ alerts would not have fired; --all shows them too\.", silent)
    assert re.fullmatch(
        r"\d\d alerts have no data: Prometheus has none of their series in that time; --all shows them too\.", unknown
    )


@pytest.fixture(scope="module")
def older(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Give a Prometheus of two days, beside which the exporter was installed a day ago; it was gone for an hour."""
    now = int(time.time())
    begins = now - 1440 * 60
    lines = [f'up{{job="shop",instance="b"}} 1 {moment}' for moment in range(now - 2880 * 60, now, 60)]
    lines += [
        f'up{{job="ml-monitoring",instance="a"}} 1 {moment}'
        for moment in range(begins, now, 60)
        if not begins + 36000 <= moment < begins + 39600
    ]
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("older"), lines) as url:
        yield url, begins


def test_what_was_never_there_before_did_not_go_missing(
    older: tuple[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    url, begins = older
    assert main(["backtest", "MlMonitoringDown", f"--prometheus={url}", "--days=2"]) == 0
    _span, said, _head, row = capsys.readouterr().out.splitlines()
    began = f"{datetime.fromtimestamp(begins).astimezone():%Y-%m-%d %H:%M %Z}"
    assert said == f"MlMonitoringDown is counted from {began}, when what it would miss was first there"
    # The hour in which it was gone is an outage.
    assert row.split()[:2] == ["MlMonitoringDown", "1"]
    # It was there before this span.
    assert main(["backtest", "MlMonitoringDown", f"--prometheus={url}", "--days=0.5"]) == 0
    assert "is counted from" not in capsys.readouterr().out


def test_the_backtest_command_prints_a_line_for_each_alert(young: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["MlApiErrorRatioHigh", "MlCacheHitRatioLow", "MlMonitoringWatchdog"]
    assert main(["backtest", *names, f"--prometheus={young}", "--days=0.02"]) == 0
    span, head, *lines = capsys.readouterr().out.splitlines()
    # There is history of all of it.
    assert re.fullmatch(rf"{young} from \S+ \d\d:\d\d \S+ to \S+ \d\d:\d\d \S+", span)
    columns = ["Alert", "Fired", "For", "Last began", "Simulated a month", "Threshold", "1 a month"]
    assert re.split(r"\s{2,}", head) == columns
    # What fires without any series has data.
    assert [line.split()[:2] for line in lines[:2]] == [["MlMonitoringWatchdog", "1"], ["MlApiErrorRatioHigh", "0"]]
    assert lines[2:] == [f"{'MlCacheHitRatioLow':34} no data: Prometheus has none of its series in that time"]
    # There is no traffic now, so that the worst one counts, and no value of the signal.
    assert re.search(r" up to (0|[\d.]+|1 in \d+ months) +5 %$", lines[1])
