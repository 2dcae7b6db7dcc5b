"""Colours of ordinary series by their names, since Grafana's palettes hold the red and the green that judge.

Grafana has no palette of one's own, and colours by number of a series only from palettes. What all versions have is a
fixed colour for names that match a pattern. So eight patterns share out all names by the parity of three sets of
characters in them: one name has one colour on all panels, whatever is drawn beside it, and each character counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ml_monitoring.dashboards.lib.style import SERIES
from ml_monitoring.dashboards.lib.upstream import Json

_COUNT = len(SERIES)
# The number of a name in binary digits: does it have an odd number of these characters? Digits and letters that follow
# each other differ, and as far as eight numbers can, names that often stand together do: arms, models, routes, parts.
_ODD = ("13679cefhmnqrtuvw", "2467abehijknqtvwz", "03468acdeikmstvy")
# The port of an address says nothing of its own.
_ADDRESS, _NOT_A_PORT, _PORT = "{{instance}}", r"(?!:\d+\D*$)", r"(?::\d+)?"
# A name ends with a blank where the series have no value of its last label.
# What stands in brackets says of which one something is, as in `read (host:9100)`.
_OF = re.compile(r"(?<=\}\}) \(.*\)$")
_LABEL = re.compile(r"\{\{.*?\}\}")


def series_colours(legends: Sequence[tuple[str, bool]], places: int = 0) -> list[Json]:
    """Return the overrides that give each series a colour.

    Args:
        legends: Legend format of each query, and whether its lines are dashed: these have the colours of the query
            before them, whose things they are about.
        places: How many words of where it is follow a name.
    """
    shift = -1
    patterns: dict[int, list[str]] = {}
    fixed: list[Json] = []
    where = r"(?: \S+)" + f"{{{places}}}" if places else ""
    for number, (legend, dashed) in enumerate(legends):
        shift += not dashed or not number
        name = _OF.sub("", legend)
        of = r" \(.*\)" if name != legend else ""
        if not (labels := list(_LABEL.finditer(name))):
            # Not by its name, which may be a variable of the page.
            ref_id = chr(ord("A") + number)
            fixed.append(_override({"id": "byFrameRefID", "options": ref_id}, SERIES[shift % _COUNT]))
            continue
        before, after = _literal(name[: labels[0].start()]), _literal(name[labels[-1].end() :])
        allowed, port = (_NOT_A_PORT, _PORT) if labels[-1][0] == _ADDRESS else ("", "")
        for colour in range(_COUNT):
            conditions = _conditions((colour - shift) % _COUNT, allowed, f"{port} *{after}{of}{where}$")
            patterns.setdefault(colour, []).append(before + conditions)
    shared = [
        _override({"id": "byRegexp", "options": f"/^(?:{'|'.join(given)})/i"}, SERIES[colour])
        for colour, given in patterns.items()
    ]
    return [*shared, *fixed]


def _conditions(number: int, allowed: str, end: str) -> str:
    """Return what is true of the names that have a number.

    Args:
        number: From 0 to 7.
        allowed: A condition on each character.
        end: What follows the name.
    """
    conditions = []
    for digit, characters in enumerate(_ODD):
        other, one = f"{allowed}[^{characters}]", f"[{characters}]"
        other = f"(?:{other})" if allowed else other
        odd = f"{other}*{one}" if number >> digit & 1 else ""
        conditions.append(f"(?={odd}(?:{other}|{one}{other}*{one})*{end})")
    return "".join(conditions)


def _literal(text: str) -> str:
    return re.sub(r"([][(){}.*+?^$|\\/])", r"\\\1", text)


def _override(matcher: Json, colour: str) -> Json:
    properties = [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]
    return {"matcher": matcher, "properties": properties}
