"""Trains the model on fleet files and writes it: `python -m fleet_risk_forest FILE... --output MODEL`."""

from __future__ import annotations

import argparse
import csv
import pickle
from pathlib import Path

from fleet_risk_forest import train
from ml_monitoring.exporter.risk import Sample
from ml_monitoring.exporter.sources.fleet.columns import FIELDS, Layout, Parser


def read(path: Path) -> list[Sample]:
    """Read a file with the default columns and units."""
    layout = Layout.of({}, timezone="UTC", decimal=".", states={})
    parser = Parser(layout)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        return [parser.parse([row.get(name) for name in FIELDS]) for row in reader]


def main() -> None:
    """Train on files and write the model."""
    parser = argparse.ArgumentParser(description="Train a risk model on fleet files with phases.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    model = train(sample for path in options.files for sample in read(path))
    with options.output.open("wb") as file:
        pickle.dump(model, file)


if __name__ == "__main__":
    main()
