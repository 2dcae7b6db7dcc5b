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
# run_uuid, key, value; by the primary key
RUNNING_TAGS = """
    select t.run_uuid, t.key, t.value from tags t where t.run_uuid = any(%(runs)s) and t.key = any(%(keys)s)"""


def tagged_runs(dialect: Dialect) -> str:
    """Return SQL for rows of key, value, runs; by the primary key, as far as the keys go."""
    return f"""
        select t.key, t.value, count(*) from tags t join runs r on r.run_uuid = t.run_uuid
        where t.key = any(%(keys)s) and r.lifecycle_stage = 'active'
        group by t.key, t.value{exactly(dialect, "t.key", "t.value")}"""


# experiment_id, run_uuid, key, value; by the primary key, as far as the keys go
RUN_COSTS = """
    select r.experiment_id, t.run_uuid, t.key, t.value from tags t join runs r on r.run_uuid = t.run_uuid
    where t.key = any(%(keys)s) and r.lifecycle_stage = 'active'"""


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


# experiment_id, name, source_type, begin of value (JSON), whether it is an error, whether given since `begin`; what was
# given is found by when it was last changed, which has an index
FEEDBACK = """
    select t.experiment_id, a.name, a.source_type, substr(a.value, 1, 40), a.error is not null,
           a.created_timestamp >= %(begin)s
    from assessments a join trace_info t on t.request_id = a.trace_id
    where a.last_updated_timestamp >= %(since)s and a.created_timestamp >= %(since)s
      and a.assessment_type = 'feedback'"""


def prompt_traces(dialect: Dialect) -> str:
    """Return SQL for rows of experiment, status, prompts (JSON), traces, ms, whether begun since `begin`."""
    return _traces_by(
        "g.value", "join trace_tags g on g.request_id = t.request_id and g.key = 'mlflow.linkedPrompts'", dialect
    )


def model_traces(dialect: Dialect) -> str:
    """Return SQL for rows of experiment, status, logged model, traces, ms, whether begun since `begin`."""
    return _traces_by(
        "l.name",
        """join trace_request_metadata g on g.request_id = t.request_id and g.key = 'mlflow.modelId'
           join logged_models l on l.model_id = g.value""",
        dialect,
    )


def _traces_by(what: str, joins: str, dialect: Dialect) -> str:
    return f"""
        select t.experiment_id, t.status, {what}, count(*), coalesce(sum(t.execution_time_ms), 0),
               t.timestamp_ms >= %(begin)s
        from trace_info t {joins} where t.timestamp_ms >= %(since)s and t.status <> 'IN_PROGRESS'
        group by t.experiment_id, t.status, {what}, t.timestamp_ms >= %(begin)s{exactly(dialect, what)}"""
