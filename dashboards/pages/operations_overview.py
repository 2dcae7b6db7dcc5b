"""The page `Operations overview`: one look for the person on call, and the way to everything else."""

from __future__ import annotations

from ml_monitoring.alerting.experiments import business_signals as business
from ml_monitoring.alerting.experiments import signals as ab_testing
from ml_monitoring.alerting.experiments.declared_signals import DETAIL_PAGE as EXPERIMENT
from ml_monitoring.alerting.experiments.declared_signals import PAGE as EXPERIMENTS
from ml_monitoring.alerting.exporter import signals as exporter
from ml_monitoring.alerting.exporter.signals import ALERT_RULES_EVALUATED
from ml_monitoring.alerting.fleet import signals as fleet
from ml_monitoring.alerting.gpus.signals import PAGE as GPUS
from ml_monitoring.alerting.host.signals import PAGE as SYSTEM
from ml_monitoring.alerting.llm.signals import PAGE as LLM
from ml_monitoring.alerting.logs.signals import PAGE as LOGS
from ml_monitoring.alerting.mlflow import signals as mlflow
from ml_monitoring.alerting.mlflow.model_signals import PAGE as MODELS
from ml_monitoring.alerting.mlflow.trace_signals import PAGE as TRACES
from ml_monitoring.alerting.mlflow.training_signals import PAGE as TRAINING
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.monitoring import signals as monitoring
from ml_monitoring.alerting.monitoring.signals import TROUBLE_SINCE
from ml_monitoring.alerting.overview import signals as overview
from ml_monitoring.alerting.overview.signals import (
    DATA_AGE,
    TARGETS_DOWN,
    alerts_of,
    health,
    of_no_domain,
    own_health,
)
from ml_monitoring.alerting.services import quality_signals as model_quality
from ml_monitoring.alerting.services import signals as ml_api
from ml_monitoring.alerting.variants.variant_signals import DETAIL_PAGE as VARIANT
from ml_monitoring.alerting.variants.variant_signals import PAGE as VARIANTS
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Panel, bargauge, light, stat, text
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.variables import datasource
from ml_monitoring.dashboards.pages.common import alert_timeline, error_budgets, firing_alerts, firing_by_severity

# Domain to the page with the details.
_LIGHTS = {
    "exporter": exporter.PAGE,
    "mlflow": mlflow.PAGE,
    "models": model_quality.PAGE,
    "variants": VARIANTS,
    "fleet": fleet.PAGE,
    "services": ml_api.PAGE,
    "experiments": ab_testing.PAGE,
    "hosts": SYSTEM,
    "databases": SYSTEM,
    "monitoring": SYSTEM,
    "logs": LOGS,
}
_PAGES = (
    ("Alerts", monitoring.ALERTS_PAGE, "what fires, what fired, how soon people were notified"),
    ("System infrastructure", SYSTEM, "hosts, PostgreSQL, Prometheus"),
    ("GPUs", GPUS, "use, memory, heat, errors"),
    ("Logs", LOGS, "log lines, volume, errors"),
    ("Exporter health", exporter.PAGE, "is the data current and complete?"),
    ("MLflow experiments", mlflow.PAGE, "runs and results"),
    ("Training", TRAINING, "runs under way: hung, lost, idle machines"),
    ("MLflow models", MODELS, "champions and candidates"),
    ("MLflow traces", TRACES, "LLM applications: errors, latency, tokens"),
    ("Variant performance", VARIANTS, "engagement, kills, winners"),
    ("Variant detail", VARIANT, "one variant beside the others"),
    ("ML API", ml_api.PAGE, "traffic, errors, latency, error budgets"),
    ("Model quality", model_quality.PAGE, "live beside offline, drift"),
    ("LLM serving", LLM, "first tokens, queues, caches, tokens and their cost"),
    ("A/B testing", ab_testing.PAGE, "which variant is better, and is it significant?"),
    ("Experiments", EXPERIMENTS, "what each declared experiment says"),
    ("Experiment", EXPERIMENT, "one experiment in detail"),
    ("Business impact", business.PAGE, "what it is worth"),
    ("Fleet incident", fleet.PAGE, "servers and their risk"),
    ("Fleet server", fleet.SERVER_PAGE, "one server in detail"),
)


def build(context: PageContext) -> Page:
    """Return the page."""
    own = of_no_domain(context.own_alerts)
    return Page(
        uid=overview.PAGE,
        title="Operations overview",
        description="For on-call engineers: is everything healthy, and if not, where does the problem start?",
        folder="Platform",
        tags=("operations",),
        since="now-6h",
        variables=(datasource(),),
        rows=(
            Row(
                "What is wrong now, and in which domain?",
                (
                    *(_domain_light(context, domain, page) for domain, page in _LIGHTS.items()),
                    *([_light(own_health(own), monitoring.ALERTS_PAGE, "|".join(own))] if own else []),
                    stat(ALERT_RULES_EVALUATED, title="Alert rules", states=("not evaluated", "OK")),
                ),
            ),
            Row(
                "Active alerts",
                (
                    error_budgets(context, width=12),
                    firing_by_severity(),
                    stat(Query(TARGETS_DOWN, limits=((">", 0, "warning"),))),
                    firing_alerts(context, width=12, height=13),
                    alert_timeline(width=12, height=13),
                ),
            ),
            Row(
                "Where to look",
                (
                    bargauge(DATA_AGE, width=12, height=14, ranked=True),
                    text(
                        "Drill-down",
                        "\n".join(f"- [{title}]({page_url(uid, {})}): {what}" for title, uid, what in _PAGES),
                        width=12,
                        height=14,
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _domain_light(context: PageContext, domain: str, page: str) -> Panel:
    names = alerts_of(domain, context.own_alerts)
    return _light(health(domain, context.own_alerts, unwatched=context.unwatched(names)), page, names)


def _light(signal: Signal, page: str, names: str) -> Panel:
    return light(
        signal,
        page=page,
        title=signal.title,
        since=Query(TROUBLE_SINCE, matchers=f'alertname=~"{names}"'),
        height=4,
    )
