"""Panels of text: markdown, alert lists, logs, lists of dashboards."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

from ml_monitoring.dashboards.render.dates import format_date, time_ago
from ml_monitoring.dashboards.render.draw.canvas import Area, fitted, wrapped
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.fonts import BOLD, MEDIUM, REGULAR, text_width
from ml_monitoring.dashboards.render.frames import FieldKind
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.markdown import content_of, to_blocks

Json = dict[str, Any]

LINE = 19.0
_HEADINGS = (22.0, 18.0, 16.0, 14.0, 13.0, 13.0)
_STATES = {"firing": "red", "pending": "orange", "inactive": "green"}
_LEVELS = {"error": "red", "critical": "purple", "warn": "yellow", "info": "green", "debug": "blue"}


def draw_text(data: PanelData, area: Area) -> None:
    """Draw a text panel: headings, paragraphs, lists, tables and code of Markdown or HTML."""
    y, bottom = area.box.y + 2, area.box.y + area.box.h
    left = area.box.x + 8
    for block in to_blocks(content_of(data)):
        y += LINE * 0.45 if block.apart else 0.0
        size = _HEADINGS[block.heading - 1] if block.heading else 12.5 if block.code else 13.0
        weight = BOLD if block.heading else MEDIUM if block.bold else REGULAR
        indent, height = 18.0 * block.depth, size * 1.5
        lines = [
            part
            for line in block.text.split("\n")
            for part in wrapped(line, area.box.w - 16 - indent, size, weight) or [""]
        ]
        for place, line in enumerate(lines):
            if y + height > bottom + 2:
                area.canvas.text(area.box.x + area.box.w - 14, bottom - 6, "…", colour=area.theme.muted)
                return
            middle = y + height / 2
            if block.mark and place == 0:
                area.canvas.text(
                    left + indent - 5, middle, block.mark, size=size, colour=area.theme.muted, align="right"
                )
            area.canvas.text(left + indent, middle, line, size=size, weight=weight)
            y += height


def draw_alerts(data: PanelData, area: Area) -> None:
    """Draw an alert list from Prometheus's own alerting rules."""
    rows = alert_rows(data)
    if not rows:
        area.message("No alerts match the filter")
        return
    line = 40.0 if area.box.h > 120 else 30.0
    room = max(1, int(area.box.h // line))
    shown = rows if len(rows) <= room else rows[: room - 1]
    now = area.style.clock.now or time.time()
    for place, row in enumerate(shown):
        y = area.box.y + place * line
        colour = area.theme.colour(_STATES[row["state"]])
        if place:
            area.canvas.line([(area.box.x, y), (area.box.x + area.box.w, y)], area.theme.grid, width=0.7)
        area.canvas.box(Box(area.box.x + 2, y + 6, 4, line - 12), colour, radius=2)
        right = area.box.x + area.box.w - 6
        state = row["state"] if row["state"] != "inactive" else "normal"
        used = area.canvas.text(right, y + line * 0.34, state, size=12, colour=colour, weight=MEDIUM, align="right")
        area.canvas.text(
            area.box.x + 16, y + line * 0.34, row["name"], size=13, weight=MEDIUM, fit=area.box.w - used - 40
        )
        if row["since"] is not None and line > 30:
            words = f"for {time_ago(row['since'] * 1000, now).removesuffix(' ago')}"
            used = area.canvas.text(right, y + line * 0.74, words, size=11, colour=area.theme.muted, align="right")
        if line > 30:
            area.canvas.text(
                area.box.x + 16,
                y + line * 0.74,
                row["detail"],
                size=11,
                colour=area.theme.muted,
                fit=area.box.w - used - 40,
            )
    if len(shown) < len(rows):
        y = area.box.y + len(shown) * line + line / 2
        area.canvas.text(area.box.x + 16, y, f"+{len(rows) - len(shown)} more", size=12, colour=area.theme.muted)


def alert_rows(data: PanelData) -> list[Json]:
    """Return the alerts that the panel's filters let through, the worst first."""
    options = data.panel.options
    states = options.get("stateFilter") or {"firing": True, "pending": True}
    wanted = str(data.variables.title(str(options.get("alertName") or ""))).lower()
    rows: list[Json] = []
    for rule in data.alerts:
        if wanted and wanted not in str(rule.get("name")).lower():
            continue
        active = rule.get("alerts") or []
        for alert in active:
            state = str(alert.get("state"))
            if not states.get(state):
                continue
            labels = alert.get("labels") or {}
            detail = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "alertname")
            since = _moment(str(alert.get("activeAt") or ""))
            rows.append({"name": str(rule.get("name")), "state": state, "detail": detail, "since": since})
        if not active and (states.get("inactive") or states.get("normal")):
            summary = str((rule.get("annotations") or {}).get("summary") or "")
            rows.append({"name": str(rule.get("name")), "state": "inactive", "detail": summary, "since": None})
    order = list(_STATES)
    rows.sort(key=lambda row: (order.index(row["state"]), row["name"]))
    return rows[: int(options.get("maxItems") or 20)]


def _moment(text: str) -> float | None:
    try:
        # Prometheus writes nanoseconds, Python reads microseconds.
        return datetime.fromisoformat(re.sub(r"\.(\d{6})\d*", r".\1", text)).timestamp()
    except ValueError:
        return None


def draw_logs(data: PanelData, area: Area) -> None:
    """Draw log lines: time, level and text, the newest first."""
    lines = []
    for frame in data.frames:
        text = next(
            (
                one
                for one in frame.fields
                if one.kind is FieldKind.STRING and one.name.lower() in ("line", "body", "message")
            ),
            None,
        )
        text = text or next((one for one in frame.fields if one.kind is FieldKind.STRING), None)
        if frame.time is None or text is None:
            continue
        lines += list(zip(frame.time.values, [str(value) for value in text.values], strict=True))
    if not lines:
        area.message(data.no_value)
        return
    lines.sort(key=lambda line: line[0], reverse=data.panel.options.get("sortOrder") != "Ascending")
    for place, (moment, text_) in enumerate(lines[: max(1, int(area.box.h // LINE))]):
        y = area.box.y + (place + 0.5) * LINE
        level = next((name for name in _LEVELS if name in text_.lower()), "info")
        area.canvas.box(Box(area.box.x + 2, y - 7, 3, 14), area.theme.colour(_LEVELS[level]))
        x = area.box.x + 12
        if data.panel.options.get("showTime", True):
            x += (
                area.canvas.text(
                    x, y, format_date(float(moment), zone=area.style.clock.zone), size=11.5, colour=area.theme.muted
                )
                + 10
            )
        area.canvas.text(x, y, fitted(text_, area.box.x + area.box.w - x - 4, 11.5), size=11.5)


def draw_links(data: PanelData, area: Area) -> None:
    """Draw a list of dashboards as what it selects; which dashboards there are, only Grafana knows."""
    options = data.panel.options
    tags = ", ".join(str(tag) for tag in options.get("tags") or [])
    text = f"Dashboards tagged {tags}" if tags else "Dashboards"
    width = text_width(text, 13)
    area.canvas.text(area.box.x + 8, area.box.y + 14, text, size=13, colour=area.theme.muted, fit=max(width, 20))
