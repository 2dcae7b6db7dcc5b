"""The commands `ml-monitoring experiments ...`: what would be read, and may an experiment go on?

Both read for themselves, with the exporter's settings; neither needs an exporter that runs.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.environment import settings_files
from ml_monitoring.exporter.errors import ConfigError, Reason, SourceError
from ml_monitoring.exporter.sources.experiments import ExperimentsSettings, ExperimentsSource
from ml_monitoring.exporter.sources.experiments.gate import REQUIREMENTS, Gate, GateAnswer
from ml_monitoring.exporter.sources.experiments.survey import survey

_LIMIT: Final = 300.0


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
    purpose = "say what would be read of each experiment, what is there, and how long it will take"
    check = commands.add_parser("check", help=purpose, description=purpose)
    check.add_argument("names", nargs="*", metavar="NAME", help="default all")
    check.set_defaults(command=_check)
    purpose = "exit with 0 when an experiment may go on, and with 1 when it may not or nobody knows"
    gate = commands.add_parser("gate", help=purpose, description=purpose)
    gate.add_argument("name", metavar="NAME")
    gate.add_argument(
        "--require", choices=[each for each in REQUIREMENTS if each], default="", help="go on only with this decision"
    )
    gate.add_argument("--json", action="store_true", help="print the answer as the exporter's endpoint gives it")
    gate.add_argument(
        "--timeout", type=command_line.duration, default=_LIMIT, metavar="DURATION", help="to read it (default 5m)"
    )
    gate.set_defaults(command=_gate)
    for subparser in (check, gate):
        subparser.add_argument(
            "--config.file",
            "--config",
            dest="files",
            action="append",
            type=Path,
            metavar="FILE",
            help="settings; repeat for several: they are merged, the last one goes first",
        )


def _settings(options: argparse.Namespace) -> ExperimentsSettings:
    found = load(settings_files(options.files)).enabled_sources().get(ExperimentsSource.name)
    if not isinstance(found, ExperimentsSettings):
        raise ConfigError(["sources.experiments: no experiments are configured"])
    return found


def _check(options: argparse.Namespace) -> int:
    source = ExperimentsSource(_settings(options))
    try:
        problems = source.declare()
        known = source.tracked
        problems += [f"there is no experiment {name}" for name in options.names if name not in known]
        lines = [("FAIL", "declarations", problem) for problem in problems]
        for name, tracked in sorted(known.items()):
            if name in options.names or not options.names:
                source.begin()
                found = survey(name, tracked.declaration, source.stores, time.time())
                lines += [("ok" if each.ok else "FAIL", each.subject, each.message) for each in found]
    finally:
        source.close()
    width = max((len(subject) for _state, subject, _message in lines), default=0)
    for state, subject, message in lines:
        print(f"{state:4}  {subject:{width}}  {message}")
    return 1 if any(state == "FAIL" for state, _subject, _message in lines) else 0


def _gate(options: argparse.Namespace) -> int:
    source = ExperimentsSource(_settings(options))
    try:
        gate = _read(source, options.name, options.timeout).requiring(options.require)
    finally:
        source.close()
    if options.json:
        print(json.dumps(gate.document, indent=2))
    else:
        read = f"; counted until {datetime.fromtimestamp(gate.read, UTC):%Y-%m-%d %H:%M:%S} UTC" if gate.read else ""
        about = f" ({gate.arm})" if gate.arm else ""
        print(f"{gate.experiment}: {gate.answer}: {gate.decision}{about}: {gate.reason}{read}")
        for caveat in gate.caveats:
            print(f"  {caveat}")
    return 0 if gate.answer is GateAnswer.GO_ON else 1


def _read(source: ExperimentsSource, name: str, limit: float) -> Gate:
    """Read one experiment to its end.

    Raises:
        ConfigError: There is no such experiment.
        SourceError: It cannot be read.
    """
    problems = source.declare(only=name)
    if name not in source.tracked:
        raise ConfigError([*problems, f"there is no experiment {name}"])
    deadline = time.monotonic() + limit
    while True:
        source.collect()
        tracked, gate = source.tracked[name], source.gate(name)
        if gate is not None and (tracked.judgement is not None or tracked.error):
            return gate
        if time.monotonic() > deadline:
            raise SourceError(Reason.TIMEOUT, f"{name} could not be read in {limit:g} s")
