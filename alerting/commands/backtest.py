"""`alerts backtest`: say when alerts would have fired in the past."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, islice

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import add_server
from ml_monitoring.alerting.generate.expanded import recorded_expressions
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.operate import soundness
from ml_monitoring.alerting.operate.backtest import (
    BacktestResult,
    backtest,
    first_samples,
    has_threshold,
    history_begins,
)
from ml_monitoring.alerting.operate.explain import UnknownAlertError, enabled_alerts
from ml_monitoring.alerting.operate.soundness import Measured, TrafficLevel
from ml_monitoring.exporter import command_line, durations
from ml_monitoring.exporter.catalog import Unit
from ml_monitoring.exporter.redaction import redact

HELP = "say when alerts would have fired in the past"
# Seconds; durations are written to the millisecond.
_SHORTEST = 0.001


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument(
        "names", nargs="*", metavar="ALERT", help="default: all; those that would not have fired are counted only"
    )
    parser.add_argument("--all", action="store_true", help="show those too that would not have fired")
    parser.add_argument(
        "--days",
        type=command_line.days,
        default=7,
        help="a number, or a duration such as 2w (default: 7); of 30 and more one alarm a month is allowed",
    )
    parser.add_argument("--step", type=command_line.duration, default="1m", metavar="DURATION", help="default: 1m")
    add_server(parser, "prometheus", "http://127.0.0.1:9090")


def run(options: argparse.Namespace) -> int:
    """Print a line for each alert and return the exit status."""
    thresholds, _layers = own.load(options)
    try:
        alerts = enabled_alerts(options.names, thresholds)
    except UnknownAlertError:
        # It may be one of the folder.
        own.note_unnamed_folder(options, thresholds, options.names)
        raise
    own.say_which(options)
    since, now = history_begins(options.prometheus), time.time()
    recorded, measured = recorded_expressions(thresholds), soundness.load()
    begins = max(now - options.days * 86400, since)
    counted = first_samples(options.prometheus, alerts, recorded, start=begins, end=now, step=options.step)
    results = backtest(
        options.prometheus,
        alerts,
        recorded,
        measured,
        days=options.days,
        step=options.step,
        now=now,
        since=since,
        first=counted,
    )
    shown = _with_progress(results, [alert.name for alert in alerts])
    # Before the head of a table that there may not be.
    first = list(islice(shown, 1))
    is_short = f", where the history begins: {timedelta(seconds=round(now - begins))}" if begins == since else ""
    print(f"{redact(options.prometheus)} from {_moment(begins)} to {_moment(now)}{is_short}")
    for name, moment in counted.items():
        print(f"{name} is counted from {_moment(moment)}, when what it would miss was first there")
    print(
        f"{'Alert':34} {'Fired':>6} {'For':>15}  {'Last began':20}  {'Simulated a month':30} "
        f"{'Threshold':>10} {'1 a month':>10}"
    )
    silent, unknown, is_complete = 0, 0, True
    for result in chain(first, shown):
        if result.problem:
            is_complete = False
            print(f"{result.alert.name:34} is not known: {result.problem}")
            continue
        if not (result.firings or options.names or options.all):
            silent += result.has_data
            unknown += not result.has_data
            continue
        if not result.has_data:
            print(f"{result.alert.name:34} no data: Prometheus has none of its series in that time")
            continue
        began = _moment(result.firings[-1].begins) if result.firings else ""
        total = str(timedelta(seconds=round(result.seconds)))
        print(
            f"{result.alert.name:34} {len(result.firings):6} {total:>15}  {began:20}  "
            f"{_false_alarms(result.level, measured.get(result.alert.name)):30} "
            f"{value_text(result.alert, result.alert.threshold if has_threshold(result.alert) else None):>10} "
            f"{value_text(result.alert, result.threshold):>10}".rstrip()
        )
    if silent:
        print(f"{silent} alerts would not have fired; --all shows them too.")
    if unknown:
        print(f"{unknown} alerts have no data: Prometheus has none of their series in that time; --all shows them too.")
    return 0 if is_complete else 1


def _with_progress(results: Iterator[BacktestResult], names: Sequence[str]) -> Iterator[BacktestResult]:
    """Yield the results; on a terminal, with which alert is asked for meanwhile: some take minutes."""
    for done, name in enumerate(names):
        if sys.stderr.isatty():
            sys.stderr.write(f"{done} of {len(names)} alerts done, now {name}")
            sys.stderr.flush()
        result = next(results)
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        yield result


def _moment(seconds: float) -> str:
    return command_line.moment_text(datetime.fromtimestamp(seconds).astimezone())


def _false_alarms(level: TrafficLevel | None, measured: Measured | None) -> str:
    """Return how many false alarms a month simulations had at this traffic; where it is not known, at the worst."""
    if level:
        return f"{rate_text(level.false_alarms_a_month)} ({level.name} traffic)"
    worst = max((one.false_alarms_a_month for one in measured.levels), default=0) if measured else None
    return "" if worst is None else f"up to {rate_text(worst)}"


def rate_text(a_month: float) -> str:
    """Return how often a month; what is rarer than once, as the months that go by between two."""
    if 0 < a_month < 1 and (months := round(1 / a_month)) > 1:
        return f"1 in {months} months"
    return _plain(a_month, 2)


def _plain(value: float, digits: int) -> str:
    """Return a number without an exponent, which nobody reads at night."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def value_text(alert: BoundAlert, value: float | None) -> str:
    """Return a value of what an alert compares, in the unit in which people speak of it."""
    if not has_threshold(alert):
        return "-"
    if value is None:
        return ""
    if alert.signal.unit is Unit.SECONDS:
        return durations.format_seconds(value) if value >= _SHORTEST or not value else "under 1ms"
    if alert.signal.unit is Unit.RATIO:
        return f"{_plain(100 * value, 6)} %"
    return f"{_plain(value, 6)} {alert.signal.suffix}".rstrip()
