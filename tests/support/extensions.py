"""The folder of a user's own that `docs/extensions.md` shows, as files."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

from ml_monitoring.alerting import options
from ml_monitoring.alerting.extensions import RUNBOOK_HEADINGS
from ml_monitoring.alerting.model.thresholds import Thresholds
from tests.support.files import ROOT

ALERT: Final = "ShopOrdersWaiting"
RECORDS: Final = ("region:shop_orders_waiting:sum", "region:shop_orders_waiting:share")
SETTINGS: Final = "ml-monitoring-alerting.yml"
QUERY: Final = "monitoring/queries/shop_orders_waiting.yml"
TEXT: Final = (ROOT / "docs" / "extensions.md").read_text(encoding="utf-8")
SNIPPETS: Final[tuple[str, ...]] = tuple(re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
# What each YAML snippet is, in their order; `ml-monitoring.yml` is the exporter's.
FILES: Final = (
    SETTINGS,
    QUERY,
    "monitoring/rules/shop_orders.yml",
    "monitoring/tests/shop_orders.test.yml",
    f"monitoring/alerts/{ALERT}.yml",
    f"monitoring/tests/{ALERT}.test.yml",
    "ml-monitoring.yml",
    "monitoring/panels/orders.yml",
    "monitoring/pages/shop.yml",
)


def write_example(folder: Path) -> Path:
    """Write all files of the page, and return the settings that name them."""
    assert len(SNIPPETS) == len(FILES)
    texts = dict(zip(FILES, SNIPPETS, strict=True))
    sections = "\n".join(f"## {heading}\n\n" for heading in RUNBOOK_HEADINGS)
    texts[f"monitoring/runbooks/{ALERT}.md"] = f"# {ALERT}\n\n{sections}"
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / SETTINGS


def load(settings: Path) -> Thresholds:
    """Return the settings in force, extensions included."""
    return options.load(argparse.Namespace(settings=[settings]))[0]
