"""The frame of the pages that the exporter and the alert log show, and lengths of time as they say them."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Final

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .4rem .8rem .4rem 0; text-align: left; vertical-align: top; }
td.number, th.number { font-variant-numeric: tabular-nums; text-align: right; }
td.time { font-variant-numeric: tabular-nums; white-space: nowrap; }
th.text { min-width: 18rem; }
.up { color: #2e8b57; } .down, .critical { color: #d0342c; } .warning { color: #c77700; } .info { color: #887700; }
.pending { color: #888; }
form { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: center; margin-bottom: 1rem; }
input, select, button { font: inherit; }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


def page(title: str, body: str) -> str:
    """Return a whole page; the body is HTML already."""
    return _PAGE.substitute(title=escape(title), body=body)


def span(seconds: float) -> str:
    """Return a length of time for people, in a unit that fits."""
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
