"""Links in alerts: to the runbook, to the panel or page that shows the alert's signal, and to the logs of its service.

Panels take their id from here too, so that an alert finds its panel without either knowing the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from zlib import crc32

from ml_monitoring.alerting.model.foreign import SERVICE_LABEL, STORE_LABEL
from ml_monitoring.alerting.model.signal import Signal

# On pages of services; the `service` of a page of logs is one of Compose.
SERVICE_VARIABLE: Final = "ml_service"

# Variables that are not called after the label that they narrow: a variable of that name on other pages has another
# meaning, and Grafana's menu hands values over by name.
_VARIABLES: Mapping[tuple[str, str], str] = {
    ("ml-monitoring-exporter-health", "instance"): "exporter",
    ("ml-monitoring-ab-testing", "variant"): "ab_variant",
    ("ml-monitoring-model-quality", "variant"): "served_variant",
    ("ml-monitoring-ab-testing", SERVICE_LABEL): SERVICE_VARIABLE,
    ("ml-monitoring-ml-api", SERVICE_LABEL): SERVICE_VARIABLE,
    ("ml-monitoring-model-quality", SERVICE_LABEL): SERVICE_VARIABLE,
    ("ml-monitoring-llm-serving", "job"): "llm_job",
    ("ml-monitoring-llm-serving", "model"): "language_model",
    ("ml-monitoring-experiments", "experiment"): "declared_experiment",
    ("ml-monitoring-experiment", "experiment"): "one_experiment",
    ("ml-monitoring-experiment", "metric"): "experiment_metric",
    ("ml-monitoring-variant-detail", "variant"): "one_variant",
    ("ml-monitoring-fleet-server", "server"): "one_server",
}


def variable(page: str, label: str) -> str:
    """Return the name of the variable that narrows a page by a label."""
    return _VARIABLES.get((page, label), label)


def store_variable(source: str) -> str:
    """Return the variable that chooses the store of a source; each has its own, as the menu hands values over."""
    return f"{source}_{STORE_LABEL}"


def panel_id(signal_name: str) -> int:
    """Return the id of the panel that shows the signal: stable, positive, at most 31 bits as Grafana needs it.

    It is that of the first panel over time that leads with the signal; without one, of the first that does.
    """
    return crc32(signal_name.encode()) & 0x7FFFFFFF or 1


def dashboard_url(signal: Signal, *, grafana: str) -> str:
    """Return the address of the signal's panel over time, or else of its page, narrowed to the series that fires.

    Args:
        signal: The alert's signal. A label that survives and that the page can filter by becomes a variable.
        grafana: Where Grafana is reached, without a slash at the end.
    """
    variables = [
        # Prometheus fills this in when the alert fires; names hold spaces and ampersands, so they are escaped.
        f"&var-{variable(signal.dashboard, label)}={{{{ $labels.{label} | urlquery }}}}"
        for label in signal.by
        if label in signal.filters
    ]
    if signal.source:
        # Only of a source that the settings give a name; Prometheus leaves it out for others.
        chosen = f"&var-{store_variable(signal.source)}={{{{ . | urlquery }}}}"
        variables.append(f"{{{{ with $labels.{STORE_LABEL} }}}}{chosen}{{{{ end }}}}")
    if SERVICE_LABEL in signal.filters:
        # Only of a server that names its services.
        chosen = f"&var-{SERVICE_VARIABLE}={{{{ . | urlquery }}}}"
        variables.append(f"{{{{ with $labels.{SERVICE_LABEL} }}}}{chosen}{{{{ end }}}}")
    leads = signal.name if signal.over_time else signal.curve
    panel = f"viewPanel={panel_id(leads)}" if leads else ""
    query = f"{panel}{''.join(variables)}"
    # Inside of what Prometheus may leave out it stays: after a question mark it means nothing.
    query = query.removeprefix("&")
    return f"{grafana}/d/{signal.dashboard}{'?' * bool(query)}{query}"


# The service of an alert that says by its label `job` whose it is: jobs are called after the Compose service, but for
# the stack's exporter, and for the two that Prometheus knows by what they watch.
SERVICE_OF_JOB = (
    '{{ $labels.job | reReplaceAll "^ml-monitoring$" "exporter" | reReplaceAll "^(node|postgres)$" "$1-exporter" '
    "| urlquery }}"
)


SERVICE = "{{ $labels.compose_service | urlquery }}"


def logs_url(services: Sequence[str], *, logs: str) -> str:
    """Return the address of the logs of services.

    Args:
        services: Compose services, or `SERVICE_OF_JOB` or `SERVICE`.
        logs: Where the page `Logs` is.
    """
    return f"{logs}?{'&'.join(f'var-service={service}' for service in services)}"


def runbook_url(alert_name: str, *, runbooks: str) -> str:
    """Return the address of the alert's runbook.

    Args:
        alert_name: Name of the alert.
        runbooks: Where runbooks are served, without a slash at the end.
    """
    return f"{runbooks}/{alert_name}"
