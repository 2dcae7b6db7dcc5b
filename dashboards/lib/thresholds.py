"""Panel colours from the alerts on the same signal, so that a colour and an alert cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lib.style import SEVERITY, Colour
from ml_monitoring.dashboards.lib.upstream import Json

# Of two alerts with one threshold, the louder one colours.
_LOUDNESS = ("info", "warning", "critical")


def comparing(signals: Iterable[Signal], alerts: Iterable[BoundAlert]) -> tuple[BoundAlert, ...]:
    """Return those of the alerts that compare one of the signals with a number."""
    names = {signal.name for signal in signals}
    return tuple(alert for alert in alerts if alert.signal.name in names and alert.comparison is not None)


def steps(signal: Signal, alerts: Iterable[BoundAlert]) -> list[Json]:
    """Return Grafana's threshold steps for a signal: neutral without an alert, else good where none holds.

    A step colours from its value upwards, so a value that equals a `>` threshold is already coloured although the
    alert is not yet true; Grafana cannot express the difference.

    Raises:
        ValueError: If the thresholds of two alerts cross each other.
    """
    judging = comparing([signal], alerts)
    if not judging:
        return [{"color": str(Colour.NEUTRAL), "value": None}]
    below, above = _by_value(judging, "<"), _by_value(judging, ">")
    # Up to a `<` threshold its own colour holds, and from there on the colour of the next.
    colours = [*(colour for _, colour in below), Colour.GOOD, *(colour for _, colour in above)]
    bounds = [value for value, _ in below + above]
    if bounds != sorted(set(bounds)):
        raise ValueError(f"{signal.name}: the thresholds of its alerts cross each other: {bounds}")
    return [{"color": str(colour), "value": bound} for colour, bound in zip(colours, (None, *bounds), strict=True)]


def flag_colours(signal: Signal, alerts: Iterable[BoundAlert]) -> tuple[Colour, Colour]:
    """Return the colours of a flag's 0 and 1: of the loudest alert that holds then; without one a 0 is only muted."""
    judging = comparing([signal], alerts)
    if not judging:
        return Colour.MUTED, Colour.GOOD
    return _flag_colour(judging, 0), _flag_colour(judging, 1)


def _flag_colour(alerts: Sequence[BoundAlert], value: int) -> Colour:
    # Unlike steps, two states can tell `> 0` from `>= 0`.
    holding = [
        alert.severity
        for alert in alerts
        if (value > alert.threshold if alert.comparison == ">" else value < alert.threshold)
    ]
    return SEVERITY[max(holding, key=_LOUDNESS.index)] if holding else Colour.GOOD


def _by_value(alerts: Sequence[BoundAlert], comparison: str) -> list[tuple[float, Colour]]:
    loudest: dict[float, str] = {}
    for alert in alerts:
        if alert.comparison == comparison:
            before = loudest.get(alert.threshold, _LOUDNESS[0])
            loudest[alert.threshold] = max(before, alert.severity, key=_LOUDNESS.index)
    return [(_short(value), SEVERITY[severity]) for value, severity in sorted(loudest.items())]


def _short(value: float) -> float:
    """Return a whole number as an int, which JSON writes without `.0`."""
    return int(value) if value.is_integer() else value
