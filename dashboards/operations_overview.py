"""The page `Operations overview`: one look for the person on call, and the way to everything else."""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals import ab_testing, business, exporter, fleet, ml_api, mlflow, model_quality, monitoring, overview
from alerting.signals.host import PAGE as SYSTEM
from alerting.signals.logs import PAGE as LOGS
from alerting.signals.variant_each import PAGE as VARIANTS
from dashboards.common import firing_alerts
from dashboards.lib.links import page_url
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import light, stat, state_timeline, text, timeseries
from dashboards.lib.style import SEVERITY, Colour
from dashboards.lib.variables import datasource

# Name of the signal to the page with the details.
_LIGHTS = {
    "health_exporter": exporter.PAGE,
    "health_mlflow": mlflow.PAGE,
    "health_variants": VARIANTS,
    "health_fleet": fleet.PAGE,
    "health_services": ml_api.PAGE,
    "health_experiments": ab_testing.PAGE,
    "health_hosts": SYSTEM,
    "health_databases": SYSTEM,
    "health_monitoring": SYSTEM,
}
_PAGES = (
    ("Alerts", monitoring.ALERTS_PAGE, "what fires, what fired, who was told"),
    ("System infrastructure", SYSTEM, "machines, PostgreSQL, Prometheus"),
    ("Logs", LOGS, "what the services say, where they are collected"),
    ("Exporter health", exporter.PAGE, "can the numbers be trusted?"),
    ("MLflow experiments", mlflow.PAGE, "runs and results"),
    ("Variant performance", VARIANTS, "engagement, kills, winners"),
    ("ML API", ml_api.PAGE, "traffic, errors, latency, error budgets"),
    ("Model quality", model_quality.PAGE, "predictions, accuracy, drift"),
    ("A/B testing", ab_testing.PAGE, "who is ahead, and is it certain?"),
    ("Business impact", business.PAGE, "what it is worth"),
    ("Fleet incident", fleet.PAGE, "servers and their risk"),
)


def build() -> Page:
    """Return the page."""
    return Page(
        uid=overview.PAGE,
        title="Operations overview",
        description="For whoever is on call: is everything well, and if not, where does it begin?",
        folder="Platform",
        tags=("operations",),
        since="now-6h",
        variables=(datasource(),),
        rows=(
            Row(
                "Is everything well?",
                (
                    *(light(SIGNAL[name], page=page, title=SIGNAL[name].title) for name, page in _LIGHTS.items()),
                    stat(SIGNAL["alert_rules_evaluated"], title="Alerting works", width=12, height=3),
                ),
            ),
            Row(
                "What fires?",
                (
                    firing_alerts(width=12, height=9),
                    state_timeline(
                        SIGNAL["alert_history"],
                        width=12,
                        height=9,
                        values={"1": ("fires", Colour.WARNING)},
                        empty="no alert fired",
                    ),
                ),
            ),
            Row(
                "Key figures",
                (
                    stat(
                        SIGNAL["firing_by_severity"],
                        width=8,
                        show="value_and_name",
                        colours=SEVERITY,
                        empty="no alert fires",
                    ),
                    stat(SIGNAL["targets_down"]),
                    stat(SIGNAL["data_age"], width=12, show="value_and_name"),
                    stat(SIGNAL["slo_budget_left"], width=24, show="value_and_name", empty="no service is watched"),
                    timeseries(SIGNAL["data_age"], title="Age of the data over time", width=12, legend="list"),
                    text(
                        "Where to look",
                        "\n".join(f"- [{title}]({page_url(uid, {})}): {what}" for title, uid, what in _PAGES),
                        width=12,
                        height=8,
                    ),
                ),
            ),
        ),
    )
