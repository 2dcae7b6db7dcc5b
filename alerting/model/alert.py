"""What an alert is before and after it has its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ml_monitoring.alerting.model.evidence import Claim, Comparison, Evidence
from ml_monitoring.alerting.model.foreign import STORE_LABEL
from ml_monitoring.alerting.model.links import SERVICE, SERVICE_OF_JOB, dashboard_url, logs_url, runbook_url
from ml_monitoring.alerting.model.numbers import Links, Numbers, number
from ml_monitoring.alerting.model.placeholders import fill
from ml_monitoring.alerting.model.promql import inside_quotes
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog import Unit


class Kind(StrEnum):
    """What a parameter in `thresholds.yml` is."""

    DURATION = "duration"
    COUNT = "count"
    RATIO = "ratio"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert without its numbers, which are in `thresholds.yml` under its name.

    Attributes:
        name: PascalCase, beginning with the domain; also the name of its runbook and of its test.
        condition: When it fires, in one sentence; `<threshold>`, `<parameter>` and `<section.key>` are filled in.
        signal: What is compared; the alert links to the panel that shows it.
        summary: Static sentence; notifications of a group are titled with it.
        description: Says which series and how bad, by labels that survive the signal's aggregation.
        comparison: How the signal is compared with the threshold; None when `expr` is the whole condition.
        matchers: Label matchers that narrow the signal, with `<parameter>` for a parameter.
        guards: PromQL that must hold too, each with `<parameter>` for a parameter.
        evidence: What makes the alert sure that the threshold is crossed, and not by chance.
        parameters: Further numbers that the alert takes from `thresholds.yml`.
        source: The exporter source that the signal is derived from, so that its failure can mute the alert. Empty
            when the alert's series carry the label `source` themselves, or none is behind it.
        expr: The condition of an alert that is not a comparison of its signal.
        absent: What answers when its series are missing: the name of an alert that fires then, this one or another, or
            a sentence that says why none does. By default that of its source or group, see `ALERTS_IF_ABSENT`.
        always: Whether it fires for as long as nothing is wrong, so that it has no severity.
    """

    name: str
    condition: str
    signal: Signal
    summary: str
    description: str
    comparison: Comparison | None = None
    matchers: str = ""
    guards: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    parameters: Mapping[str, Kind] = field(default_factory=dict)
    source: str = ""
    expr: str = ""
    absent: str = ""
    always: bool = False


@dataclass(frozen=True, slots=True)
class BoundAlert:
    """An alert with its numbers: all that a Prometheus rule or a panel's colour needs.

    Attributes:
        alert: The alert.
        numbers: Its numbers.
        links: Where links lead.
        scope: What the placeholders of selectors stand for, see `Thresholds.scope`.
        logs_of: Services whose logs tell more, where the series do not say whose they are.
        group_absent: What answers when series of its group are missing.
        own_labels: Labels that all alerts have, see `Thresholds.alert_labels`.
        keep_firing_for: How long it goes on after its condition no longer holds, or has no data.
        words: Settings of sections as sentences have them, see `Sections.words`.
    """

    alert: Alert
    numbers: Numbers
    links: Links
    scope: Mapping[str, str]
    logs_of: tuple[str, ...] = ()
    group_absent: str = ""
    own_labels: Mapping[str, str] = field(default_factory=dict)
    keep_firing_for: str = "0s"
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def absent(self) -> str:
        """Return the name of the alert that fires when the series of this one are missing, or why none does."""
        return self.alert.absent or ("MlMonitoringSourceDown" if self.alert.source else self.group_absent)

    @property
    def name(self) -> str:
        """Return the alert's name."""
        return self.alert.name

    @property
    def signal(self) -> Signal:
        """Return the signal that the alert watches."""
        return self.alert.signal

    @property
    def comparison(self) -> Comparison | None:
        """Return how the signal is compared with the threshold."""
        return self.alert.comparison

    @property
    def severity(self) -> str:
        """Return critical, warning or info; none for an alert that always fires."""
        return self.numbers.severity

    @property
    def team(self) -> str:
        """Return the team that is notified."""
        return self.numbers.team

    @property
    def threshold(self) -> float:
        """Return the threshold in the signal's unit.

        Raises:
            ValueError: The alert compares nothing.
        """
        threshold = self.numbers.threshold
        if threshold is None:
            raise ValueError(f"{self.name} compares nothing")
        return durations.parse(threshold) if isinstance(threshold, str) else float(threshold)

    @property
    def expr(self) -> str:
        """Return the condition in PromQL, each part on its own line."""
        if self.comparison is None:
            return self.alert.expr
        return "\nand ".join([f"{self.watched} {self.comparison} {number(self.threshold)}", *self.guards])

    @property
    def guards(self) -> tuple[str, ...]:
        """Return what must hold beside the comparison, in PromQL; nothing where the alert compares nothing."""
        if self.comparison is None:
            return ()
        claim = Claim(self.watched, self.comparison, self.threshold, self.numbers.confidence)
        beyond_chance = [evidence.guard(claim) for evidence in self.alert.evidence]
        return tuple(fill(guard, self.parameters) for guard in (*self.alert.guards, *beyond_chance))

    @property
    def watched(self) -> str:
        """Return what is compared with the threshold, in PromQL, in brackets where it needs them."""
        signal = self.signal.promql(self.scope, matchers=fill(self.alert.matchers, self.parameters))
        return f"({signal})" if any(character.isspace() for character in signal) else signal

    def with_threshold(self, threshold: float) -> BoundAlert:
        """Return the same alert with another threshold, in the signal's unit."""
        value = durations.format_seconds(threshold) if self.signal.unit is Unit.SECONDS else threshold
        return replace(self, numbers=self.numbers.model_copy(update={"threshold": value}))

    @property
    def parameters(self) -> dict[str, str]:
        """Return the parameters as PromQL reads them."""
        return {name: promql_value(kind, self.numbers.parameters[name]) for name, kind in self.alert.parameters.items()}

    @property
    def condition(self) -> str:
        """Return when the alert fires, in words with the numbers in force."""
        return self._in_words(self.alert.condition)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Return in words what makes the alert sure, with the numbers in force."""
        confidence = "" if self.numbers.confidence is None else f"{100 * self.numbers.confidence:.6g} %"
        return tuple(self._in_words(evidence.sentence(confidence)) for evidence in self.alert.evidence)

    def _in_words(self, text: str) -> str:
        threshold = self.numbers.threshold
        if self.signal.unit is Unit.RATIO and threshold is not None:
            threshold = f"{100 * self.threshold:g} %"
        elif self.signal.suffix:
            threshold = f"{threshold} {self.signal.suffix}"
        parameters = {
            name: f"{100 * float(value):g} %" if self.alert.parameters.get(name) is Kind.RATIO else str(value)
            for name, value in self.numbers.parameters.items()
        }
        return fill(text, {**self.words, "threshold": str(threshold), **parameters})

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels that decide who is notified and what mutes the alert."""
        labels = {"severity": self.severity, "team": self.team, **self.own_labels}
        labels |= {"action": self.numbers.action} if self.numbers.action else {}
        return labels | ({"source": self.alert.source} if self.alert.source else {})

    @property
    def rule_labels(self) -> dict[str, str]:
        """Return the labels for a rule; the source is called as the exporter calls it, with the store's name behind."""
        of_store = f"{{{{ with $labels.{STORE_LABEL} }}}}/{{{{ . }}}}{{{{ end }}}}"
        return self.labels | ({"source": f"{self.alert.source}{of_store}"} if self.alert.source else {})

    @property
    def annotations(self) -> dict[str, str]:
        """Return what the receiver reads."""
        return {
            "summary": self.alert.summary,
            "description": self.alert.description,
            "runbook_url": runbook_url(self.name, runbooks=self.links.runbooks),
            "dashboard_url": dashboard_url(self.signal, grafana=self.links.grafana),
            **self._logs,
        }

    @property
    def _logs(self) -> dict[str, str]:
        said = {"compose_service": SERVICE, "job": SERVICE_OF_JOB}
        services = next(((said[label],) for label in said if label in self.signal.by), self.logs_of)
        # Without logs that are collected a link would lead to an empty page.
        if self.links.logs is None or not services:
            return {}
        return {"logs_url": logs_url(services, logs=self.links.logs)}

    @property
    def rule(self) -> dict[str, object]:
        """Return the alert as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.numbers.for_,
            **({"keep_firing_for": self.keep_firing_for} if durations.parse(self.keep_firing_for) else {}),
            "labels": self.rule_labels,
            "annotations": self.annotations,
        }


def promql_value(kind: Kind, value: float | str) -> str:
    """Return a parameter as PromQL reads it: seconds, a number, or the inside of a quoted string."""
    if kind is Kind.PATTERN:
        return inside_quotes(str(value))
    return number(durations.parse(value) if isinstance(value, str) else float(value))
