"""Alerts on fleets of servers: an incident, servers in trouble, and files that no longer advance."""

from __future__ import annotations

from ml_monitoring.alerting.fleet.signals import (
    FLEET_BAD_ROWS_SHARE,
    FLEET_DEGRADED_SHARE,
    FLEET_FILE_ADVANCES,
    FLEET_INCIDENT_PROBABILITY,
    FLEET_SERVER_IN_TROUBLE,
)
from ml_monitoring.alerting.model.alert import Alert

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="FleetIncidentProbabilityHigh",
        condition="The risk scores of all servers together make an incident more than <threshold> likely.",
        signal=FLEET_INCIDENT_PROBABILITY,
        comparison=">",
        source="fleet",
        absent=(
            "A followed file without usable rows is for FleetFileNotAdvancing; when it cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="The fleet probably has an incident.",
        description="By the risk of its servers, an incident of the fleet is {{ $value | humanizePercentage }} likely.",
    ),
    Alert(
        name="FleetServerCritical",
        condition="A server reports a critical issue, or is offline, for longer than a restart takes.",
        signal=FLEET_SERVER_IN_TROUBLE,
        comparison=">",
        source="fleet",
        absent=(
            "A followed file without usable rows is for FleetFileNotAdvancing; when it cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="A server of the fleet is critical or offline.",
        description="The {{ $labels.profile }} server {{ $labels.server }} is in state {{ $labels.state }}.",
    ),
    Alert(
        name="FleetManyServersDegraded",
        condition="More than <threshold> of all servers are in another state than online.",
        signal=FLEET_DEGRADED_SHARE,
        comparison=">",
        source="fleet",
        absent=(
            "A followed file without usable rows is for FleetFileNotAdvancing; when it cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="Many servers of the fleet are degraded at once.",
        description="{{ $value | humanizePercentage }} of the servers are not online or say that they are not well.",
    ),
    Alert(
        name="FleetFileNotAdvancing",
        condition="The followed file has had no newer row for five minutes, or has none at all.",
        signal=FLEET_FILE_ADVANCES,
        comparison="<",
        # For so long it must be known before it can be said to stand still.
        guards=('max without (instance, mode, model) (fleet_file_info{mode="follow"} offset 5m)',),
        source="fleet",
        summary="The fleet file has no new rows.",
        description="No newer row came to {{ $labels.file }} for five minutes, so the fleet's numbers stand still.",
    ),
    Alert(
        name="FleetBadRowsRatioHigh",
        condition="More than <threshold> of the rows read within ten minutes were invalid.",
        signal=FLEET_BAD_ROWS_SHARE,
        comparison=">",
        source="fleet",
        absent=(
            "Without new rows none is bad, which is for FleetFileNotAdvancing; when the file cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="Too many rows of the fleet file are invalid.",
        description="{{ $value | humanizePercentage }} of the rows of {{ $labels.file }} were left out.",
    ),
)
