"""The commands `ml-monitoring experiments ...`: what would be read, may one go on, what does it say?

All read for themselves, with the exporter's settings; none needs an exporter that runs.
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
from ml_monitoring.exporter.errors import ConfigError, Reason, SourceError, UsageError
from ml_monitoring.exporter.sources.experiments import ExperimentsSettings, ExperimentsSource
from ml_monitoring.exporter.sources.experiments.gate import REQUIREMENTS, Gate, GateAnswer
from ml_monitoring.exporter.sources.experiments.report import as_html, report_of
from ml_monitoring.exporter.sources.experiments.survey import survey
from ml_monitoring.exporter.stores import STORE_LABEL, labels_of
from ml_monitoring.exporter.suggestions import suggestion_or_all

_LIMIT: Final = 300.0


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
    purpose = "say what would be read of each experiment, what is there, and how long it will take"
    check = commands.add_parser("check", help=purpose, description=purpose)
    check.add_argument("names", nargs="*", metavar="NAME", help="default all")
    check.set_defaults(command=_check)
    purpose = "exit with 0 when an experiment may go on, and with 1 when it may not or nobody knows"
    gate = commands.add_parser("gate", help=purpose, description=purpose)
    gate.add_argument("name", metavar="NAME", help="of the experiment, as it is declared")
    gate.add_argument(
        "--require", choices=[each for each in REQUIREMENTS if each], default="", help="go on only with this decision"
    )
    gate.add_argument("--json", action="store_true", help="print the answer as the exporter's endpoint gives it")
    gate.set_defaults(command=_gate)
    purpose = "write what an experiment says for people who decide, as HTML or PDF"
    report = commands.add_parser("report", help=purpose, description=purpose)
    report.add_argument("name", metavar="NAME", help="of the experiment, as it is declared")
    report.add_argument(
        "--output",
        "-o",
        type=_report_file,
        metavar="FILE",
        help="its end chooses the form: .html or .pdf (default NAME.html)",
    )
    report.set_defaults(command=_report)
    for subparser in (gate, report):
        subparser.add_argument(
            "--timeout", type=command_line.duration, default=_LIMIT, metavar="DURATION", help="to read it (default 5m)"
        )
    for subparser in (check, gate, report):
        subparser.add_argument(
            "--store", metavar="NAME", help="where several sources of experiments have names: this one (default all)"
        )
        subparser.add_argument(
            "--config.file",
            "--config",
            dest="files",
            action="append",
            type=command_line.path,
            metavar="FILE",
            help="settings; repeat for several: they are merged, the last one goes first",
        )


def _settings(options: argparse.Namespace) -> dict[str, ExperimentsSettings]:
    """Return the settings of all sources of experiments that are meant, by what they are called."""
    enabled = load(settings_files(options.files)).enabled_sources()
    found = {name: each for name, each in enabled.items() if isinstance(each, ExperimentsSettings)}
    if not found:
        raise ConfigError(["sources.experiments: no experiments are configured"])
    if options.store is not None:
        wanted = f"{ExperimentsSource.name}/{options.store}"
        if wanted not in found:
            raise UsageError([f"--store: there is no {wanted}{suggestion_or_all(wanted, found)}"])
        found = {wanted: found[wanted]}
    return found


def _source(options: argparse.Namespace) -> ExperimentsSource:
    """Return the source that has an experiment.

    Raises:
        ConfigError: None has it, or several.
    """
    sources = {name: ExperimentsSource(settings) for name, settings in _settings(options).items()}
    problems: list[str] = []
    having = []
    declared: set[str] = set()
    for name, source in sources.items():
        problems += source.declare(only=options.name)
        declared |= source.declared
        if options.name in source.tracked:
            having.append(name)
    for name in sources.keys() - having[:1]:
        sources[name].close()
    if not having:
        raise ConfigError(
            [*problems, f"there is no experiment {options.name}{suggestion_or_all(options.name, sorted(declared))}"]
        )
    if len(having) > 1:
        sources[having[0]].close()
        raise ConfigError([f"several sources have an experiment {options.name}: {', '.join(having)}; give --store"])
    return sources[having[0]]


def _check(options: argparse.Namespace) -> int:
    lines: list[tuple[str, str, str]] = []
    missing = set(options.names)
    declared: set[str] = set()
    for source_name, settings in _settings(options).items():
        source = ExperimentsSource(settings)
        store = labels_of(source_name).get(STORE_LABEL, "")
        prefix = f"{store}: " if store else ""
        try:
            lines += [("FAIL", f"{prefix}declarations", problem) for problem in source.declare()]
            missing -= source.tracked.keys()
            declared |= source.declared
            for name, tracked in sorted(source.tracked.items()):
                if name in options.names or not options.names:
                    source.begin()
                    found = survey(name, tracked.declaration, source.stores, time.time())
                    lines += [("ok" if each.ok else "FAIL", f"{prefix}{each.subject}", each.message) for each in found]
        finally:
            source.close()
    absent = [
        ("FAIL", "declarations", f"there is no experiment {name}{suggestion_or_all(name, sorted(declared))}")
        for name in options.names
        if name in missing
    ]
    lines = [*absent, *lines]
    width = max((len(subject) for _state, subject, _message in lines), default=0)
    for state, subject, message in lines:
        print(f"{state:4}  {subject:{width}}  {message}")
    return 1 if any(state == "FAIL" for state, _subject, _message in lines) else 0


def _gate(options: argparse.Namespace) -> int:
    source = _source(options)
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


def _report(options: argparse.Namespace) -> int:
    path: Path = options.output or Path(f"{options.name}.html")
    source = _source(options)
    try:
        gate = _read(source, options.name, options.timeout)
        report = report_of(source.tracked[options.name], gate, time.time())
    finally:
        source.close()
    if path.suffix == ".pdf":
        from ml_monitoring.exporter.sources.experiments.paper import write_pdf  # noqa: PLC0415  # draws by an extra

        write_pdf(report, path)
    else:
        path.write_text(as_html(report), encoding="utf-8")
    print(f"{path}: {options.name}: {report.decision}: {report.reason}")
    return 0


def _report_file(text: str) -> Path:
    path = Path(text)
    if path.suffix not in {".html", ".pdf"}:
        raise argparse.ArgumentTypeError(f"{text}: neither .html nor .pdf")
    return path


def _read(source: ExperimentsSource, name: str, limit: float) -> Gate:
    """Read one experiment to its end.

    Raises:
        SourceError: It cannot be read.
    """
    deadline = time.monotonic() + limit
    while True:
        source.collect()
        tracked, gate = source.tracked[name], source.gate(name)
        if gate is not None and (tracked.judgement is not None or tracked.error):
            return gate
        if time.monotonic() > deadline:
            raise SourceError(Reason.TIMEOUT, f"{name} could not be read in {limit:g} s")
