"""The alert log for people: the history as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from string import Template
from typing import Any

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Alert log</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .4rem .8rem .4rem 0; text-align: left; vertical-align: top; }
td.time { font-variant-numeric: tabular-nums; white-space: nowrap; }
.critical { color: #d0342c; } .warning { color: #c77700; } .info { color: #887700; }
</style>
</head>
<body>
<h1>Alert log</h1>
<p>What fired in the last $span, newest first, times in UTC. <a href="/api/alerts">As JSON</a>,
<a href="/metrics">metrics</a>.</p>
<table>
<tr><th>Began</th><th>Ended</th><th>Severity</th><th>Alert</th><th>What</th><th>Told to</th></tr>
$rows
</table>
</body>
</html>
""")


def page(alerts: Sequence[Mapping[str, Any]], span: str) -> str:
    """Return the page.

    Args:
        alerts: As `AlertLog.history` gives them.
        span: How far back they reach, in words.
    """
    rows = "\n".join(map(_row, alerts)) or '<tr><td colspan="6">Nothing fired.</td></tr>'
    return _PAGE.substitute(rows=rows, span=escape(span))


def _row(alert: Mapping[str, Any]) -> str:
    labels = alert["labels"]
    severity = escape(labels.get("severity", ""))
    told = ", ".join(
        f"{receiver} after {_span(when['first'] - alert['starts'])}" for receiver, when in sorted(alert["told"].items())
    )
    ended = "still fires" if alert["ends"] is None else _moment(alert["ends"])
    cells = (
        f'<td class="time">{_moment(alert["starts"])}</td><td class="time">{ended}</td>'
        f'<td class="{severity}">{severity}</td><td>{escape(labels.get("alertname", ""))}</td>'
        f"<td>{escape(alert['description'] or alert['summary'])}</td><td>{escape(told)}</td>"
    )
    return f"<tr>{cells}</tr>"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
