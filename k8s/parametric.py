"""Rules and pages with names in place of what a user may still set: what the chart and the mixin are made of.

Both are made from the same definitions as everything else. What they leave open stands in the texts as a token, such as
`selectors.node`, `unless_on.host+gpus` or `alerts.HostDiskFull.threshold|number`; behind the bar is the form that the
value has there:

| form | what |
|---|---|
| (none) | the value as it is given |
| `text` | inside a quoted text or a range of PromQL, as PromQL escapes it: `1h` |
| `number` | a number of PromQL, a duration in seconds: `3600` |
| `spread:F` | F * sqrt(x * (1 - x)), what the test of a ratio compares with |
| `scaled:F` | a number of JSON, F times the value |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, Final

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.alert import BoundAlert, Kind, promql_value
from ml_monitoring.alerting.model.evidence import Trials, deviations
from ml_monitoring.alerting.model.numbers import Links, number
from ml_monitoring.alerting.model.scope import Selectors
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.overview.signals import NOT_WATCHED
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog import Unit

Json = dict[str, Any]

# Of Unicode's private use, so that no text has them.
_OPEN, _CLOSE = "\ue000", "\ue001"
TOKEN: Final = re.compile(f"{_OPEN}([^{_CLOSE}]+){_CLOSE}")
# Factors by which thresholds are changed to see which numbers of a page follow them; enough for all alerts at once.
_STEP: Final = 1 / 256


def token(name: str) -> str:
    """Return what stands for a value in texts."""
    return f"{_OPEN}{name}{_CLOSE}"


def filled(content: Any, value: Callable[[str], Any]) -> Any:
    """Return rules or a page with each token replaced.

    Args:
        content: Any JSON.
        value: Returns what a token stands for: a text, or what takes the place of a text that is only the token.
    """
    if isinstance(content, str):
        whole = TOKEN.fullmatch(content)
        return value(whole[1]) if whole else TOKEN.sub(lambda match: str(value(match[1])), content)
    if isinstance(content, list):
        return [filled(item, value) for item in content]
    if isinstance(content, Mapping):
        return {filled(key, value): filled(item, value) for key, item in content.items()}
    return content


def names(content: Any) -> set[str]:
    """Return the tokens in rules or a page."""
    found: set[str] = set()

    def note(name: str) -> str:
        found.add(name)
        return name

    filled(content, note)
    return found


def default_value(thresholds: Thresholds) -> Callable[[str], Any]:
    """Return what tokens stand for by these settings: filled with it, definitions are what the generators write."""
    selectors = dict(thresholds.scope())

    def value(name: str) -> Any:
        path, _, form = name.partition("|")
        where, *rest = path.split(".", 2)
        if where == "selectors":
            return selectors[rest[0]]
        if where == "links":
            return getattr(thresholds.links, rest[0])
        if where == "unless_on":
            return "" if {*rest[0].split("+")} & {*thresholds.watched} else NOT_WATCHED
        numbers = thresholds.alerts[rest[0]]
        given = numbers.threshold if rest[1] == "threshold" else numbers.parameters[rest[1].removeprefix("parameters.")]
        return formed(form, given)

    return value


def formed(form: str, value: Any) -> Any:
    """Return a value in the form in which it stands in a place."""
    kind, _, factor = form.partition(":")
    if kind == "text":
        return promql_value(Kind.PATTERN, value)
    seconds = durations.parse(value) if isinstance(value, str) else float(value)
    if kind == "number":
        return number(seconds)
    if kind == "spread":
        return f"{float(factor) * sqrt(seconds * (1 - seconds)):.4g}"
    return round(float(factor) * seconds, 6)


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything that is generated, with tokens.

    Attributes:
        thresholds: The settings that it was made with, and so the defaults.
        rules: Groups of recording rules.
        alerts: Groups of alerts.
        pages: (folder, page) by uid.
    """

    thresholds: Thresholds
    rules: list[Json]
    alerts: list[Json]
    pages: Mapping[str, tuple[str, Json]]


def definitions(thresholds: Thresholds) -> Definitions:
    """Return what the settings make, with tokens for what stays open."""
    closed = thresholds.changed({"components": None})
    open_ = _Open.model_construct(**dict(closed))
    # What is no field goes with it.
    object.__setattr__(open_, "__pydantic_private__", closed.__pydantic_private__)
    links = Links.model_construct(
        grafana=token("links.grafana"), runbooks=token("links.runbooks"), logs=token("links.logs")
    )
    open_ = open_.model_copy(update={"links": links})
    bound = {alert.name: alert for alert in load_alerts(open_)}
    groups: list[Json] = build_alerts(open_)["groups"]
    alerts = [
        group | {"rules": [dict(rule) | {"expr": _condition(bound[rule["alert"]])} for rule in group["rules"]]}
        for group in groups
    ]
    rules: list[Json] = build_recording_rules(open_)["groups"]
    return Definitions(thresholds, _tidy(rules), _tidy(alerts), _pages(open_))


def _tidy(groups: list[Json]) -> list[Json]:
    """Return groups whose expressions have no spaces at the ends of lines, which the YAML files do not have either."""
    return [
        group
        | {"rules": [dict(rule) | {"expr": re.sub(r" +$", "", rule["expr"], flags=re.M)} for rule in group["rules"]]}
        for group in groups
    ]


class _Open(Thresholds):
    """Settings whose selectors and numbers of alerts are tokens."""

    def unless_on(self, components: Collection[str]) -> str:
        """Return a token for what says that nothing is watched where these components are off."""
        return token(f"unless_on.{'+'.join(sorted(components))}")

    def scope(self) -> dict[str, str]:
        """Return tokens for what the placeholders stand for."""
        scope = super().scope()
        for name in (*Selectors.model_fields, "targets", "service_targets", "own_alerts"):
            scope[name] = token(f"selectors.{name}")
        for alert, numbers in self.alerts.items():
            places = {"threshold": numbers.threshold} | {
                f"parameters.{name}": value for name, value in numbers.parameters.items()
            }
            for place, value in places.items():
                if value is not None:
                    form = "text" if isinstance(value, str) else "number"
                    scope[f"{alert}.{place.removeprefix('parameters.')}"] = token(f"alerts.{alert}.{place}|{form}")
        return scope


class _Named(float):
    """A threshold that PromQL shows as its token; what is computed with it is a plain number."""

    name: str

    def __new__(cls, value: float, name: str) -> _Named:
        """Return the number under a name."""
        made = super().__new__(cls, value)
        made.name = name
        return made

    def is_integer(self) -> bool:
        """Return False, so that its own text is taken."""
        return False

    def __repr__(self) -> str:
        """Return the token."""
        return token(self.name)


class _OpenAlert(BoundAlert):
    """An alert whose condition has tokens in place of its numbers."""

    @property
    def threshold(self) -> float:
        """Return the threshold under its name."""
        return _Named(BoundAlert.threshold.__get__(self), f"alerts.{self.name}.threshold|number")

    @property
    def parameters(self) -> dict[str, str]:
        """Return tokens for the parameters."""
        forms = {name: "text" if kind is Kind.PATTERN else "number" for name, kind in self.alert.parameters.items()}
        return {name: token(f"alerts.{self.name}.parameters.{name}|{form}") for name, form in forms.items()}


def _condition(alert: BoundAlert) -> str:
    """Return the condition of an alert with tokens."""
    if alert.comparison is None:
        return alert.expr
    named = _OpenAlert(
        alert.alert, alert.numbers, alert.links, alert.scope, alert.logs_of, alert.group_absent, alert.own_labels
    )
    expr = named.expr
    for evidence in alert.alert.evidence:
        if isinstance(evidence, Trials):
            # What a ratio must be beyond is computed from the threshold, too: the end of this guard.
            score = deviations(alert.numbers.confidence or 0.5)
            limit = f"> {score * sqrt(alert.threshold * (1 - alert.threshold)):.4g}"
            before, found, after = expr.partition(f"sqrt({evidence.count}) {limit}")
            if not found:
                raise ValueError(f"{alert.name}: its condition does not end as the test of a ratio does: {expr}")
            spread = token(f"alerts.{alert.name}.threshold|spread:{score:.6g}")
            expr = f"{before}{found.removesuffix(limit)}> {spread}{after}"
    return expr


def _pages(thresholds: Thresholds) -> dict[str, tuple[str, Json]]:
    # Only here, as they bring grafanalib.
    from ml_monitoring.dashboards.documents import documents  # noqa: PLC0415
    from ml_monitoring.dashboards.lib.context import PageContext  # noqa: PLC0415

    def built(context: PageContext) -> dict[str, tuple[str, Json]]:
        return {page["uid"]: (folder, page) for folder, page in documents(context)}

    context = PageContext.of(thresholds)
    # The higher, the further up: their order stays.
    compared = sorted(
        (
            alert
            for alert in context.alerts
            # Whether a flag is good or bad has no threshold in between.
            if alert.comparison is not None and alert.threshold and alert.signal.unit is not Unit.FLAG
        ),
        key=lambda alert: alert.threshold,
    )
    changed_alerts = {
        alert.name: alert.with_threshold(alert.threshold * (1 + _STEP * index))
        for index, alert in enumerate(compared, start=1)
    }
    moves = tuple(_Move(alert.name, alert.threshold, changed_alerts[alert.name].threshold) for alert in compared)
    changed = replace(context, alerts=tuple(changed_alerts.get(alert.name, alert) for alert in context.alerts))
    moved = built(changed)
    return {uid: (folder, _compared(page, moved[uid][1], moves)) for uid, (folder, page) in built(context).items()}


@dataclass(frozen=True, slots=True)
class _Move:
    """A threshold, and what it is changed to in order to see what follows it."""

    alert: str
    before: float
    after: float

    def explains(self, before: float, after: float) -> float | None:
        """Return how far off a number is that goes the same way; None where it is another one that moved it."""
        off = abs(before * self.after / self.before - after)
        # Ends of axes are rounded.
        return off if off <= 2e-6 + 1e-6 * abs(after) else None

    def scaled(self, number: float) -> str:
        """Return the token of a number that follows the threshold."""
        return token(f"alerts.{self.alert}.threshold|scaled:{number / self.before:.12g}")

    def replaced(self, before: str, after: str) -> str | None:
        """Return a text with a token in place of the threshold; None where that is not what changed."""
        said = f"{self.before:g}"
        if before.replace(said, f"{self.after:g}") != after:
            return None
        return before.replace(said, token(f"alerts.{self.alert}.threshold|number"))


def _compared(page: Any, moved: Any, moves: tuple[_Move, ...]) -> Any:
    """Return a page with tokens where another one, made with other thresholds, differs.

    Raises:
        ValueError: What differs follows no threshold.
    """
    if page == moved or (isinstance(page, dict) and page.get("id") == "custom.width"):
        # A column is as wide as its title, which may hold a threshold.
        return page
    if isinstance(page, dict) and isinstance(moved, dict) and page.keys() == moved.keys():
        return {key: _compared(value, moved[key], moves) for key, value in page.items()}
    if isinstance(page, list) and isinstance(moved, list) and len(page) == len(moved):
        return [_compared(one, other, moves) for one, other in zip(page, moved, strict=True)]
    if isinstance(page, str) and isinstance(moved, str):
        for move in moves:
            if (text := move.replaced(page, moved)) is not None:
                return text
    if isinstance(page, int | float) and isinstance(moved, int | float):
        fits = [(off, move) for move in moves if (off := move.explains(page, moved)) is not None]
        if fits:
            return min(fits, key=lambda fit: fit[0])[1].scaled(page)
    raise ValueError(f"a page has {page!r}, and {moved!r} with other thresholds: neither follows one of them")
