"""What the tests of the `variants` source share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.variants import VariantsSettings, VariantsSource
from tests.support import variants_store


@contextmanager
def reading(uri: str, **settings: Any) -> Iterator[VariantsSource]:
    """Give a source that is closed at the end."""
    source = VariantsSource(VariantsSettings(uri=uri, **{**variants_store.SETTINGS, **settings}))
    try:
        yield source
    finally:
        source.close()


def collect(uri: str, **settings: Any) -> FamilySet:
    """Read once."""
    with reading(uri, **settings) as source:
        return source.collect()


def samples(families: FamilySet, name: str) -> dict[tuple[str, ...], Any]:
    """Return the samples of a family by label values."""
    return dict(families[name].samples)


def write_config(folder: Path, uri: str, **section: Any) -> Path:
    """Write settings with one `variants` section."""
    path = folder / "ml-monitoring.yml"
    content = {"web": {"port": 0}, "sources": {"variants": {"uri": uri, **variants_store.SETTINGS, **section}}}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
