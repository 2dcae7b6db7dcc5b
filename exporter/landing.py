"""The page at `/`: what is read, in which state, and where to go from here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from string import Template

from ml_monitoring.exporter import __version__, html
from ml_monitoring.exporter.status import SourceStatus

_TITLE = "ML monitoring exporter"
_BODY = Template("""<p>Version $version. <a href="$metrics">Metrics</a>, <a href="/-/healthy">health</a>,
<a href="/-/ready">readiness</a>.</p>
<table>
<tr><th>Source</th><th>State</th><th class="number">Last success</th><th class="number">Interval</th>
<th class="number">Refresh</th><th class="number">Series</th><th>Problem</th></tr>
$rows
</table>""")

_STATES = {None: ("pending", "not tried yet"), True: ("up", "up"), False: ("down", "down")}


def landing_page(statuses: list[SourceStatus], metrics: str) -> str:
    """Return the page as HTML; `metrics` is the path where the metrics are."""
    now = time.time()
    rows = "\n".join(_row(status, now) for status in statuses)
    return html.page(_TITLE, _BODY.substitute(version=escape(__version__), metrics=escape(metrics), rows=rows))


def _row(status: SourceStatus, now: float) -> str:
    css, state = _STATES[status.up]
    age = "never" if status.last_success is None else f"{html.span(now - status.last_success)} ago"
    numbers = (age, html.span(status.interval), f"{status.duration * 1000:.0f} ms", f"{status.series}")
    cells = "".join(f'<td class="number">{escape(number)}</td>' for number in numbers)
    problem = status.error or "; ".join((*status.notes, *_earlier(status)))
    return f'<tr><td>{escape(status.name)}</td><td class="{css}">{state}</td>{cells}<td>{escape(problem)}</td></tr>'


def _earlier(status: SourceStatus) -> Iterator[str]:
    """Yield what was wrong before it recovered, for who comes in the morning."""
    if status.last_failure is not None:
        moment = datetime.fromtimestamp(status.last_failure, UTC)
        yield f"last failed {moment:%Y-%m-%d %H:%M:%S} UTC: {status.last_problem}"
