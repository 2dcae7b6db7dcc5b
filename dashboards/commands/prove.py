"""`dashboards prove`: show that every panel of every dashboard has data."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from ml_monitoring.dashboards.commands.options import add_dashboards, add_source, find, query_options
from ml_monitoring.dashboards.commands.progress import Progress
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_file import Layers

HELP = "show that every panel has data"
DESCRIPTION = "Run every query of every panel and say which panels are ok, empty, failed or slow."

ALLOWED = Path(__file__).parent.parent / "prove.yml"
# Between two tries while panels are still empty.
PAUSE = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_dashboards(parser)
    add_source(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--slow",
        type=command_line.duration_or_zero,
        default="500ms",
        metavar="TIME",
        help="call a panel slow from here (default: 500ms)",
    )
    parser.add_argument(
        "--wait",
        type=command_line.duration_or_zero,
        default="0s",
        metavar="TIME",
        help="try again for so long while panels are empty",
    )
    parser.add_argument(
        "--allow",
        type=command_line.path,
        metavar="FILE",
        help="YAML of panels that may be empty, with reasons (default: ours)",
    )


def run(options: argparse.Namespace) -> int:
    """Prove the dashboards and return the exit status."""
    # Only here, as they bring matplotlib.
    from ml_monitoring.dashboards.render.prove import as_table, prove  # noqa: PLC0415

    dashboards = find(options, options.dashboards)
    queries = query_options(options, dashboards)
    allowed = read_allowed(options.allow or ALLOWED, required=options.allow is not None)
    queries.prometheus.version()
    deadline = time.monotonic() + options.wait
    while True:
        with queries.prometheus, Progress(sum(len(dashboard.panels) for dashboard in dashboards)) as progress:
            proofs, loads = prove(
                dashboards, queries, allowed, slow=options.slow * 1000, on_panel=lambda one: progress.step(one.title)
            )
        if not any(proof.bad for proof in proofs) or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
        queries = query_options(options)
    if options.json:
        print(json.dumps([asdict(proof) for proof in proofs], indent=2, ensure_ascii=False))
    else:
        print("\n".join(as_table(proofs, loads)))
    return 1 if any(proof.bad for proof in proofs) else 0


def read_allowed(path: Path, *, required: bool) -> dict[tuple[str, str], str]:
    """Return why panels may be empty, from YAML: uid -> panel title -> reason.

    Raises:
        ConfigError: If the file is missing though it was named, or a reason is missing.
    """
    if not required and not path.exists():
        return {}
    allowed = {}
    layers = Layers.of_file(path)
    for uid, panels in layers.data.items():
        if panels is not None and not isinstance(panels, dict):
            raise ConfigError([layers.problem((uid,), "must hold `title of a panel: reason`")])
        for title, reason in (panels or {}).items():
            if not isinstance(reason, str) or not reason.strip():
                raise ConfigError([layers.problem((uid, title), "give the reason why it may be empty")])
            allowed[str(uid), str(title)] = str(reason)
    return allowed
