"""The journal that earlier versions kept beside the database: lines in files, one file a day, read once and removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ml_monitoring.alerting.log.notification import Notification, NotificationError, parse


def journal_files(directory: Path) -> list[Path]:
    """Return the files of the journal, oldest first."""
    return sorted(path for path in directory.glob("notifications-*.jsonl") if path.is_file())


def lines_since(path: Path, offset: int) -> Iterator[tuple[str, int]]:
    """Yield complete lines, each with the position behind it; the sender of a torn one was never answered."""
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            offset += len(line)
            if line.endswith(b"\n"):
                yield line.decode("utf-8", "replace"), offset


def parse_line(line: str) -> Notification:
    """Read a line of the journal.

    Raises:
        NotificationError: It is no such line.
    """
    try:
        entry = json.loads(line)
        received, body = float(entry["received"]), entry["notification"]
    except (KeyError, TypeError, ValueError) as error:
        raise NotificationError(f"not a line of the journal: {error}") from None
    return parse(json.dumps(body).encode(), received)
