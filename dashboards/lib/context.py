"""What a page is built from beside its own outline, so that the same input gives the same page."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ml_monitoring.alerting.domains import alert_groups, load_alerts
from ml_monitoring.alerting.model.alert import Alert, BoundAlert
from ml_monitoring.alerting.model.numbers import Links
from ml_monitoring.alerting.model.scope import COMPONENTS
from ml_monitoring.alerting.model.settings import Business, Llm, Slos
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.overview.signals import NOT_WATCHED


@dataclass(frozen=True, slots=True)
class PageContext:
    """What a deployment's numbers say to its pages.

    Attributes:
        alerts: The enabled alerts with their numbers: they colour panels and are marked on time axes.
        links: Where runbooks and logs are.
        business: The assumptions of the figures on business impact.
        slos: The objectives of services.
        llm: The objective and the prices of language models.
        selectors: Whose series of other programs' metrics are meant, see `Thresholds.scope`.
        cluster_variables: Whether pages show the choice of a cluster and a namespace.
        store_variable: Whether pages show the choice of a store.
        signals: The signal of each alert by its name, those of alerts that are switched off too.
        extensions: The folder of the user's own pages and panels.
        own_alerts: The user's own alerts.
        components: The component of each alert that is of one, by its name.
        unless_on: See `Thresholds.unless_on`.
    """

    alerts: tuple[BoundAlert, ...]
    links: Links
    business: Business
    slos: Slos
    llm: Llm
    selectors: Mapping[str, str]
    cluster_variables: bool
    store_variable: bool
    signals: Mapping[str, Signal]
    extensions: Path | None = None
    own_alerts: tuple[Alert, ...] = ()
    components: Mapping[str, str] = field(default_factory=dict)
    # Methods of equal settings are not equal; what it says follows from `alerts`.
    unless_on: Callable[[Collection[str]], str] = field(default=lambda _components: "", compare=False)

    def unwatched(self, names: str) -> str:
        """Return what is behind PromQL of a light, by the rules of alerts whose names match the pattern.

        That is nothing where there is one, and otherwise what says that it is not watched.
        """
        found = {self.components.get(alert.name, "") for alert in self.alerts if re.fullmatch(names, alert.name)}
        return "" if "" in found else self.unless_on(found) if found else NOT_WATCHED

    @classmethod
    def of(cls, thresholds: Thresholds) -> Self:
        """Return the context of a deployment."""
        return cls(
            load_alerts(thresholds),
            thresholds.links,
            thresholds.business,
            thresholds.slos,
            thresholds.llm,
            thresholds.scope(),
            thresholds.dashboards.cluster_variables,
            thresholds.dashboards.store_variable,
            {alert.name: alert.signal for alerts in alert_groups(thresholds).values() for alert in alerts},
            Path(thresholds.extensions) if thresholds.extensions else None,
            thresholds.own_alerts,
            {
                alert.name: group
                for group, alerts in alert_groups(thresholds).items()
                if group in COMPONENTS
                for alert in alerts
            },
            thresholds.unless_on,
        )
