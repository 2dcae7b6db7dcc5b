"""`dashboards pull`: dashboards of a Grafana into files, in the layout of the generated ones."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from ml_monitoring.dashboards.commands.options import add_grafana, grafana
from ml_monitoring.dashboards.publish import files
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import ConfigError

HELP = "fetch dashboards from a Grafana, to keep them in git"
DESCRIPTION = (
    "Write dashboards of a Grafana as FOLDER/UID.json, with sorted keys and without what changes from save to save, so "
    "that git shows what somebody edited. The token needs the role Viewer. Files of dashboards that are gone stay."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_grafana(parser)
    parser.add_argument("--output-dir", type=command_line.path, required=True, metavar="DIR", help="where to")
    parser.add_argument("--force", action="store_true", help="write over files that were not pulled, too")
    parser.add_argument("--uid", action="append", default=[], help="fetch this dashboard; may be repeated")
    parser.add_argument("--tag", action="append", default=[], help="fetch dashboards with this tag; may be repeated")
    parser.add_argument(
        "--folder",
        action="append",
        default=[],
        help="fetch dashboards of the folder with this title or uid (General: those in none); may be repeated",
    )


def run(options: argparse.Namespace) -> int:
    """Fetch the dashboards and return the exit status: 1 when one of them could not be fetched."""
    from ml_monitoring.dashboards.publish import pull  # noqa: PLC0415  # it brings an HTTP client
    from ml_monitoring.dashboards.publish.grafana import GrafanaError  # noqa: PLC0415  # the same

    if not (options.uid or options.tag or options.folder):
        raise ConfigError(["which dashboards? choose them with --uid, --tag or --folder"])
    failed = False
    found = []
    with closing(grafana(options)) as client:
        for one in pull.find(client, uids=options.uid, tags=options.tag, folders=options.folder):
            try:
                found.append(pull.read(client, one))
            except GrafanaError as error:
                # The others can still be fetched.
                print(f"error: {error}", file=sys.stderr)
                failed = True
    if not options.force:
        files.refuse_others((files.path_of(options.output_dir, *one) for one in found), done="pulled")
    for path in files.write(options.output_dir, found):
        print(path)
    return 1 if failed else 0
