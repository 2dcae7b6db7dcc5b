"""The queries for what MLflow keeps besides runs and their metrics."""

from __future__ import annotations

from collections.abc import Sequence

from ml_monitoring.exporter.database import Dialect
from ml_monitoring.exporter.sources.mlflow.sql import exactly

# experiment_id, datasets; by the primary key
DATASETS = "select experiment_id, count(*) from datasets group by experiment_id"
# experiment_id, status, models, latest creation (ms)
LOGGED_MODELS = """
    select experiment_id, status, count(*), max(creation_timestamp_ms) from logged_models
    where lifecycle_stage = 'active' group by experiment_id, status"""

# run_uuid, key, value, is_nan, timestamp (ms), step
RUNNING_METRICS = """
    select m.run_uuid, m.key, m.value, m.is_nan, m.timestamp, m.step from latest_metrics m
    where m.run_uuid = any(%(runs)s)"""


def tagged_runs(dialect: Dialect) -> str:
    """Return SQL for rows of key, value, runs; by the primary key, as far as the keys go."""
    return f"""
        select t.key, t.value, count(*) from tags t join runs r on r.run_uuid = t.run_uuid
        where t.key = any(%(keys)s) and r.lifecycle_stage = 'active'
        group by t.key, t.value{exactly(dialect, "t.key", "t.value")}"""


def traces(bounds_ms: Sequence[int], *, tokens: bool, cost: bool) -> str:
    """Return SQL for rows of experiment, status, bucket, whether begun since `begin`, and sums.

    The sums are traces, ms, tokens in and out, and dollars for both.
    """
    cases = " ".join(f"when execution_time_ms <= {bound} then {index}" for index, bound in enumerate(bounds_ms))
    sums = "sum(input_tokens), sum(output_tokens)" if tokens else "0, 0"
    sums += ", sum(input_cost), sum(output_cost)" if cost else ", 0, 0"
    return f"""
        select experiment_id, status, case {cases} else {len(bounds_ms)} end, timestamp_ms >= %(begin)s,
               count(*), sum(execution_time_ms), {sums}
        from trace_info where timestamp_ms >= %(since)s group by 1, 2, 3, 4"""
