"""What versions of Grafana write in several ways, in one of them: links of panels, mappings, queries of annotations."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

# What an annotation asks of Prometheus: before Grafana 12, and in `target` since.
ASKED: Final = {"expr": "expr", "step": "interval"}
# A link of a panel goes to an address; Grafana passes over what chooses dashboards.
_OF_OTHER_LINKS: Final = frozenset({"asDropdown", "icon", "includeVars", "keepTime", "tags", "tooltip", "type"})


def in_one_form(page: Json) -> Json:
    """Return a classic dashboard with what can be written in several ways written in one."""
    changed: Json = {"panels": [_panel(panel) for panel in page["panels"]]}
    events = page.get("annotations") or {}
    if events.get("list"):
        changed["annotations"] = events | {"list": [with_query(one) for one in events["list"]]}
    return page | changed


def with_query(annotation: Json) -> Json:
    """Return an annotation whose query of Prometheus stands where it did before Grafana 12, and in no other place."""
    target = annotation.get("target") or {}
    if not target.get("expr"):
        return annotation
    asked = {ours: target[theirs] for ours, theirs in ASKED.items() if target.get(theirs)}
    known = {*ASKED.values(), *(["refId"] if target.get("refId") == "Anno" else [])}
    rest = {key: value for key, value in target.items() if key not in known}
    return (
        {key: value for key, value in annotation.items() if key != "target"}
        | asked
        | ({"target": rest} if rest else {})
    )


def _panel(panel: Json) -> Json:
    changed: Json = {}
    if panel.get("panels"):
        # Grafana passes over those of anything else than a row.
        changed["panels"] = [_panel(one) for one in panel["panels"] if panel.get("type") == "row"]
    if panel.get("links"):
        changed["links"] = [
            {key: value for key, value in link.items() if key not in _OF_OTHER_LINKS} for link in panel["links"]
        ]
    config = panel.get("fieldConfig") or {}
    overrides = [
        one | {"properties": [_with_mappings(own, "value") for own in one.get("properties") or []]}
        for one in config.get("overrides") or []
    ]
    if config:
        changed["fieldConfig"] = (
            config
            | ({"overrides": overrides} if overrides else {})
            | ({"defaults": _with_mappings(config["defaults"], "mappings")} if config.get("defaults") else {})
        )
    return panel | changed


def _with_mappings(options: Json, key: str) -> Json:
    is_of_mappings = key == "mappings" or options.get("id") == "mappings"
    return options | {key: [_mapping(one) for one in options[key]]} if is_of_mappings and options.get(key) else options


def _mapping(mapping: Json) -> Json:
    """Return a mapping as Grafana writes it since 8, where 1 is one of a value and 2 one of a range."""
    result = {"text": mapping.get("text")}
    if mapping.get("type") == 1:
        value = mapping.get("value")
        if value == "null":
            return {"type": "special", "options": {"match": "null", "result": result}}
        return {"type": "value", "options": {str(value): result}}
    if mapping.get("type") == 2:
        ends = {end: _number(mapping.get(end)) for end in ("from", "to")}
        return {"type": "range", "options": {**ends, "result": result}}
    return mapping


def _number(value: Any) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if number.is_integer() else number
