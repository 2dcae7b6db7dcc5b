"""Explain an alert: when it fires, where each number is set, who is notified and when, and what mutes it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any, Final

from ml_monitoring.alerting.domains import ALERTS, RECORDS, alert_groups, is_watched, load_alerts
from ml_monitoring.alerting.generate.alertmanager import channels_of
from ml_monitoring.alerting.generate.expanded import used
from ml_monitoring.alerting.generate.inhibition import MATCHER, Inhibition
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.placeholders import names_in
from ml_monitoring.alerting.model.settings import BurnRate, Sections, settings_behind
from ml_monitoring.alerting.model.thresholds import DEFAULT_PATHS, Thresholds
from ml_monitoring.alerting.operate.routing import BESIDE_OTHERS, mutes_of, stops
from ml_monitoring.alerting.services.adapter import unmeasured
from ml_monitoring.alerting.services.adapters import ADAPTERS
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.errors import ConfigError, UsageError
from ml_monitoring.exporter.settings_file import Layers, Place
from ml_monitoring.exporter.suggestions import suggestion_or_all

LATENCY: Final = "MlApiLatencyHigh"
# Placeholders of an alert's numbers that are not its parameters, and the settings behind them.
_OF_ALERT: Final = {"threshold": "threshold", "deviations": "confidence"}


class UnknownAlertError(UsageError):
    """Report a name that no enabled alert has."""


def enabled_alerts(names: Sequence[str], thresholds: Thresholds) -> list[BoundAlert]:
    """Return the alerts with these names; all enabled ones where none is named.

    Raises:
        UnknownAlertError: No alert has one of the names.
        ConfigError: All that have them are switched off.
    """
    enabled = {alert.name: alert for alert in load_alerts(thresholds)}
    known = [alert.name for alert in (*ALERTS, *thresholds.own_alerts)]
    if unknown := [name for name in names if name not in enabled]:
        off = "has no rule: `ml-monitoring alerts explain {}` says why"
        why = (
            f"{name} {off.format(name) if name in known else f'does not exist{suggestion_or_all(name, known)}'}"
            for name in unknown
        )
        # One that is switched off is so by the settings.
        raise (ConfigError if {*unknown} <= {*known} else UnknownAlertError)([*why])
    return [alert for alert in enabled.values() if not names or alert.name in names]


def explain(name: str, thresholds: Thresholds, layers: Layers, config: Mapping[str, Any]) -> str:
    """Return everything about an alert as text.

    Args:
        name: The alert.
        thresholds: The numbers in force.
        layers: Where they were given.
        config: What `alerting.alertmanager.build` gives.

    Raises:
        UnknownAlertError: No alert has the name.
    """
    if why := why_none(name, thresholds, layers):
        return f"{name}: no rule is made of it, as {why}\n"
    (alert,) = enabled_alerts([name], thresholds)
    said = latency_notes(thresholds) if name == LATENCY else []
    notes = [f"  Note         {note}" for note in (*said, *budget_notes(thresholds, settings_of(alert)))]
    return "\n".join([*_lines(alert, layers, config, channels_of(thresholds)), *notes]) + "\n"


def budget_notes(thresholds: Thresholds, settings: Container[str] | None = None) -> list[str]:
    """Return which budgets can never burn at one of the rates that alert, for each such rate.

    Args:
        thresholds: The numbers in force.
        settings: Those of one alert; by default all.
    """
    notes = []
    rates = {name: rate.factor for name, rate in thresholds.slos if isinstance(rate, BurnRate)}
    for objective, share in thresholds.objectives.items():
        highest = 1 / (1 - share)
        notes += [
            f"{objective} is {100 * share:g} %, so that its budget burns at {highest:.3g} when all fail, and never at "
            f"{factor:g} (slos.{name}.factor): set a smaller factor, or a higher objective"
            for name, factor in rates.items()
            if factor >= highest and (settings is None or (objective in settings and f"slos.{name}.factor" in settings))
        ]
    return notes


def latency_notes(thresholds: Thresholds) -> list[str]:
    """Return why the limit of latency in force cannot be told from shorter times, for each histogram that cannot."""
    limits = [alert.threshold for alert in load_alerts(thresholds) if alert.name == LATENCY]
    return [one for limit in limits for one in unmeasured(thresholds.services, ADAPTERS, limit)]


def why_none(name: str, thresholds: Thresholds, layers: Layers) -> str:
    """Return why an alert is not among the rules, and where that is set; empty where it is."""
    if name in thresholds.alerts and not thresholds.alerts[name].enabled:
        return f"it is switched off: {layers.place(('alerts', name, 'enabled')) or layers.place(('alerts', name))}"
    for group, alerts in alert_groups(thresholds).items():
        if not is_watched(group, thresholds) and name in {alert.name for alert in alerts}:
            return f"the component {group} is not watched: {layers.place(('components',))}"
    return ""


def _lines(
    alert: BoundAlert, layers: Layers, config: Mapping[str, Any], channels: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    numbers = alert.numbers
    yield f"{alert.name}: {alert.alert.summary}"
    yield f"  Fires when   {alert.condition}"
    yield from (f"  Evidence     {sentence}" for sentence in alert.evidence)
    kept = (
        f"; it ends when that was not so for {alert.keep_firing_for}" if durations.parse(alert.keep_firing_for) else ""
    )
    yield f"  For          {numbers.for_}{kept}"
    yield f"  Severity     {alert.severity}, team {alert.team}"
    yield "  Set in"
    yield from (f"    {_where(place)}: {name}: {value}" for name, value, place in _set_in(alert, layers))
    for name in settings_of(alert):
        location = tuple(name.split("."))
        if (value := layers.value(location)) is not None:
            yield f"    {_where(layers.place(location))}: {name}: {value}"
    yield "  Expression"
    yield indent(alert.expr, "    ")
    yield f"  Panel        {alert.annotations['dashboard_url']}"
    yield f"  Runbook      {alert.annotations['runbook_url']}"
    if "logs_url" in alert.annotations:
        yield f"  Logs         {alert.annotations['logs_url']}"
    labels = {"alertname": alert.name, **alert.labels}
    yield "  Notified"
    for stop in stops(config, labels):
        after = durations.parse(numbers.for_) + durations.parse(stop.group_wait)
        through = ", ".join(channels[stop.receiver]) or "nothing: it is seen in Alertmanager only"
        yield (
            f"    {stop.receiver}: {_span(after)} after the condition begins to hold, "
            f"again every {stop.repeat_interval}; through {through}"
        )
        yield from (f"      not in the time {name}" for name in stop.muted_at)
    if alert.own_labels:
        yield f"    {BESIDE_OTHERS}"
    yield "  Muted"
    # Labels of the series are not known here, so any rule counts that could match with some.
    possible = mutes_of(labels | dict.fromkeys(("job", "instance", *alert.signal.by), "any"))
    yield from (f"    {_by(rule)}{rule.reason}" for rule in possible)
    if not possible:
        yield "    by nothing"


def _set_in(alert: BoundAlert, layers: Layers) -> Iterator[tuple[str, object, Place | None]]:
    """Yield each number of an alert, and where it was given."""
    for name, value in layers.data["alerts"][alert.name].items():
        for inner, number in value.items() if isinstance(value, dict) else [("", value)]:
            parts = [part for part in (name, inner) if part]
            shown = f"suffix:{alert.signal.suffix}" if name == "unit" and alert.signal.suffix else number
            yield ".".join(parts), shown, layers.place(("alerts", alert.name, *parts))


def _where(place: Place | None) -> str:
    """Return where a number was given; of a file of ours, which nobody edits, without its folders."""
    if place is None or (path := Path(place.origin)) not in DEFAULT_PATHS:
        return str(place)
    return f"default ({path.name}:{place.line})"


def _by(rule: Inhibition) -> str:
    """Return which alert mutes, where it is one and not any that is critical."""
    parts = [MATCHER.fullmatch(matcher) for matcher in rule.source]
    return "".join(f"{part['value']}: " for part in parts if part and part["label"] == "alertname")


def settings_of(alert: BoundAlert) -> list[str]:
    """Return the settings beside its own that an alert's condition is computed with, as `slos.period`.

    They are in its signal, and in what is recorded for it.
    """
    templates: dict[str, str] = {}
    for record in RECORDS:
        templates[record.name] = f"{templates.get(record.name, '')}\n{record.expr}"
    seen: set[str] = set()
    names = names_in(alert.signal.expr)
    waiting = used(alert.expr, templates)
    while waiting:
        name = waiting.pop()
        seen.add(name)
        names |= names_in(templates[name])
        waiting |= used(templates[name], templates) - seen
    found: set[str] = set()
    for name in names:
        section, _, key = name.partition(".")
        if section in Sections.model_fields:
            found.update(settings_behind(name))
        elif key and section != alert.name:
            found.add(f"alerts.{section}.{_OF_ALERT.get(key, f'parameters.{key}')}")
    return sorted(found)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return " ".join([*([f"{minutes} min"] if minutes else []), *([f"{rest} s"] if rest or not minutes else [])])
