"""Panels that more than one page shows."""

from __future__ import annotations

import os

from alerting.alerts import load_thresholds
from alerting.links import runbook_url
from alerting.signals import BY_NAME
from dashboards.lib.links import cell
from dashboards.lib.panels import Column, Panel, table
from dashboards.lib.queries import Query
from dashboards.lib.style import SEVERITY


def firing_alerts(*, width: int = 8, height: int = 8) -> Panel:
    """Return the alerts that fire, each with a link to its runbook."""
    # The same addresses as in the alerts themselves: a deployment gives its own when it generates.
    runbooks = load_thresholds().overridden(os.environ).links.runbooks
    severities = {severity: (severity, colour) for severity, colour in SEVERITY.items()}
    return table(
        (
            Column("alertname", "Alert", link=("Open the runbook", runbook_url(cell("Alert"), runbooks=runbooks))),
            Column("severity", "Severity", width=90, values=severities),
            Column("team", "Team", width=90),
        ),
        Query(BY_NAME["firing_alerts"], name="Series"),
        title="Firing alerts",
        empty="no alert fires",
        sort_by="Severity",
        width=width,
        height=height,
    )
