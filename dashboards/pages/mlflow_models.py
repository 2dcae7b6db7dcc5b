"""The page `MLflow models`: which models are there, how old is the champion, is a candidate better?"""

from __future__ import annotations

from ml_monitoring.alerting.experiments.signals import PAGE as AB_PAGE
from ml_monitoring.alerting.mlflow.model_signals import (
    ALIASED_VERSION_AGE,
    CANDIDATE_LEAD,
    CANDIDATE_LEAD_HIGH,
    CANDIDATE_LEAD_LOW,
    CANDIDATE_VERDICT,
    CANDIDATE_VERSIONS,
    CANDIDATES,
    CANDIDATES_BETTER,
    CHAMPION_AGE,
    CHAMPIONS,
    CHILD_RUNS,
    DATASETS,
    LAST_LOGGED_MODEL_AGE,
    LOGGED_MODELS,
    MODEL_LEAD,
    MODEL_METRIC,
    MODEL_VERSIONS,
    OLDEST_CHAMPION,
    PAGE,
    REGISTERED_VERSIONS,
    TAG_VALUES,
    TAGGED_RUNS,
)
from ml_monitoring.alerting.services.quality_signals import PAGE as QUALITY_PAGE
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, table, text, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import RUN_STATUS, Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import chosen, firing_alerts, verdict, words_of

_NO_REGISTRY = "no registered models, or no data from Prometheus"
_NO_MODELS = "no versions with an alias, or no data from Prometheus"
_LIVE = f"""\
The verdicts above are **offline**: they compare what MLflow has of the tests of each version, by the sizes of the test
sets. How versions do on **live** traffic is another question, with another sample, and may have another answer:

- [A/B testing]({page_url(AB_PAGE, {})}): candidate against baseline on live traffic
- [Model quality]({page_url(QUALITY_PAGE, {})}): live accuracy beside the offline one
"""
# Alerts of what is chosen above.
_CHOSEN = chosen(model="model")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="MLflow models",
        description="For those who promote models: how old is the champion, and is a candidate better?",
        folder="ML",
        tags=("mlflow",),
        variables=(
            datasource(),
            label_values("model", "mlflow_model_version_info", title="Model"),
            label_values("alias", "mlflow_model_aliased_version_timestamp_seconds", title="Alias", within=("model",)),
            label_values("metric", "mlflow_model_metric", title="Metric", within=("model",)),
            label_values("experiment", "mlflow_runs", title="Experiment"),
        ),
        rows=(
            verdict(
                context,
                "How old is the champion, and is a candidate better?",
                stat(
                    Query(CANDIDATES_BETTER, limits=((">", 0, "info"),)),
                    width=9,
                    show="value_and_name",
                    empty="no better candidates, or no data from Prometheus",
                ),
                stat(OLDEST_CHAMPION, width=7, show="value_and_name", empty=_NO_MODELS),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "Champions and candidates",
                (
                    _models(),
                    firing_alerts(context, PAGE, only=_CHOSEN, height=6),
                    text("Offline and live", _LIVE, width=12, height=6),
                ),
            ),
            Row(
                "Metrics and age",
                (
                    timeseries(MODEL_LEAD, title="Lead over time", empty=_NO_MODELS),
                    timeseries(ALIASED_VERSION_AGE, empty=_NO_MODELS),
                    _model_metrics(),
                    _model_versions(),
                ),
                collapsed=True,
            ),
            Row(
                "Logged models, child runs and datasets",
                (
                    _logged(),
                    stat(
                        TAG_VALUES,
                        width=24,
                        height=3,
                        show="value_and_name",
                        empty="no tags (see the setting sources.mlflow.count_tags), or no data from Prometheus",
                    ),
                    table(
                        (Column("tag", "Tag"), Column("value", "Value")),
                        Query(TAGGED_RUNS, name="Runs"),
                        title="Runs by tag",
                        empty="no tags (see the setting sources.mlflow.count_tags), or no data from Prometheus",
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _models() -> Panel:
    words = words_of(CANDIDATES, Colour.MUTED, Colour.MUTED, Colour.GOOD)
    return table(
        (
            Column("model", "Model"),
            Column("champion", "Champion"),
            Column("candidate", "Candidate", width=110),
            Column("alias", "Its alias"),
            Column("metric", "Metric"),
        ),
        CHAMPIONS,
        Query(CHAMPION_AGE, name="Champion's age"),
        Query(REGISTERED_VERSIONS, name="Versions"),
        CANDIDATE_VERSIONS,
        Query(CANDIDATE_VERDICT, name="Verdict", values=words),
        Query(CANDIDATE_LEAD, name="Lead (relative)"),
        Query(CANDIDATE_LEAD_LOW, name="At least"),
        Query(CANDIDATE_LEAD_HIGH, name="At most"),
        title="Offline, in their tests: champions and candidates, by the metric that says most",
        empty=_NO_REGISTRY,
        sort_by="Verdict",
        descending=True,
        height=8,
    )


def _logged() -> Panel:
    return table(
        (Column("experiment", "Experiment"),),
        Query(LOGGED_MODELS, where={"status": "READY"}, name="Logged models ready"),
        Query(LOGGED_MODELS, where={"status": "FAILED"}, name="failed"),
        Query(LAST_LOGGED_MODEL_AGE, name="Since last"),
        Query(CHILD_RUNS, where={"status": "FINISHED"}, name="Child runs finished"),
        Query(CHILD_RUNS, where={"status": "FAILED"}, name="Child runs failed"),
        Query(DATASETS, name="Datasets"),
        title="Logged models, child runs and datasets",
        empty="no logged models, or no data from Prometheus",
    )


def _model_versions() -> Panel:
    statuses = {status: (status, colour) for status, colour in RUN_STATUS.items()}
    return table(
        (
            Column("model", "Model"),
            Column("version", "Version"),
            Column("alias", "Alias"),
            Column("run_status", "Run status", values=statuses),
        ),
        MODEL_VERSIONS,
        title="Model versions",
        empty="no registered models, or no data from Prometheus",
        width=12,
    )


def _model_metrics() -> Panel:
    return table(
        (Column("model", "Model"), Column("alias", "Alias"), Column("metric", "Metric")),
        Query(MODEL_METRIC, name="Value"),
        title="Aliased model metrics",
        empty="no metrics of versions with an alias, or no data from Prometheus",
        width=12,
    )
