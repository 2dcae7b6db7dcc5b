"""Write the JSON schemas of the settings, for editors: `python -m tools.schemas generate [--output-dir DIR]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.json_schema import alerting_schema
from ml_monitoring.dashboards.extensions import cli as new
from ml_monitoring.exporter.config import Settings
from ml_monitoring.exporter.json_schema import schema_of
from ml_monitoring.exporter.settings_hints import EXPERIMENT_PATTERN
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "schemas"


def schemas() -> dict[str, dict[str, Any]]:
    """Return each schema by the name of its file."""
    return {
        "settings.json": schema_of(Settings, "Settings of ml-monitoring's exporter", references=True),
        "experiments.json": _experiments(),
        "alerting.json": alerting_schema(ALERTS),
        **new.schemas(),
    }


def _experiments() -> dict[str, Any]:
    """Return the schema of a file of experiments by their names."""
    each = schema_of(ExperimentDeclaration, "Experiments that ml-monitoring follows", references=False)
    dialect, title, definitions = each.pop("$schema"), each.pop("title"), each.pop("definitions")
    return {
        "$schema": dialect,
        "title": title,
        "type": "object",
        "patternProperties": {EXPERIMENT_PATTERN: {"$ref": "#/definitions/ExperimentDeclaration"}},
        "additionalProperties": False,
        "definitions": {"ExperimentDeclaration": each, **definitions},
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the schemas; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.schemas", description="Write the JSON schemas of settings.")
    generate = parser.add_subparsers(required=True).add_parser("generate")
    generate.add_argument("--output-dir", type=Path, default=FOLDER)
    folder: Path = parser.parse_args(arguments).output_dir
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
