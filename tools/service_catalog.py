"""Write the library's catalog of service metrics as data for the stack: part of `make generate`.

The stack is installed without the library, and knows its metrics all the same: for rules, pages and tables.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from ml_monitoring.instrument.catalog import SERVICE_METRICS

TARGET = Path(__file__).resolve().parent.parent / "exporter" / "catalog" / "services.json"


def text() -> str:
    """Return the content of the file, a line for each metric."""
    metrics = (asdict(metric) for metric in SERVICE_METRICS)
    # How worker processes are summed up is the library's own business.
    lines = (json.dumps({key: value for key, value in one.items() if key != "multiprocess_mode"}) for one in metrics)
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    sys.exit()
