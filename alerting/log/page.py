"""The alert log for people: the history as a page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from string import Template
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from ml_monitoring.alerting.log.notification import UNKNOWN
from ml_monitoring.alerting.model.notifications import NO_SEVERITY, SEVERITIES
from ml_monitoring.exporter import html

_TITLE: Final = "Alert log"
_NO_TIME: Final = "unknown"
# Seconds that a panel shows before an alert began, and after it ended.
_AROUND: Final = 1800.0
# It may be no good news: conditions must hold for some minutes before an alert fires, and the log hears of it.
_NOTHING_YET: Final = (
    "Nothing was notified yet. After a start this says nothing for some minutes: "
    "most alerts wait that long before they fire."
)
_BODY: Final = Template("""<form method="get" action="/">
<label>Since <input name="since" value="$since" size="18" title="7d, 12h, or a time: 2026-03-01T22:00Z"></label>
<label>Until <input name="until" value="$until" size="18" title="the same; empty is now"></label>
<label>Team <input name="team" value="$team" size="10"></label>
<label>Severity <select name="severity">$severities</select></label>
<label>Alert <input name="alertname" value="$alertname" size="24"></label>
<button>Show</button> <a href="/">Show all</a>
</form>
<p>What fired, newest first, times in UTC. <a href="/api/alerts$query">As JSON</a>, <a href="/metrics">metrics</a>.
An alert begins to fire when its condition has held for its <code>for</code>; "Active since" on dashboards is when that
condition began. It ends when the condition has not held for its <code>keep_firing_for</code>:
by default 7 minutes, and none for <code>MlMonitoringDown</code> and the two alerts on targets that are missing.
$quiet</p>
<table>
<tr><th>Began to fire</th><th>Ended</th><th>Lasted</th><th>Severity</th><th>Alert</th>
<th class="text">What it said</th><th>Where to look</th><th>Notified</th></tr>
$rows
</table>""")
_QUIET: Final = f'The Watchdog, which always fires, is <a href="/?severity={NO_SEVERITY}">on a page of its own</a>.'
# What a link is called, by the name that the history has for it.
_LINKS: Final = {"runbook": "Runbook", "dashboard": "Panel", "logs": "Logs"}
# Those that take a time.
_WITH_TIME: Final = frozenset({"dashboard", "logs"})


def page(
    alerts: Sequence[Mapping[str, Any]], chosen: Mapping[str, str], teams: Sequence[str], problem: str = ""
) -> str:
    """Return the page; without the Watchdog, unless alerts are chosen by name or severity.

    Args:
        alerts: As `AlertLog.history` gives them.
        chosen: What they were chosen by, as the query says it.
        teams: Those of the settings.
        problem: Why none could be chosen.
    """
    has_all = bool(chosen.keys() & {"alertname", "severity"})
    alerts = [alert for alert in alerts if has_all or alert["labels"].get("severity") != NO_SEVERITY]
    nothing = escape(problem) or ("Nothing fired." if chosen else _NOTHING_YET)
    if not problem and (team := chosen.get("team", teams[0])) not in teams:
        nothing += f" The log's settings have no team {escape(team)}; there are: {escape(', '.join(teams))}."
    rows = "\n".join(map(_row, alerts)) or f'<tr><td colspan="8">{nothing}</td></tr>'
    severity = chosen.get("severity", "")
    severities = "".join(
        f"<option{' selected' if one == severity else ''}>{escape(one)}</option>"
        for one in dict.fromkeys(("", *SEVERITIES, NO_SEVERITY, severity))
    )
    fields = {name: escape(chosen.get(name, "")) for name in ("since", "until", "team", "alertname")}
    query = escape(f"?{urlencode(chosen)}" if chosen else "")
    quiet = "" if has_all else _QUIET
    return html.page(_TITLE, _BODY.substitute(fields, rows=rows, severities=severities, query=query, quiet=quiet))


def document(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alert of the history with its times in ISO 8601; null where one is not known.

    It `fires` as long as no end is known, nor how long it lasted: what ends in a silence has none.
    """
    notified = {
        receiver: {**when, "first": _iso(when["first"])} for receiver, when in sorted(alert["notified"].items())
    }
    return {
        **alert,
        "starts": _iso(alert["starts"]),
        "ends": _iso(alert["ends"]),
        "lasted_seconds": _lasted(alert),
        "last_notified": _iso(alert["last_notified"]),
        "notified": notified,
        "links": _links(alert),
    }


def _iso(seconds: float | None) -> str | None:
    moment = None if seconds is None else _time(seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def _lasted(alert: Mapping[str, Any]) -> float | None:
    """Return for how many seconds an alert fired; None where its beginning or end is not known."""
    starts, ends = alert["starts"], alert["ends"]
    return None if ends is None or None in (_time(starts), _time(ends)) else round(max(0.0, ends - starts), 3)


def _row(alert: Mapping[str, Any]) -> str:
    labels = alert["labels"]
    severity = escape(labels.get("severity", ""))
    starts = _moment(alert["starts"])
    notified = ", ".join(
        receiver if starts == _NO_TIME else f"{receiver} {_how_soon(alert, when['first'])}"
        for receiver, when in sorted(alert["notified"].items())
    )
    links = ", ".join(
        f'<a href="{escape(address)}" rel="noreferrer">{_called(name, address)}</a>'
        for name, address in _links(alert).items()
    )
    lasted = _lasted(alert)
    cells = (
        f'<td class="time">{starts}</td>{_ended(alert)}'
        f'<td class="time">{"" if lasted is None else html.span(lasted)}</td>'
        f'<td class="{severity}">{severity}</td><td>{escape(labels.get("alertname", ""))}</td>'
        f"<td>{_said(alert)}</td><td>{links}</td><td>{escape(notified)}</td>"
    )
    return f"<tr>{cells}</tr>"


def _how_soon(alert: Mapping[str, Any], first: float) -> str:
    """Return when a receiver was first notified; the log may have heard the end only, as after a gap of its own."""
    if alert["ends"] is not None and first >= alert["ends"]:
        return "(heard of its end only)"
    return f"after {html.span(first - alert['starts'])}"


def _said(alert: Mapping[str, Any]) -> str:
    """Return what an alert said at first, and at last where that is something else."""
    first = escape(alert["description"] or alert["summary"])
    if not alert["last_description"]:
        return first
    return f"{first}<br>{'At last' if alert['ends'] is None else 'At the end'}: {escape(alert['last_description'])}"


def _links(alert: Mapping[str, Any]) -> dict[str, str]:
    """Return where an alert leads: to pages of Grafana and the viewer at the time in which it fired, not at present.

    Only the log knows that time: what is notified is sent before the end.
    """
    if _time(alert["starts"]) is None:
        return dict(alert["links"])
    # Of one whose end nobody was notified of, the last that is known.
    ends = alert["last_notified"] if alert["ends"] is None else alert["ends"]
    until = time.time() if alert["fires"] else min(time.time(), ends + _AROUND)
    span = {"from": round((alert["starts"] - _AROUND) * 1000), "to": round(until * 1000)}
    return {name: _at(address, span) if name in _WITH_TIME else address for name, address in alert["links"].items()}


def _called(name: str, address: str) -> str:
    """Return what a link is called; an alert of which no panel shows the course leads to its page."""
    return "Page" if name == "dashboard" and "viewPanel=" not in address else _LINKS[name]


def _at(address: str, span: Mapping[str, int]) -> str:
    """Return the address of a page at a time, unless it says one itself; what is no such page stays as it is."""
    try:
        parts = urlsplit(address)
    except ValueError:
        # Anybody may post one.
        return address
    if "/d/" not in parts.path or parse_qs(parts.query).keys() & span.keys():
        return address
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(span))))))


def _ended(alert: Mapping[str, Any]) -> str:
    """Return the cell of when an alert ended; of what ended in a silence nobody was notified, so that it may have."""
    if alert["ends"] is not None:
        return f'<td class="time">{_moment(alert["ends"])}</td>'
    # Words that may go on in a second line leave room for what it was.
    if not alert["fires"]:
        return "<td>yes, time not known</td>"
    heard = _moment(alert["last_notified"])
    # What goes on is notified again; what ended in a silence is not.
    return f"<td>no end notified; last heard of {heard}</td>" if alert["overdue"] else f"<td>fires (as of {heard})</td>"


def _moment(seconds: float) -> str:
    moment = _time(seconds)
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else _NO_TIME


def _time(seconds: float) -> datetime | None:
    if seconds <= UNKNOWN:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        # Earlier versions kept any time.
        return None
