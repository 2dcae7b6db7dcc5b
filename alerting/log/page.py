"""The alert log for people: the history as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from string import Template
from typing import Any

from ml_monitoring.alerting.log.notification import UNKNOWN
from ml_monitoring.exporter import html

_TITLE = "Alert log"
_NO_TIME = "unknown"
_BODY = Template("""<p>What fired in the last $span, newest first, times in UTC. <a href="/api/alerts">As JSON</a>,
<a href="/metrics">metrics</a>.</p>
<table>
<tr><th>Began</th><th>Ended</th><th>Severity</th><th>Alert</th><th>What</th><th>Notified</th></tr>
$rows
</table>""")


def page(alerts: Sequence[Mapping[str, Any]], span: str) -> str:
    """Return the page.

    Args:
        alerts: As `AlertLog.history` gives them.
        span: How far back they reach, in words.
    """
    rows = "\n".join(map(_row, alerts)) or '<tr><td colspan="6">Nothing fired.</td></tr>'
    return html.page(_TITLE, _BODY.substitute(rows=rows, span=escape(span)))


def _row(alert: Mapping[str, Any]) -> str:
    labels = alert["labels"]
    severity = escape(labels.get("severity", ""))
    starts = _moment(alert["starts"])
    notified = ", ".join(
        receiver if starts == _NO_TIME else f"{receiver} after {html.span(when['first'] - alert['starts'])}"
        for receiver, when in sorted(alert["notified"].items())
    )
    ended = "still fires" if alert["ends"] is None else _moment(alert["ends"])
    cells = (
        f'<td class="time">{starts}</td><td class="time">{ended}</td>'
        f'<td class="{severity}">{severity}</td><td>{escape(labels.get("alertname", ""))}</td>'
        f"<td>{escape(alert['description'] or alert['summary'])}</td><td>{escape(notified)}</td>"
    )
    return f"<tr>{cells}</tr>"


def _moment(seconds: float) -> str:
    if seconds <= UNKNOWN:
        return _NO_TIME
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        # Earlier versions kept any time.
        return _NO_TIME
