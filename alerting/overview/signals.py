"""Traffic lights: one for each domain on the page `operations-overview`, and one for each page's own alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from ml_monitoring.alerting.experiments.business_signals import PAGE as BUSINESS
from ml_monitoring.alerting.experiments.declared_signals import DETAIL_PAGE as EXPERIMENT
from ml_monitoring.alerting.experiments.declared_signals import PAGE as EXPERIMENTS
from ml_monitoring.alerting.experiments.signals import PAGE as AB_TESTING
from ml_monitoring.alerting.exporter.signals import PAGE as EXPORTER
from ml_monitoring.alerting.fleet.signals import PAGE as FLEET
from ml_monitoring.alerting.fleet.signals import SERVER_PAGE as SERVER
from ml_monitoring.alerting.gpus.signals import PAGE as GPUS
from ml_monitoring.alerting.host.signals import PAGE as SYSTEM
from ml_monitoring.alerting.llm.signals import PAGE as LLM
from ml_monitoring.alerting.logs.signals import PAGE as LOGS
from ml_monitoring.alerting.mlflow.model_signals import PAGE as MODELS
from ml_monitoring.alerting.mlflow.signals import PAGE as MLFLOW
from ml_monitoring.alerting.mlflow.trace_signals import PAGE as TRACES
from ml_monitoring.alerting.mlflow.training_signals import PAGE as TRAINING
from ml_monitoring.alerting.model.alert import Alert
from ml_monitoring.alerting.model.signal import Signal, loudest
from ml_monitoring.alerting.monitoring.signals import ALERTS_PAGE
from ml_monitoring.alerting.services.adapter import UNKNOWN
from ml_monitoring.alerting.services.quality_signals import PAGE as QUALITY
from ml_monitoring.alerting.services.signals import PAGE as SERVICES
from ml_monitoring.alerting.variants.variant_signals import DETAIL_PAGE as VARIANT
from ml_monitoring.alerting.variants.variant_signals import PAGE as VARIANTS
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-operations-overview"

_ONE_EXPERIMENT = "on (cluster, namespace, job, store, experiment)"
_SAYS = "ml_monitoring_experiment_decision_info"
# Experiments that say anything: those that have not begun, or of which nothing is known, are not well.
_SAYING = (
    f"ml_monitoring_experiment_info{{<filter>}} unless {_ONE_EXPERIMENT} "
    f'{_SAYS}{{decision=~"unknown|planned",<filter>}}'
)
# What takes the green of all others away: one that runs, and cannot say anything.
_MUTE = (
    f'({_SAYS}{{decision=~"unknown|no data|unanswerable",<filter>}} '
    f"and {_ONE_EXPERIMENT} ml_monitoring_experiment_running{{<filter>}} == 1)"
)
# Services with the library, and those that an adapter reads.
_SERVED = "ml_process_start_timestamp_seconds{<filter>} or origin:ml_http_requests:rate{<filter>}"
# What shows that alerts are judged at all; what is there where they are not; and 1 where they are not, else 0.
_RULES_EVALUATED: Final = 'ALERTS{alertname="MlMonitoringWatchdog"}'
_NOT_EVALUATED: Final = f"absent({_RULES_EVALUATED})"
_UNLESS_EVALUATED: Final = f"scalar({_NOT_EVALUATED} or on () vector(0))"
# Those of which it is not known whether their requests fail, by domain and by page: nothing can fire then. Where no
# rule is evaluated, the code is that of what is not watched, one less.
_DOUBTS: Final = dict.fromkeys(
    ("services", SERVICES),
    f'max(count by (job) (ml_http_requests_total{{status="{UNKNOWN}",<filter>}})) - {_UNLESS_EVALUATED}',
)
# What every language model has that answered once.
_ANSWERED = "ml_gen_ai_request_duration_seconds_count{<filter>}"

# Domain: its title, how its alerts' names begin, and what shows that the domain is in use.
_DOMAINS: tuple[tuple[str, str, str, str], ...] = (
    ("exporter", "Exporter", "MlMonitoring", "up{<exporter>,<filter>}"),
    (
        "mlflow",
        "MLflow",
        "Mlflow(NoSuccessful|FailedRun|Metric|Run|Training|Trace)",
        'ml_monitoring_source_up{source=~"mlflow(/.+)?",<filter>}',
    ),
    (
        "models",
        "Models",
        "Mlflow(Champion|Candidate)|MlModel|MlPredictionDrift",
        "ml_model_loaded_timestamp_seconds{<filter>} or mlflow_model_version_info{<filter>}",
    ),
    ("variants", "Variants", "Variant", 'ml_monitoring_source_up{source=~"variants(/.+)?",<filter>}'),
    ("fleet", "Fleet", "Fleet", 'ml_monitoring_source_up{source=~"fleet(/.+)?",<filter>}'),
    (
        "services",
        "Services",
        "Ml(Api|Service|Cache|PredictionsStopped|Job)|Llm",
        f"{_SERVED} or {_ANSWERED}",
    ),
    (
        "experiments",
        "A/B tests",
        "AbTest|Experiment",
        f"(ab_test_model_accuracy{{<filter>}} or ({_SAYING})) unless on () {_MUTE}",
    ),
    (
        "hosts",
        "Hosts",
        "Host|Container|Gpu",
        "node_memory_MemTotal_bytes{<node>,<filter>} or DCGM_FI_DEV_GPU_UTIL{<gpus>,<filter>}",
    ),
    ("databases", "PostgreSQL", "Database", "pg_up{<postgres>,<filter>}"),
    ("monitoring", "Monitoring", "Prometheus|Alert", "up{<prometheus>,<filter>}"),
    ("logs", "Logs", "Log", "up{<logs>,<filter>}"),
)

# Page: how the names of the alerts that link to it begin, and what shows that there is anything to judge.
_PAGES: tuple[tuple[str, str, str], ...] = (
    (EXPORTER, "MlMonitoring(D|T|S|C).+", "up{<exporter>,<filter>}"),
    (
        SYSTEM,
        "Host.+|Container.+|Database.+|Prometheus.+|MlMonitoringJobVanished",
        "up{<prometheus>,<filter>}",
    ),
    (
        MLFLOW,
        "Mlflow(NoSuccessful|FailedRun|Metric|Run).+",
        'ml_monitoring_source_up{source=~"mlflow(/.+)?",<filter>}',
    ),
    (
        TRAINING,
        "MlflowTraining.+|MlJob.+",
        'ml_monitoring_source_up{source=~"mlflow(/.+)?",<filter>} or job_name_origin:ml_job_state:code{<filter>}',
    ),
    (MODELS, "Mlflow(Champion|Candidate).+", 'ml_monitoring_source_up{source=~"mlflow(/.+)?",<filter>}'),
    (TRACES, "MlflowTrace.+", "mlflow_traces_in_progress{<filter>}"),
    (VARIANTS, "Variant(Early|Sample|Pattern|Updates).+", 'ml_monitoring_source_up{source=~"variants(/.+)?",<filter>}'),
    (VARIANT, "Variant(Far|Clear).+", 'ml_monitoring_source_up{source=~"variants(/.+)?",<filter>}'),
    (FLEET, "Fleet.+", 'ml_monitoring_source_up{source=~"fleet(/.+)?",<filter>}'),
    (SERVICES, "Ml(Api|Service|Cache|PredictionsStopped).*", _SERVED),
    (LLM, "Llm.+", _ANSWERED),
    (
        EXPERIMENTS,
        "Experiment(Sample|Decided|Overdue|Nothing|Data|Undecidable).*",
        f"{_SAYING} unless on () {_MUTE}",
    ),
    (
        EXPERIMENT,
        "Experiment(Guardrail|Overdispersed).*",
        f"{_SAYING} unless on () {_MUTE}",
    ),
    (GPUS, "Gpu.+", "DCGM_FI_DEV_GPU_UTIL{<gpus>,<filter>}"),
    (LOGS, "Log(Lines|Collector).+", "up{<logs>,<filter>}"),
    # All alerts: who is asked there is asked of everything.
    (ALERTS_PAGE, ".+", _RULES_EVALUATED),
)


# Domain of a user's own alerts, by the page that they link to; those that link to another are of none.
_DOMAIN_OF: Final[Mapping[str, str]] = {
    EXPORTER: "exporter",
    **dict.fromkeys((MLFLOW, TRAINING, TRACES), "mlflow"),
    **dict.fromkeys((MODELS, QUALITY), "models"),
    **dict.fromkeys((VARIANTS, VARIANT), "variants"),
    **dict.fromkeys((FLEET, SERVER), "fleet"),
    **dict.fromkeys((SERVICES, LLM), "services"),
    **dict.fromkeys((EXPERIMENTS, EXPERIMENT, AB_TESTING, BUSINESS), "experiments"),
    **dict.fromkeys((SYSTEM, GPUS), "hosts"),
    LOGS: "logs",
}


# Behind PromQL of a light that no rule can change; what fires all the same, by rules of others, goes before it.
NOT_WATCHED: Final = " * 0 - 2 or vector(-2)"


def _light(of: str, names: str, in_use: str, unwatched: str = "") -> str:
    def firing(severity: str) -> str:
        return f'max(ALERTS{{alertstate="firing",severity="{severity}",alertname=~"{names}",<own_alerts>,<filter>}})'

    # What no rule watches is never well, and in no doubt; without any rule that is so of what is not in use, too.
    doubts = "" if unwatched else _DOUBTS.get(of, "")
    calm = f"max({in_use} or on () {_NOT_EVALUATED}) - 2 * {_UNLESS_EVALUATED}"
    return loudest(firing, calm, doubts) + unwatched


# Domain: all of its alerts' names, as a pattern; each alert is one domain's.
DOMAIN_ALERTS: Final[Mapping[str, str]] = {key: f"({names}).*" for key, _, names, _ in _DOMAINS}

HEALTH: Final[Mapping[str, Signal]] = {
    key: Signal(
        name=f"health_{key}",
        title=title,
        question=f"Does an alert of the domain {title} fire, and what is the highest severity?",
        expr=_light(key, DOMAIN_ALERTS[key], in_use),
        unit=Unit.COUNT,
        dashboard=PAGE,
        legend=title,
    )
    for key, title, names, in_use in _DOMAINS
}

STATES: Final[Mapping[str, Signal]] = {
    page: Signal(
        name="state_" + page.removeprefix("ml-monitoring-").replace("-", "_"),
        title="State",
        question="Does an alert of this page fire, and what is the highest severity?",
        expr=_light(page, names, in_use),
        unit=Unit.COUNT,
        dashboard=page,
        legend="state",
    )
    for page, names, in_use in _PAGES
}

_IN_USE: Final = {key: in_use for key, _, _, in_use in _DOMAINS}
# Of pages that one alert on a job of ours links to as well.
_SUBJECTS: Final = {SYSTEM: "Host.+|Container.+|Database.+|Prometheus.+"}
# Those on which each of what can be chosen has series that show that it is there; a source is up for all that it has.
_EACH_ALIVE: Final = frozenset({SERVICES, LLM, GPUS, TRACES, EXPERIMENTS, EXPERIMENT})
_OF_PAGES: Final = {page: (names, in_use) for page, names, in_use in _PAGES}


def watching(page: str, own: Sequence[Alert]) -> str:
    """Return the pattern of the names of the alerts without any of which a page's subject is not watched."""
    names, _ = _OF_PAGES[page]
    return "|".join((_SUBJECTS.get(page, names), *_linked_to(page, own)))


def state(page: str, own: Sequence[Alert], *, unwatched: str = "", only: str = "") -> Signal:
    """Return the light of a page, for which alerts of the user's own that link to it count as ours do.

    Args:
        page: uid.
        own: The user's own alerts.
        unwatched: `NOT_WATCHED` where no rule can change it, or what stands for that where it is still open.
        only: More matchers that alerts must meet, and what is there to be watched as far as it is one of many.
    """
    names, in_use = _OF_PAGES[page]
    expr = _light(page, "|".join((names, *_linked_to(page, own))), in_use, unwatched)
    place = "<filter>" if page in _EACH_ALIVE else "<own_alerts>"
    return replace(STATES[page], expr=expr.replace(place, f"{only},{place}") if only else expr)


def _linked_to(page: str, own: Sequence[Alert]) -> list[str]:
    return [alert.name for alert in own if alert.signal.dashboard == page]


def alerts_of(domain: str, own: Sequence[Alert]) -> str:
    """Return the pattern of the names of a domain's alerts, those of the user's own included."""
    mine = (alert.name for alert in own if _DOMAIN_OF.get(alert.signal.dashboard) == domain)
    return "|".join((DOMAIN_ALERTS[domain], *mine))


def health(domain: str, own: Sequence[Alert], *, unwatched: str = "") -> Signal:
    """Return the light of a domain, for which alerts of the user's own on its pages count as ours do; see `state`."""
    expr = _light(domain, alerts_of(domain, own), _IN_USE[domain], unwatched)
    return replace(HEALTH[domain], expr=expr)


def of_no_domain(own: Sequence[Alert]) -> tuple[str, ...]:
    """Return the names of those of the user's own alerts for which no domain's light stands."""
    return tuple(alert.name for alert in own if alert.signal.dashboard not in _DOMAIN_OF)


def own_health(names: Sequence[str]) -> Signal:
    """Return the light of the user's own alerts of these names."""
    return Signal(
        name="health_own",
        title="Your own",
        question="Does an alert of your own fire that is of no other domain, and what is the highest severity?",
        expr=_light("own", "|".join(names), _RULES_EVALUATED),
        unit=Unit.COUNT,
        dashboard=PAGE,
        legend="Your own",
    )


DATA_AGE: Final = Signal(
    name="data_age",
    title="Data age",
    question="How old is the data of each source?",
    expr="max by (cluster, namespace, source) (time() - ml_monitoring_source_last_success_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("source",),
)

TARGETS_DOWN: Final = Signal(
    name="targets_down",
    title="Targets down",
    question="How many scrape targets are down?",
    expr="count(instance:up:own{<filter>} == 0) or 0 * count(instance:up:own{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    legend="down",
)
