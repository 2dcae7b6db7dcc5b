"""Panel colours from the alerts on the same signal, so that a colour and an alert cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lib.style import ABOVE_ZERO, FORMATS, LEAST_TOP, SEVERITY, Colour
from ml_monitoring.dashboards.lib.upstream import Json
from ml_monitoring.exporter.catalog import Unit

# Of two alerts with one threshold, the louder one colours.
_LOUDNESS = ("info", "warning", "critical")
# A limit has a bad side, which blue never stands for.
_SIDES = {**SEVERITY, "info": Colour.NOTICE}
# So far beyond a threshold an axis goes, that its line does not lie on the frame.
_ABOVE = 1.1


class Judge(Protocol):
    """An alert, or a limit that no alert has: what says which values of a signal are bad."""

    @property
    def signal(self) -> Signal:
        """Return what is compared."""

    @property
    def comparison(self) -> str | None:
        """Return how; None compares nothing."""

    @property
    def threshold(self) -> float:
        """Return with what."""

    @property
    def severity(self) -> str:
        """Return how bad it is then."""


def comparing(signals: Iterable[Signal], alerts: Iterable[Judge]) -> tuple[Judge, ...]:
    """Return those of the alerts that compare one of the signals with a number."""
    names = {signal.name for signal in signals}
    return tuple(alert for alert in alerts if alert.signal.name in names and alert.comparison is not None)


def steps(signal: Signal, alerts: Iterable[Judge]) -> list[Json]:
    """Return Grafana's threshold steps for a signal: neutral without an alert, else good where none holds.

    A step colours from its value upwards, so a value that equals a `>` threshold is already coloured although the
    alert is not yet true. Of a 0, which is common, Grafana gets to know the difference.

    Raises:
        ValueError: If the thresholds of two alerts cross each other.
    """
    judging = comparing([signal], alerts)
    if not judging:
        return [{"color": str(Colour.PLAIN), "value": None}]
    below, above = _by_value(judging, "<"), _by_value(judging, ">")
    # Up to a `<` threshold its own colour holds, and from there on the colour of the next.
    colours = [*(colour for _, colour in below), Colour.GOOD, *(colour for _, colour in above)]
    above = [(value or ABOVE_ZERO, colour) for value, colour in above]
    bounds = [value for value, _ in below + above]
    if bounds != sorted(set(bounds)):
        raise ValueError(f"{signal.name}: the thresholds of its alerts cross each other: {bounds}")
    return [{"color": str(colour), "value": bound} for colour, bound in zip(colours, (None, *bounds), strict=True)]


def limits(signal: Signal, alerts: Iterable[Judge]) -> list[Json]:
    """Return the steps for lines: Grafana draws a limit in the colour of its bad side where the good one has none."""
    return [
        {**step, "color": str(Colour.CLEAR)} if step["color"] in {Colour.GOOD, Colour.PLAIN} else step
        for step in steps(signal, alerts)
    ]


def soft_ends(unit: Unit, alerts: Iterable[Judge]) -> Json:
    """Return the ends that an axis has at least: the alerts' thresholds are in sight, and a flat 0 is at its foot.

    Of itself Grafana gives a ratio that is 0 all the time an axis up to 10000 %, and a count one up to 100.
    """
    bounds = [alert.threshold for alert in alerts]
    least = LEAST_TOP.get(unit)
    tops = [bound * _ABOVE for bound in bounds if bound > 0] + ([] if least is None else [least])
    ends: Json = {"axisSoftMax": _short(round(max(tops), 6))} if tops else {}
    if bounds and (min(bounds) < 0 or FORMATS[unit].low is None):
        # A limit that is far below the data is in sight too.
        ends["axisSoftMin"] = _short(round(min(0, min(bounds) * _ABOVE), 6))
    return ends


def flag_colours(signal: Signal, alerts: Iterable[Judge]) -> tuple[Colour, Colour]:
    """Return the colours of a flag's 0 and 1: of the loudest alert that holds then; without one a 0 is only muted."""
    judging = comparing([signal], alerts)
    if not judging:
        return Colour.MUTED, Colour.GOOD
    return _flag_colour(judging, 0), _flag_colour(judging, 1)


def _flag_colour(alerts: Sequence[Judge], value: int) -> Colour:
    # Unlike steps, two states can tell `> 0` from `>= 0`.
    holding = [
        alert.severity
        for alert in alerts
        if (value > alert.threshold if alert.comparison == ">" else value < alert.threshold)
    ]
    return SEVERITY[max(holding, key=_LOUDNESS.index)] if holding else Colour.GOOD


def _by_value(alerts: Sequence[Judge], comparison: str) -> list[tuple[float, Colour]]:
    loudest: dict[float, str] = {}
    for alert in alerts:
        if alert.comparison == comparison:
            before = loudest.get(alert.threshold, _LOUDNESS[0])
            loudest[alert.threshold] = max(before, alert.severity, key=_LOUDNESS.index)
    return [(_short(value), _SIDES[severity]) for value, severity in sorted(loudest.items())]


def _short(value: float) -> float:
    """Return a whole number as an int, which JSON writes without `.0`."""
    return int(value) if float(value).is_integer() else value
