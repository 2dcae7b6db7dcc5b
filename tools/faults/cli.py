"""The command line: each fault by itself in a stack that is quiet before and after, and a table of who was notified."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tools.faults
from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.command_parser import CommandParser
from tools.faults.catalogue import FAULTS, Fault
from tools.faults.deliveries import Delivery
from tools.faults.world import World
from tools.processes import wait_until
from tools.stack import ROOT

# Git ignores it, and it is on a disk, which a folder for temporary files may not be.
_PARENT = ROOT / ".demo"
_NOTIFIED_TIMEOUT = 90.0
# Longer than any `for` here and what follows it: late notifications have arrived by then.
_SETTLE = 20.0


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody who was notified.

    Attributes:
        fault: What had happened.
        alert: Name of the alert.
        who: Receiver and channel.
        seconds: From the fault until the message came.
        usual: The same with the waits of `thresholds.yml`, computed.
    """

    fault: str
    alert: str
    who: str
    seconds: float
    usual: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults; return 1 when others were notified than those that should be."""
    summary = (tools.faults.__doc__ or "").splitlines()[0]
    parser = CommandParser(prog="python -m tools.faults", description=summary)
    known = [fault.name for fault in FAULTS]
    parser.add_argument("names", nargs="*", metavar="FAULT", help=f"{', '.join(known)} (default: all)")
    parser.add_argument(
        "--usual-waits", action="store_true", help="wait as long as thresholds.yml says (half an hour for a disk)"
    )
    options = parser.parse_args(arguments)
    unknown = sorted({*options.names} - {*known})
    if unknown:
        parser.error(f"there is no fault {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [fault for fault in FAULTS if not options.names or fault.name in options.names]
    _PARENT.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="faults-", dir=_PARENT))
    rows: list[Row] = []
    problems: list[str] = []
    try:
        with World(directory, usual_waits=options.usual_waits) as world:
            for fault in chosen:
                print(f">> {fault.title}", file=sys.stderr, flush=True)
                found, wrong = run(world, fault)
                rows += found
                problems += wrong
    except TimeoutError as error:
        problems.append(str(error))
    finally:
        # Kept to be looked at when something went wrong.
        if not problems:
            shutil.rmtree(directory)
    print(table(rows))
    for problem in problems:
        print(f"wrong: {problem}; logs: {directory}", file=sys.stderr)
    return 1 if problems else 0


def run(world: World, fault: Fault, *, settle: float = _SETTLE) -> tuple[list[Row], list[str]]:
    """Inject a fault into the quiet world, see who is notified, and let it recover.

    Args:
        world: Everything that runs.
        fault: What breaks.
        settle: Seconds that are waited for further notifications, when all who must be notified were.

    Returns:
        Who was notified, and in words what was not as it should be.
    """
    alerts = {alert.name: alert for alert in load_alerts()}
    notifications = load_thresholds().notifications
    receivers = {(f"{alerts[name].team}-{alerts[name].severity}", name) for name in fault.alerts}
    channels = {(world.listeners.channel(alerts[name].team), name) for name in fault.alerts}
    world.listeners.forget()
    began = time.monotonic()
    fault.inject(world)

    def notified() -> bool:
        return receivers <= _pairs(world.listeners.by_receiver()) and channels <= _pairs(world.listeners.by_channel())

    wait_until(notified, timeout=_NOTIFIED_TIMEOUT + max(map(world.wait_of, fault.alerts), default=0), poll=0.2)
    time.sleep(settle)
    by_receiver, by_channel = world.listeners.by_receiver(), world.listeners.by_channel()
    fault.recover(world)
    world.wait_quiet()
    # What was sent during the recovery counts too.
    problems = [
        f"{fault.name}: {what}: {sorted(pairs)}"
        for expected, got in (
            (receivers, _pairs(world.listeners.by_receiver())),
            (channels, _pairs(world.listeners.by_channel())),
        )
        for what, pairs in (("not notified", expected - got), ("notified besides", got - expected))
        if pairs
    ]
    rows = []
    for name in fault.alerts:
        came = next((one for one in by_channel if one.alert == name), None)
        who = next((one.who for one in by_receiver if one.alert == name), "")
        if came is not None:
            bound = alerts[name]
            usual = durations.parse(bound.numbers.for_) + durations.parse(
                notifications.timing(bound.numbers.severity).group_wait
            )
            seconds = came.at - began
            rows.append(Row(fault.title, name, f"{who}, {came.who}", seconds, seconds - world.wait_of(name) + usual))
    return rows, problems


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [
        "| what happened | alert | who was notified, and how | after | computed for the usual waits |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.fault} | {row.alert} | {row.who} | {row.seconds:.0f} s | {_minutes(row.usual)} |" for row in rows
    ]
    return "\n".join(lines)


def _pairs(deliveries: Sequence[Delivery]) -> set[tuple[str, str]]:
    return {(one.who, one.alert) for one in deliveries}


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
