"""The command line of what brings pages to others: push and export. Light to import, as `viewing` is."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.exporter.errors import ConfigError

if TYPE_CHECKING:
    from ml_monitoring.dashboards.commands.push import Step

_URL_VARIABLE = "GRAFANA_URL"
_TOKEN_VARIABLE = "GRAFANA_TOKEN_FILE"  # noqa: S105  # the name of a variable that holds a path


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    _add_push(commands)
    _add_export(commands)


def _add_push(commands: Any) -> None:
    parser = commands.add_parser(
        "push",
        help="bring the dashboards into a Grafana that is there already",
        description="Save the generated dashboards through Grafana's HTTP API. What was edited there by hand since the "
        "last push is a conflict: it is shown and left alone. Dashboards of others are never touched.",
    )
    parser.add_argument(
        "--url", default=os.environ.get(_URL_VARIABLE), help=f"address of Grafana (default: {_URL_VARIABLE})"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        default=os.environ.get(_TOKEN_VARIABLE),
        metavar="FILE",
        help=f"holds a token of a service account (default: {_TOKEN_VARIABLE})",
    )
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="certificates that Grafana's is checked against")
    parser.add_argument(
        "--datasource",
        action="append",
        default=[],
        metavar="[VARIABLE=]SOURCE",
        help="name or uid of the data source that a page begins with (VARIABLE by default: datasource)",
    )
    parser.add_argument(
        "--folder",
        action="append",
        default=[],
        metavar="GENERATED=FOLDER",
        help="title or uid of the folder to take for a generated one",
    )
    _add_directory(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would be done and change nothing")
    parser.add_argument("--force", action="store_true", help="overwrite what was edited by hand")
    parser.add_argument("--prune", action="store_true", help="delete pushed dashboards that are no longer generated")
    parser.set_defaults(command=_push)


def _add_export(commands: Any) -> None:
    parser = commands.add_parser(
        "export",
        help="write the dashboards for Grafana's import dialog and grafana.com",
        description="Write the dashboards with what an import asks for: data sources and plugins.",
    )
    _add_directory(parser)
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="where to")
    parser.set_defaults(command=_export)


def _add_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dashboards",
        type=Path,
        default=OUTPUT_DIR,
        metavar="DIR",
        help="the generated dashboards (default: dashboards/generated)",
    )


def _push(options: argparse.Namespace) -> int:
    push, grafana_module = (
        import_module("ml_monitoring.dashboards.commands.push"),
        import_module("ml_monitoring.dashboards.grafana"),
    )
    missing = [
        f"{option}: not given, and {variable} is not set"
        for option, variable, value in (
            ("--url", _URL_VARIABLE, options.url),
            ("--token-file", _TOKEN_VARIABLE, options.token_file),
        )
        if not value
    ]
    if missing:
        raise ConfigError(missing)
    token = _read_token(Path(options.token_file))
    datasources = _pairs("--datasource", options.datasource, default="datasource")
    folders = _pairs("--folder", options.folder)
    open_ends = 0
    try:
        with closing(grafana_module.Grafana(options.url, token, ca_file=options.ca_file)) as grafana:
            generated = push.read_generated(options.dashboards)
            plan = push.plan(grafana, generated, datasources=datasources, folders=folders)
            for note in plan.notes:
                print(f"note: {note}", file=sys.stderr)
            steps = plan.steps
            if not options.dry_run:
                steps = push.carry_out(grafana, steps, force=options.force, prune=options.prune)
            for step in steps:
                _show(step, details=options.dry_run)
                open_ends += step.state in {push.State.CONFLICT, push.State.REFUSED}
    except grafana_module.GrafanaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 1 if open_ends else 0


def _show(step: Step, *, details: bool) -> None:
    name = f"{step.title} ({step.uid})"
    place = f" in {step.folder.title}" if step.folder else ""
    print(f"{step.state:<10} {name}{place}{f': {step.why}' if step.why else ''}")
    if step.by_hand:
        print(_indented("changed by hand:", step.by_hand))
    if step.changes and (details or step.why):
        print(_indented("changed by the push:", step.changes))


def _indented(heading: str, text: str) -> str:
    # Without the report's own heading, which names the dashboard again.
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return "\n".join([f"  {heading}", *(f"    {line}" for line in lines)])


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: the token cannot be read: {error}"]) from error
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigError([f"{path}: holds no token"])
    return token


def _pairs(option: str, texts: list[str], *, default: str = "") -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.rpartition("=")
        key = key if separator else default
        if not key or not value:
            raise ConfigError([f"{option} {text}: expected NAME=VALUE"])
        pairs[key] = value
    return pairs


def _export(options: argparse.Namespace) -> int:
    exporting, grafana_module = (
        import_module("ml_monitoring.dashboards.commands.export"),
        import_module("ml_monitoring.dashboards.grafana"),
    )
    try:
        for path in exporting.export(options.dashboards, options.output_dir):
            print(path)
    except grafana_module.GrafanaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
