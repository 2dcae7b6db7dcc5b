"""The JSON schema of `thresholds.yml`, `notifications.yml` and of a user's own file over them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.json_schema import schema_of

_FIRST_WORD: Final = re.compile(r"[A-Z][a-z0-9]+")
_KINDS: Final[dict[Kind, dict[str, Any]]] = {
    Kind.COUNT: {"type": "number", "minimum": 0},
    Kind.RATIO: {"type": "number", "minimum": 0, "maximum": 1},
    Kind.DURATION: {"type": "string", "pattern": durations.PATTERN},
    Kind.PATTERN: {"type": "string"},
}


def alerting_schema(alerts: Sequence[Alert]) -> dict[str, Any]:
    """Return the schema, in which each alert has its own entry."""
    schema = schema_of(Thresholds, "Alerting settings of ml-monitoring", references=False)
    numbers: dict[str, Any] = schema["definitions"]["Numbers"]
    numbers["type"] = ["object", "null"]
    beginnings = {found[0] for alert in alerts if (found := _FIRST_WORD.match(alert.name))}
    schema["properties"]["alerts"] = {
        "type": "object",
        "description": "The numbers of each alert; null switches an alert off.",
        "properties": {alert.name: _entry(alert, numbers) for alert in sorted(alerts, key=lambda each: each.name)},
        # Of a user's own: names that do not begin as ours do, which are more likely misspelt.
        "patternProperties": {
            rf"^(?!(?:{'|'.join(sorted(beginnings))})[A-Z])[A-Z][A-Za-z0-9]*$": {
                "$ref": "#/definitions/Numbers",
                "description": "An alert of your own, see `extensions`.",
            }
        },
        "additionalProperties": False,
    }
    return schema


def _entry(alert: Alert, numbers: dict[str, Any]) -> dict[str, Any]:
    if not alert.parameters:
        return {"$ref": "#/definitions/Numbers", "description": alert.summary}
    parameters = {name: _KINDS[kind] for name, kind in alert.parameters.items()}
    of_alert = {"type": "object", "properties": parameters, "additionalProperties": False}
    properties = numbers["properties"] | {"parameters": of_alert}
    return numbers | {"description": alert.summary, "properties": properties}
