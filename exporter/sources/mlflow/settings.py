"""Settings of the `mlflow` source."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from ml_monitoring.exporter.database import connect
from ml_monitoring.exporter.shard import Shard
from ml_monitoring.exporter.sources.base import SourceSettings
from ml_monitoring.exporter.sources.mlflow.sql import LabelSource
from ml_monitoring.exporter.values import Duration, Names, Patterns, matches_any

VARIANT_LABEL = "model_variant"
_DEFAULT_LABELS: dict[str, Names] = {VARIANT_LABEL: (f"param:{VARIANT_LABEL}", f"tag:{VARIANT_LABEL}")}
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN_LABELS = frozenset({"experiment", "metric", "job", "instance", "le", "quantile"})


def _valid_uri(value: SecretStr) -> SecretStr:
    connect(value.get_secret_value(), timeout=1.0)
    return value


def _valid_labels(value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for name, sources in value.items():
        if not _LABEL_NAME.fullmatch(name) or name.startswith("__") or name in _TAKEN_LABELS:
            raise ValueError(f"{name!r} cannot be a label name here")
        for source in sources:
            LabelSource.parse(source)
    return value


def _with_variant(value: object) -> object:
    return {**_DEFAULT_LABELS, **value} if isinstance(value, dict) else value


class MetricPatterns(Patterns):
    """Which metric keys are exposed, and for which of them lower is better.

    Attributes:
        lower_is_better: Keys of which the lowest value is the best one; patterns in lower case.
    """

    lower_is_better: Names = (
        *("*loss*", "*error*", "*mae", "*mape", "*mse", "*rmse", "*perplexity*"),
        *("*latency*", "*duration*", "*_seconds", "*_ms"),
    )

    def lower_wins(self, key: str) -> bool:
        """Tell whether the lowest value of this metric is the best one."""
        return matches_any(self.lower_is_better, key.lower())


class MlflowSettings(SourceSettings):
    """Settings of the `mlflow` source.

    Attributes:
        first_timeout: Like `timeout`, for a refresh that reads everything: at the start, after an error, once a day.
        uri: Backend store, as given to `mlflow server --backend-store-uri`.
        experiments: Names of the experiments to expose.
        metrics: Keys of the metrics to expose.
        labels: Labels of `mlflow_metric_latest` and the params or tags they are taken from, first found counts.
        shard: Which experiments and models are this exporter's, where several share a store.
        reconcile: Changes that do not show in the row of their run (a metric or label written to a run that ended
            before) are found within this time; those of runs on display are found sooner.
        champion: Alias of the version that other aliased ones are compared with.
        registry: Whether to count registered versions by stage and compare with the champion.
        test_size: Metrics, params and tags of a run that say of how many rows its test set was; the first one counts.
        assumed_test_size: How many rows a test set is taken to have where no run says it.
        children: Whether to count runs that have a parent run.
        datasets: Whether to count datasets.
        count_tags: Tags whose values runs are counted by.
        logged_models: Whether to count the logged models of MLflow 3.
        traces: Whether to count the traces of LLM applications.
        trace_window: Traces that take longer than this may be missed; the longer, the more is read.
    """

    first_timeout: Duration = 300.0
    uri: Annotated[SecretStr, AfterValidator(_valid_uri)]
    experiments: Patterns = Patterns()
    metrics: MetricPatterns = MetricPatterns()
    shard: Shard = Shard()
    labels: Annotated[dict[str, Names], BeforeValidator(_with_variant), AfterValidator(_valid_labels)] = Field(
        default=_DEFAULT_LABELS
    )
    reconcile: Duration = 300.0
    champion: str = "champion"
    registry: bool = True
    test_size: Names = ("test_size", "test_rows", "test_samples", "n_test", "num_test")
    assumed_test_size: int = Field(default=1000, ge=1)
    children: bool = True
    datasets: bool = True
    count_tags: Names = ()
    logged_models: bool = True
    traces: bool = True
    trace_window: Duration = 600.0

    @property
    def first_limit(self) -> float:
        """Return how many seconds the first refresh may take: connecting, and then reading everything."""
        return max(self.timeout, self.first_timeout)
