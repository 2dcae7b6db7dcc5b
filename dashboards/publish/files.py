"""Dashboards as files: `<folder>/<uid>.json`, the folders being Grafana's (`foldersFromFilesStructure`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ml_monitoring.alerting.model import generated
from ml_monitoring.dashboards import TAG
from ml_monitoring.exporter.command_line import spelled
from ml_monitoring.exporter.errors import ConfigError

Json = dict[str, Any]


def write(directory: Path, dashboards: Iterable[tuple[str, Json]]) -> tuple[Path, ...]:
    """Write (folder's title, dashboard) pairs and return the paths."""
    written = []
    for folder, dashboard in dashboards:
        path = path_of(directory, folder, dashboard)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_text(dashboard), encoding="utf-8")
        written.append(path)
    return tuple(written)


def path_of(directory: Path, folder: str, dashboard: Json) -> Path:
    """Return where a dashboard of a folder is written."""
    return directory / folder / f"{dashboard['uid']}.json"


def refuse_others(paths: Iterable[Path], *, done: str) -> None:
    """Refuse to write over files that were not written here.

    Args:
        paths: What is to be written.
        done: What was not done to such files, as a participle.

    Raises:
        ConfigError: There are such files; each is named.
    """
    generated.refuse_others(paths, is_written, hint=lambda _path: ", or --force to write over it", done=done)


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


def is_written(text: str, path: Path) -> bool:
    """Tell whether a file is one that was written here: a dashboard by its uid, as `as_text` writes it."""
    try:
        content = json.loads(text)
        return uid_of(content) in (path.stem, "") and text == as_text(content)
    except (ValueError, RecursionError, AttributeError):
        return False


def uid_of(content: Json) -> str:
    """Return the uid of a dashboard in either schema; of a folder of Git Sync nothing.

    Raises:
        ValueError: It is none of these.
    """
    if "uid" in content:
        return str(content["uid"])
    kind = content.get("kind")
    if kind not in ("Dashboard", "Folder"):
        raise ValueError("neither a dashboard nor a folder")
    return str(content["metadata"]["name"]) if kind == "Dashboard" else ""


def folder_uid(title: str) -> str:
    """Return the uid of a folder of ours."""
    return f"{TAG}-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def as_text(dashboard: Json) -> str:
    """Return the bytes-stable text of a dashboard: sorted keys, so that a diff shows what changed and nothing else."""
    return json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
