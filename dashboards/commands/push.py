"""`dashboards push`: bring the generated dashboards into a Grafana that is there already."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from textwrap import indent
from typing import TYPE_CHECKING, Final

from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.commands.options import add_generated, add_grafana, generated_or_given, grafana, pairs
from ml_monitoring.dashboards.publish import files

if TYPE_CHECKING:
    from ml_monitoring.dashboards.publish.push import Step

HELP = "bring the dashboards into a Grafana that is there already"
DESCRIPTION = (
    "Save the dashboards that your settings make, your own pages among them, through Grafana's HTTP API. What was "
    "edited there by hand since the last push is a conflict: it is shown and left alone. Dashboards of others are "
    "never touched."
)

# Changes of one page that are listed unless all are asked for.
_MOST: Final = 10
# What a summary says of each state, of what was done and of what would be.
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "create": ("created", "to create"),
    "update": ("updated", "to update"),
    "unchanged": ("unchanged", "unchanged"),
    "delete": ("deleted", "to delete"),
    "conflict": ("in conflict", "in conflict"),
    "refused": ("refused", "refused"),
    "left over": ("left over", "left over"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_grafana(parser)
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
    add_generated(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would be done and change nothing")
    parser.add_argument("--all", action="store_true", help=f"list all changes, not the first {_MOST} of each page")
    parser.add_argument("--force", action="store_true", help="overwrite conflicts: what was edited by hand")
    parser.add_argument(
        "--prune",
        action="store_true",
        help="delete pushed dashboards that are no longer generated, your own pages never",
    )


def run(options: argparse.Namespace) -> int:
    """Push the dashboards and return the exit status."""
    from ml_monitoring.dashboards.publish import push  # noqa: PLC0415  # it brings an HTTP client

    datasources = pairs("--datasource", options.datasource, default="datasource")
    folders = pairs("--folder", options.folder)
    with closing(grafana(options)) as client, generated_or_given(options) as pages:
        own = pages.resolve() != OUTPUT_DIR.resolve()
        plan = push.plan(client, files.read(pages), datasources=datasources, folders=folders, own=own)
        for note in plan.notes:
            print(f"note: {note}", file=sys.stderr)
        steps: Iterable[Step] = plan.steps
        if not options.dry_run:
            steps = push.carry_out(client, plan, force=options.force, prune=options.prune)
        counts: Counter[str] = Counter()
        for step in steps:
            _print(step, details=options.dry_run, most=sys.maxsize if options.all else _MOST)
            counts[step.state] += 1
    print(_summary(counts, dry=options.dry_run))
    return 1 if counts[push.State.CONFLICT] + counts[push.State.REFUSED] else 0


def _summary(counts: Mapping[str, int], *, dry: bool) -> str:
    """Return how many pages there are of each state."""
    shown = [f"{counts[state]} {words[dry]}" for state, words in _STATES.items() if counts.get(state)]
    return f"{', '.join(shown) or 'no page'}{'; nothing was changed (dry run)' if dry else ''}"


def _print(step: Step, *, details: bool, most: int) -> None:
    name = f"{step.title} ({step.uid})"
    place = f" in {step.folder.title}" if step.folder else ""
    print(f"{step.state:<10} {name}{place}{f': {step.why}' if step.why else ''}")
    if step.by_hand:
        print(_indented("changed by hand:", step.by_hand, most))
    if step.changes and (details or step.why):
        print(_indented("changed by the push:", step.changes, most))


def _indented(heading: str, text: str, most: int) -> str:
    # Without the report's own heading, which names the dashboard again, and what a terminal shows as stars.
    listed = "\n".join(line for line in text.splitlines() if line and line[0] != "#")
    # Long values stand below their change.
    changes = re.split(r"\n(?=- )", re.sub(r"(?m)^- \*\*(.+?)\*\* ", r"- \1: ", listed))
    more = [f"and {len(changes) - most} more, which --all lists"] if len(changes) > most else []
    return "\n".join([f"  {heading}", indent("\n".join([*changes[:most], *more]), "    ")])
