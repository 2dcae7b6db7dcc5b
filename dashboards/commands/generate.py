"""`dashboards generate`: write every page as Grafana's JSON."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.extensions import OWN_UID_PREFIX
from ml_monitoring.alerting.model.generated import is_generated, refuse_others
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.dashboards import TAG
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.publish import kustomize
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.regular_files import read_text
from ml_monitoring.exporter.version import CHECKOUT

HELP = "write the dashboards' JSON"
DESCRIPTION = "Write the JSON, and the kustomization.yaml that makes a ConfigMap of each for Grafana's sidecar."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument(
        "--output-dir",
        type=command_line.path,
        default=OUTPUT_DIR,
        required=CHECKOUT is None,
        metavar="DIR",
        help="where to (default in a checkout: dashboards/generated)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the pages and return the exit status."""
    pages = write_pages(options.output_dir, own.load_to_write(options, OUTPUT_DIR))
    print("\n".join(_summary(options.output_dir, pages)))
    return 0


def _summary(directory: Path, pages: Sequence[Path]) -> list[str]:
    """Return what was written: pages of the user's own one by one, of all how many each folder has."""
    folders = Counter(path.parent.name for path in pages)
    count = ", ".join(f"{name} {number}" for name, number in sorted(folders.items()))
    own = [str(path) for path in pages if path.stem.startswith(OWN_UID_PREFIX)]
    return [
        *own,
        f"{directory}: {len(pages)} pages ({count}) and {kustomize.FILE} written; "
        "a Grafana that reads this folder shows them by itself",
    ]


def write_pages(directory: Path, thresholds: Thresholds) -> tuple[Path, ...]:
    """Write the pages and what makes ConfigMaps of them, remove pages that no longer exist, and return the pages.

    Files of others stay as they are.

    Raises:
        ConfigError: One of them is where a page has to be.
        OSError: The folder cannot be written.
    """
    # Only here, as they bring grafanalib.
    from ml_monitoring.dashboards.documents import documents  # noqa: PLC0415
    from ml_monitoring.dashboards.lib.context import PageContext  # noqa: PLC0415
    from ml_monitoring.dashboards.publish.files import write  # noqa: PLC0415

    pages = list(documents(PageContext.of(thresholds)))
    paths = [directory / folder / f"{page['uid']}.json" for folder, page in pages]
    refuse_others([*paths, directory / kustomize.FILE], lambda text, path: is_generated(text) or _is_page(text, path))
    written = write(directory, pages)
    listing = kustomize.kustomization([path.relative_to(directory) for path in written], thresholds.components or ())
    (directory / kustomize.FILE).write_text(listing, encoding="utf-8", newline="\n")
    for path in directory.glob("*/*.json"):
        if path not in written and _is_old_page(path):
            path.unlink()
    return written


def _is_page(text: str, path: Path) -> bool:
    """Tell whether a file is a page of ours, by its uid, which is its name, and the tag that all have."""
    try:
        page = json.loads(text)
    except ValueError:
        return False
    return isinstance(page, dict) and page.get("uid") == path.stem and TAG in (page.get("tags") or ())


def _is_old_page(path: Path) -> bool:
    try:
        return _is_page(read_text(path), path)
    except (OSError, UnicodeDecodeError):
        return False
