"""How things look: one colour table and one mapping from the catalog's units to Grafana's.

Red means failure and green means good, and nothing else has either; that is why severities and run statuses take their
colours from here, and why no page names a colour of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from ml_monitoring.exporter.catalog import Unit


class Colour(StrEnum):
    """Colours by what they mean.

    Those that judge stand behind text, never are text: no shade of them has contrast to both themes' panels. On them
    Grafana writes in white (in black on yellow) with a contrast of 4.5 or more.
    """

    GOOD = "#1f7a45"
    FAILURE = "#d50b3e"
    WARNING = "#b8520a"
    NOTICE = "yellow"
    NEUTRAL = "#2f6fc9"
    SECOND = "#8a4fc8"
    MUTED = "#6c6c70"
    # That of text: what nothing judges has neither a good nor a bad end.
    PLAIN = "text"
    # Of bars that nothing judges.
    BAR = "#6f7d93"
    # No colour: where a limit has its good side.
    CLEAR = "transparent"


# Of series that are nothing but themselves; none is near a colour that judges, and all differ in lightness or hue for
# colour-blind eyes. The names have a shade for each theme; the others have contrast to both.
SERIES: tuple[str, ...] = (
    "light-blue", "semi-dark-purple", "#17909c", "#a9712f", "semi-dark-blue", "light-purple", "#c2549a", "#6f7d93",
)  # fmt: skip


SEVERITY: Mapping[str, Colour] = MappingProxyType(
    # What is only said, such as that an experiment is decided, must not look like a small warning.
    {"critical": Colour.FAILURE, "warning": Colour.WARNING, "info": Colour.NEUTRAL}
)

# MLflow's five run statuses.
RUN_STATUS: Mapping[str, Colour] = MappingProxyType(
    {
        "FINISHED": Colour.GOOD,
        "FAILED": Colour.FAILURE,
        "KILLED": Colour.WARNING,
        "RUNNING": Colour.NEUTRAL,
        "SCHEDULED": Colour.MUTED,
    }
)

# Outcomes of traces, states of logged models and of variants, and whether an alert fires or ended.
OUTCOME: Mapping[str, Colour] = MappingProxyType(
    {
        "OK": Colour.GOOD,
        "READY": Colour.GOOD,
        "ERROR": Colour.FAILURE,
        "FAILED": Colour.FAILURE,
        "IN_PROGRESS": Colour.NEUTRAL,
        "PENDING": Colour.NEUTRAL,
        "active": Colour.NEUTRAL,
        "killed": Colour.WARNING,
        "firing": Colour.WARNING,
        "resolved": Colour.GOOD,
    }
)

# Why answers of language models end.
FINISH_REASON: Mapping[str, Colour] = MappingProxyType({"error": Colour.FAILURE})

# Answers of HTTP by their class, as patterns.
STATUS_CLASS: Mapping[str, Colour] = MappingProxyType(
    {
        "2\\d\\d": Colour.GOOD,
        "3\\d\\d": Colour.NEUTRAL,
        "4\\d\\d": Colour.WARNING,
        "5\\d\\d": Colour.FAILURE,
    }
)

# What servers say of themselves, in words.
SERVER_STATE: Mapping[str, Colour] = MappingProxyType(
    {
        "online": Colour.GOOD,
        "warning": Colour.WARNING,
        "critical": Colour.FAILURE,
        # Not grey, as a 0 is.
        "offline": Colour.SECOND,
    }
)


# Levels of lines in logs, as docker/logs/config.alloy gives them.
LOG_LEVEL: Mapping[str, Colour] = MappingProxyType(
    {
        "critical": Colour.FAILURE,
        "error": Colour.FAILURE,
        "warning": Colour.WARNING,
        "info": Colour.NEUTRAL,
        "debug": Colour.SECOND,
        "unknown": Colour.MUTED,
    }
)


@dataclass(frozen=True, slots=True)
class Format:
    """How values of a unit are shown.

    Attributes:
        unit: Grafana's unit id.
        factor: What the query is multiplied by, because Grafana's unit counts in something else.
        divisor: What it is divided by.
        decimals: Decimals of a single value; None lets Grafana choose.
        low: Lower end of the axis, None for automatic.
    """

    unit: str
    factor: int = 1
    divisor: int = 1
    decimals: int | None = None
    low: int | None = None


# Grafana counts time in milliseconds where Prometheus counts in seconds.
MILLISECONDS = 1000

FORMATS: Mapping[Unit, Format] = MappingProxyType(
    {
        # Not "short": 1500 without decimals would be "2 K".
        Unit.COUNT: Format("locale", decimals=0, low=0),
        Unit.SECONDS: Format("s", low=0),
        Unit.TIMESTAMP: Format("dateTimeFromNow", factor=MILLISECONDS),
        Unit.BYTES: Format("bytes", low=0),
        Unit.BYTES_PER_SECOND: Format("binBps", low=0),
        Unit.RATIO: Format("percentunit", decimals=1, low=0),
        # Three digits, whatever the size: $1.17M is not $1M.
        Unit.CURRENCY: Format("currencyUSD"),
        Unit.FLAG: Format("none", decimals=0, low=0),
        Unit.INFO: Format("none", decimals=0),
        Unit.ANY: Format("short"),
    }
)

# Marks of an axis of seconds are round numbers of seconds: 5.56 hours, 11.1 hours. So those that reach a limit of so
# many seconds have another unit.
LONG_TIMES: Mapping[float, Format] = MappingProxyType(
    {3 * 86_400: Format("suffix: d", divisor=86_400, low=0), 2 * 3600: Format("suffix: h", divisor=3600, low=0)}
)

# What is counted per time, in the title of a rate.
_RATE = re.compile(r"(\w+) per (second|minute)\b")
_TIMES = {"second": "s", "minute": "min"}


def rate_unit(title: str) -> str:
    """Return Grafana's unit of a rate by the words of its title, such as tokens/min; empty where they say none.

    How many decimals there are is left to Grafana.
    """
    if "Burn rate" in title:
        return "suffix:x"
    found = _RATE.search(title)
    if found is None:
        return ""
    # As Grafana has it.
    what = found[1].lower().replace("requests", "req")
    return f"count:{what}/{_TIMES[found[2]]}"


# Smaller probabilities are said to be so: their digits tell nobody anything.
SMALLEST_PROBABILITY = 0.001

# Where an axis ends at least, so that a flat 0 is not drawn on an axis up to 10000 %. The steps of a short axis of
# counts are whole numbers.
LEAST_TOP: Mapping[Unit, float] = MappingProxyType({Unit.RATIO: 0.01, Unit.COUNT: 5, Unit.FLAG: 1})

# Less than what is counted: of `> 0`, a 0 is still good.
ABOVE_ZERO = 1e-9

# Text of a panel whose query gives nothing: absence is never shown as 0. Other texts begin with it and say from where:
# a source that is missing gives the same empty panel as one that has nothing, so none may say that nothing happened.
NO_VALUE = "no data"
