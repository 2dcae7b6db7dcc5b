"""Write every page as `<folder>/<uid>.json`, the folders being Grafana's (`foldersFromFilesStructure`)."""

from __future__ import annotations

import json
from pathlib import Path

from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.lib.upstream import Json
from ml_monitoring.dashboards.pages import build_all


def generate(output_dir: Path = OUTPUT_DIR) -> tuple[Path, ...]:
    """Write all pages, remove pages that no longer exist, and return the written paths."""
    written = []
    for page in build_all():
        path = output_dir / page.folder / f"{page.uid}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_text(page.to_json()), encoding="utf-8")
        written.append(path)
    for path in output_dir.glob("*/*.json"):
        if path not in written:
            path.unlink()
    return tuple(written)


def as_text(dashboard: Json) -> str:
    """Return the bytes-stable text of a dashboard: sorted keys, so that a diff shows what changed and nothing else."""
    return json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
