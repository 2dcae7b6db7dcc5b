"""`dashboards export`: dashboards for others, as Grafana's import dialog, grafana.com or Git Sync take them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ml_monitoring.dashboards.commands.options import add_generated, generated_or_given
from ml_monitoring.dashboards.publish import files, portable, schema_v2
from ml_monitoring.dashboards.publish.files import Json
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import UsageError

HELP = "write the dashboards for Grafana's import dialog, grafana.com or Git Sync"
DESCRIPTION = (
    "Write the dashboards that your settings make for import, with data sources and plugins; or in the schema of "
    "Grafana 12 and 13 (v2), one file each, or as the folders of a repository that Git Sync reads."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_generated(parser)
    parser.add_argument("--output-dir", type=command_line.path, required=True, metavar="DIR", help="where to")
    parser.add_argument("--force", action="store_true", help="write over files that were not exported, too")
    parser.add_argument(
        "--format",
        choices=("import", "v2"),
        default="import",
        help="for the import dialog of any Grafana, or schema v2 (v2beta1) of Grafana 12 and 13 (default: import)",
    )
    parser.add_argument(
        "--layout",
        choices=("flat", "git-sync"),
        default="flat",
        help="all in one folder, or with v2 a folder each with _folder.json, as Git Sync reads them (default: flat)",
    )


def run(options: argparse.Namespace) -> int:
    """Write every generated dashboard, one file each, and return the exit status.

    Raises:
        ConfigError: If the layout is none for the format.
    """
    if options.layout == "git-sync" and options.format != "v2":
        raise UsageError(["--layout git-sync: Git Sync reads resources; add --format v2"])
    with generated_or_given(options) as pages:
        written = list(_written(options, pages))
        if not options.force:
            files.refuse_others((options.output_dir / name for name, _ in written), done="exported")
        for name, content in written:
            path = options.output_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files.as_text(content), encoding="utf-8")
            print(path)
    return 0


def _written(options: argparse.Namespace, pages: Path) -> Iterator[tuple[str, Json]]:
    seen: set[str] = set()
    for folder, dashboard in files.read(pages):
        file = f"{dashboard['uid']}.json"
        if options.format == "import":
            yield file, portable.exportable(dashboard)
        elif options.layout == "flat":
            # Where it is put decides on the folder: a uid that the other Grafana does not have would be refused.
            yield file, schema_v2.resource(dashboard)
        else:
            uid = files.folder_uid(folder)
            if folder not in seen:
                seen.add(folder)
                yield f"{folder}/{schema_v2.FOLDER_FILE}", schema_v2.folder_resource(uid, folder)
            yield f"{folder}/{file}", schema_v2.resource(dashboard, uid)
