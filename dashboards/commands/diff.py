"""`dashboards diff`: what changed between two versions of dashboards, by meaning, as Markdown."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from ml_monitoring.dashboards.publish.changes import compare
from ml_monitoring.dashboards.publish.digest import digest
from ml_monitoring.dashboards.publish.values import without_defaults
from ml_monitoring.dashboards.render import formats
from ml_monitoring.dashboards.render.errors import why_no_json
from ml_monitoring.exporter import differences
from ml_monitoring.exporter.errors import UsageError

Json = dict[str, Any]

_COUNTED = "No differences but in how queries are written, or in what Grafana counts itself, such as `version`."
HELP = "say what changed between two versions of dashboards"
DESCRIPTION = "Compare dashboards by meaning: panels, queries, units, thresholds, variables; as Markdown."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    differences.add_arguments(
        parser,
        everything="list all changes of each page one by one: those of looks too (colours, places, ...)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the differences and return the exit status."""
    old, new = _read(options.old), _read(options.new)
    before, after = ({uid: page for uid, (_source, page) in one.items()} for one in (old, new))
    is_same = before == after
    before, after = ({uid: without_defaults(page) for uid, page in one.items()} for one in (before, after))
    # Of a single file, or of files in one folder, nothing says where Grafana has them.
    if all(len({Path(source).parent for source, _page in one.values()}) > 1 for one in (old, new)):
        for one, pages in ((old, before), (new, after)):
            for uid, (source, _page) in one.items():
                pages[uid]["folder"] = Path(source).parent.name
    commands = {
        uid: f"ml-monitoring dashboards diff {shlex.quote(old[uid][0])} {shlex.quote(new[uid][0])}"
        for uid in old
        if uid in new
    }
    report = compare(before, after) if options.all else digest(before, after, commands)
    print(report or ("No differences." if is_same else _COUNTED))
    return 1 if report and options.exit_code else 0


def _read(name: str) -> dict[str, tuple[str, Json]]:
    """Return dashboards by uid, each with where it is, from a file, a folder, or `REVISION:PATH` of the git repository.

    Raises:
        UsageError: If there is nothing to read.
    """
    texts = differences.texts_of(name, (".json",), lambda error: f"cannot be read as JSON: {why_no_json(error)}")
    found: dict[str, tuple[str, Json]] = {}
    for source, text in texts:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError([f"{source}: cannot be read as JSON: {why_no_json(error)}"]) from error
        if formats.is_dashboard(content):
            dashboard = formats.classic(content, source)
            found[str(dashboard.get("uid") or Path(source).stem)] = (source, dashboard)
    if not found:
        raise UsageError([f"{name}: no dashboard in it"])
    return found
