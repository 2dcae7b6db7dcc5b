"""The page at `/`: what is read, in which state, and where to go from here."""

from __future__ import annotations

import time
from html import escape
from string import Template

from ml_monitoring.exporter import __version__
from ml_monitoring.exporter.status import SourceStatus

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ML monitoring exporter</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .4rem .8rem .4rem 0; text-align: left; vertical-align: top; }
td.number, th.number { font-variant-numeric: tabular-nums; text-align: right; }
.up { color: #2e8b57; } .down { color: #d0342c; } .pending { color: #888; }
</style>
</head>
<body>
<h1>ML monitoring exporter</h1>
<p>Version $version. <a href="$metrics">Metrics</a>, <a href="/-/healthy">health</a>,
<a href="/-/ready">readiness</a>.</p>
<table>
<tr><th>Source</th><th>State</th><th class="number">Last success</th><th class="number">Interval</th>
<th class="number">Refresh</th><th class="number">Series</th><th>Problem</th></tr>
$rows
</table>
</body>
</html>
""")

_STATES = {None: ("pending", "not tried yet"), True: ("up", "up"), False: ("down", "down")}


def landing_page(statuses: list[SourceStatus], metrics: str) -> str:
    """Return the page as HTML; `metrics` is the path where the metrics are."""
    now = time.time()
    rows = "\n".join(_row(status, now) for status in statuses)
    return _PAGE.substitute(version=escape(__version__), metrics=escape(metrics), rows=rows)


def _row(status: SourceStatus, now: float) -> str:
    css, state = _STATES[status.up]
    age = "never" if status.last_success is None else f"{_duration(now - status.last_success)} ago"
    numbers = (age, _duration(status.interval), f"{status.duration * 1000:.0f} ms", f"{status.series}")
    cells = "".join(f'<td class="number">{escape(number)}</td>' for number in numbers)
    return (
        f'<tr><td>{escape(status.name)}</td><td class="{css}">{state}</td>{cells}<td>{escape(status.error)}</td></tr>'
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
