"""Dashboards as files: `<folder>/<uid>.json`, the folders being Grafana's (`foldersFromFilesStructure`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ml_monitoring.dashboards import TAG
from ml_monitoring.exporter.command_line import spelled
from ml_monitoring.exporter.errors import ConfigError

Json = dict[str, Any]


def write(directory: Path, dashboards: Iterable[tuple[str, Json]]) -> tuple[Path, ...]:
    """Write (folder's title, dashboard) pairs and return the paths."""
    written = []
    for folder, dashboard in dashboards:
        path = directory / folder / f"{dashboard['uid']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_text(dashboard), encoding="utf-8")
        written.append(path)
    return tuple(written)


def read(directory: Path) -> list[tuple[str, Json]]:
    """Return (folder's title, dashboard) of each file.

    Raises:
        ConfigError: If there is none.
    """
    paths = sorted(directory.glob("*/*.json"))
    if not paths:
        how = spelled("dashboards", "generate", "--output-dir", str(directory))
        raise ConfigError([f"{directory}: no dashboards; write them with: {how}"])
    return [(path.parent.name, json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def folder_uid(title: str) -> str:
    """Return the uid of a folder of ours."""
    return f"{TAG}-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def as_text(dashboard: Json) -> str:
    """Return the bytes-stable text of a dashboard: sorted keys, so that a diff shows what changed and nothing else."""
    return json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
