r"""Fixed content for an empty MLflow store, written by the real MLflow client.

`write_reference_store(uri)` is what golden tests start from. Everything in it is fixed except the ids of the runs,
which MLflow draws at random: nothing that a test compares may depend on the order of run ids.

Times are seconds after `EPOCH` (2026-11-01 00:00:00 UTC, 1793491200): `+600` is 1793491800. A run lasts from `start`
to `end`. A final value is the one that MLflow calls the latest: the highest step, then the latest timestamp. MLflow
stores an infinity as +-1.7976931348623157e308 and its client reports that number, not the infinity.

| experiment | lifecycle | what it is for |
|---|---|---|
| `Default` | active | made by MLflow itself; no runs |
| `churn` | active | every status, steps, ties, variants as param and tag (below) |
| `vision "µ" \ 検査<newline>zwei` | active | quotes, backslash, newline and unicode in the name; infinities (below) |
| `long-eee...` (250 characters) | active | 250-character experiment name, metric key and param value |
| `empty` | active | no runs at all |
| `only deleted runs` | active | its single FINISHED run (+0..+60, `accuracy` 0.11) is deleted |
| `retired` | deleted | FINISHED run (+0..+60, `accuracy` 0.22); MLflow deletes the runs along with it |

Runs of `churn` (`variant` says how `model_variant` is given):

| run | status | start | end | variant | metrics (final values) |
|---|---|---|---|---|---|
| a-old | FINISHED | +0 | +60 | param `model_a` | accuracy 0.95 (best), val_loss 0.30 (best), f1 0.5 |
| a-new | FINISHED | +1000 | +1120 | param `model_a` | accuracy 0.70 (steps 0,1,2: 0.4 0.9 0.7), val_loss 0.60, f1 NaN |
| b-tie-1 | FINISHED | +2000 | +3000 | param `model_b` | accuracy 0.81, precision 0.75 |
| b-tie-2 | FINISHED | +2500 | +3000 | param `model_b` | accuracy 0.82, recall 0.65; same end, later start |
| tagged | FINISHED | +3500 | +3600.5 | tag `model_c` | accuracy 0.84 |
| both | FINISHED | +3650 | +3660 | param `model_d`, tag `ignored` | accuracy 0.85; the param comes first |
| plain | FINISHED | +3700 | +3700 | none | accuracy 0.5, out_of_order 5 (step 5 logged before step 3); 0 s long |
| failed | FAILED | +4000 | +4030 | param `model_a` | accuracy 0.99 (not finished: never best), val_loss 0.01 |
| killed | KILLED | +4100 | +4200 | param `model_b` | none |
| running-old | RUNNING | +5000 | - | param `model_a` | accuracy 0.10 |
| running-new | RUNNING | +6000 | - | none | none |
| scheduled | SCHEDULED | +6500 | - | none | none |
| deleted | FINISHED | +7000 | +8000 | param `model_a` | accuracy 1.0; deleted: in the histogram only |

Runs of `vision ...`, all FINISHED with param `model_variant` = `modèle "β"\<newline>2`:

| run | start | end | metrics (final values) |
|---|---|---|---|
| finite | +0 | +100000 | rmse 1.5, précision 検 0.9, score 2.0, `loss/train: top-5` 0.25 |
| infinite | +0 | +200000 | rmse -Inf, précision 検 +Inf, score NaN, `loss/train: top-5` +Inf |

Run of `long-...`: FINISHED, +10..+20, param `model_variant` = 250 times `v`; metric of key 250 times `m` = 1.0,
`tiny` 5e-324, `negative` -0.25, `huge` 1e300.

| model | version | run | aliases |
|---|---|---|---|
| `churn-model` | 1 | a-old | champion |
| `churn-model` | 2 | a-new | candidate, shadow-1 |
| `churn-model` | 3 | failed | none |
| `churn-model` | 4 | deleted | rolled-back |
| `churn-model` | 5 | none | imported |
| `modèle 検 "q"\<newline>` | 1 | infinite | champion |
| `no versions` | - | - | none |
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, nan

# The client reports usage to its makers unless switched off before its import.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

EPOCH = 1793491200  # 2026-11-01 00:00:00 UTC

CHURN = "churn"
VISION = 'vision "µ" \\ 検査\nzwei'
LONG = "long-" + "e" * 245
EMPTY = "empty"
ONLY_DELETED = "only deleted runs"
RETIRED = "retired"
VISION_VARIANT = 'modèle "β"\\\n2'
VISION_MODEL = 'modèle 検 "q"\\\n'
LONG_KEY = "m" * 250
LONG_VARIANT = "v" * 250


@dataclass(frozen=True)
class ReferenceRun:
    """One run: times in seconds after `EPOCH`; a metric is its values at steps 0, 1, ... in order."""

    name: str
    start: float
    end: float | None = None
    status: str = "FINISHED"
    param: str | None = None
    tag: str | None = None
    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)


CHURN_RUNS = (
    ReferenceRun("a-old", 0, 60, param="model_a", metrics={"accuracy": [0.95], "val_loss": [0.3], "f1": [0.5]}),
    ReferenceRun(
        "a-new",
        1000,
        1120,
        param="model_a",
        metrics={"accuracy": [0.4, 0.9, 0.7], "val_loss": [1.0, 0.6], "f1": [0.1, nan]},
    ),
    ReferenceRun("b-tie-1", 2000, 3000, param="model_b", metrics={"accuracy": [0.81], "precision": [0.75]}),
    ReferenceRun("b-tie-2", 2500, 3000, param="model_b", metrics={"accuracy": [0.82], "recall": [0.65]}),
    ReferenceRun("tagged", 3500, 3600.5, tag="model_c", metrics={"accuracy": [0.84]}),
    ReferenceRun("both", 3650, 3660, param="model_d", tag="ignored", metrics={"accuracy": [0.85]}),
    ReferenceRun("plain", 3700, 3700, metrics={"accuracy": [0.5]}),
    ReferenceRun("failed", 4000, 4030, "FAILED", param="model_a", metrics={"accuracy": [0.99], "val_loss": [0.01]}),
    ReferenceRun("killed", 4100, 4200, "KILLED", param="model_b"),
    ReferenceRun("running-old", 5000, status="RUNNING", param="model_a", metrics={"accuracy": [0.1]}),
    ReferenceRun("running-new", 6000, status="RUNNING"),
    ReferenceRun("scheduled", 6500, status="SCHEDULED"),
    ReferenceRun("deleted", 7000, 8000, param="model_a", metrics={"accuracy": [1.0]}),
)
VISION_RUNS = (
    ReferenceRun(
        "finite",
        0,
        100000,
        param=VISION_VARIANT,
        metrics={"rmse": [1.5], "précision 検": [0.9], "score": [2.0], "loss/train: top-5": [inf, 0.25]},
    ),
    ReferenceRun(
        "infinite",
        0,
        200000,
        param=VISION_VARIANT,
        metrics={"rmse": [-inf], "précision 検": [inf], "score": [nan], "loss/train: top-5": [0.5, inf]},
    ),
)
LONG_RUNS = (
    ReferenceRun(
        "long",
        10,
        20,
        param=LONG_VARIANT,
        metrics={LONG_KEY: [1.0], "tiny": [5e-324], "negative": [-0.25], "huge": [1e300]},
    ),
)


def reference_client(uri: str) -> MlflowClient:
    """Return a client of the store that keeps quiet; `postgresql://` is taken as psycopg2's."""
    # SQLAlchemy 2.1 takes the bare scheme for psycopg 3, which this project does not use.
    if uri.startswith(("postgresql://", "postgres://")):
        uri = "postgresql+psycopg2://" + uri.split("://", 1)[1]
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def write_reference_store(uri: str, *, colon: str = ":") -> None:
    """Write the content above into an empty store; creates MLflow's tables first.

    Args:
        uri: The store.
        colon: What stands for colons in keys, which old versions of MLflow do not take.
    """
    client = reference_client(uri)
    churn = _write_experiment(client, CHURN, CHURN_RUNS)
    vision = _write_experiment(client, VISION, [_with_colon(run, colon) for run in VISION_RUNS])
    _write_experiment(client, LONG, LONG_RUNS)
    _write_experiment(client, EMPTY, ())
    only_deleted = _write_experiment(client, ONLY_DELETED, (ReferenceRun("gone", 0, 60, metrics={"accuracy": [0.11]}),))
    _write_experiment(client, RETIRED, (ReferenceRun("retired", 0, 60, metrics={"accuracy": [0.22]}),))
    retired = client.get_experiment_by_name(RETIRED)
    assert retired is not None
    client.delete_experiment(retired.experiment_id)

    # Written late on purpose: the step decides what is latest, not the order of arrival.
    client.log_metric(churn["plain"], "out_of_order", 5.0, timestamp=_ms(3700), step=5)
    client.log_metric(churn["plain"], "out_of_order", 3.0, timestamp=_ms(3800), step=3)

    client.create_registered_model("churn-model")
    for run, aliases in (
        (churn["a-old"], ("champion",)),
        (churn["a-new"], ("candidate", "shadow-1")),
        (churn["failed"], ()),
        (churn["deleted"], ("rolled-back",)),
        (None, ("imported",)),
    ):
        _write_version(client, "churn-model", run, aliases)
    client.create_registered_model(VISION_MODEL)
    _write_version(client, VISION_MODEL, vision["infinite"], ("champion",))
    client.create_registered_model("no versions")

    client.delete_run(churn["deleted"])
    client.delete_run(only_deleted["gone"])


def write_extras(uri: str) -> None:
    """Add to a reference store what the client's version keeps besides.

    A dataset, a logged model, a trace that is under way and one that ended; where the version knows of them, the latter
    with a prompt, a model and feedback.
    """
    client = reference_client(uri)
    found = client.get_experiment_by_name(EMPTY)
    assert found is not None
    experiment = found.experiment_id
    now = round(time.time() * 1000)
    # What a version does not know it has no method for. The usual way to a trace writes artifacts, too.
    if hasattr(client, "log_inputs"):
        from mlflow.entities import Dataset, DatasetInput  # noqa: PLC0415  # not in the oldest versions

        run = client.create_run(experiment, start_time=now).info.run_id
        client.log_inputs(run, [DatasetInput(Dataset("train", "abc", "local", "{}"))])
    model = client.create_logged_model(experiment, name="model") if hasattr(client, "create_logged_model") else None
    metadata = {"mlflow.modelId": model.model_id} if model else {}
    store = client._tracking_client.store
    if hasattr(store, "end_trace"):
        from mlflow.entities.trace_status import TraceStatus  # noqa: PLC0415  # the same

        store.start_trace(experiment, now, request_metadata={}, tags={})
        ended = store.start_trace(experiment, now, request_metadata={}, tags={}).request_id
        store.end_trace(ended, now + 5, TraceStatus.OK, metadata, {})
    elif hasattr(store, "start_trace"):
        from mlflow.entities import (  # noqa: PLC0415  # the same
            AssessmentSource,
            Feedback,
            TraceInfo,
            TraceLocation,
            TraceState,
        )

        location = TraceLocation.from_experiment_id(experiment)
        store.start_trace(TraceInfo("tr-1", location, request_time=now, state=TraceState.IN_PROGRESS))
        store.start_trace(
            TraceInfo("tr-2", location, now, TraceState.OK, execution_duration=5, trace_metadata=metadata)
        )
        if hasattr(client, "link_prompt_versions_to_trace"):
            # MLflow links prompts in the store that this names, whatever the client's is.
            os.environ["MLFLOW_TRACKING_URI"] = client.tracking_uri
            client.link_prompt_versions_to_trace([client.register_prompt("greeting", "Hello {{name}}")], "tr-2")
        # Of some versions the method is there, and only Databricks' own store has it.
        with contextlib.suppress(NotImplementedError):
            judge = AssessmentSource("LLM_JUDGE", "judge")
            store.create_assessment(Feedback(name="relevance", value=0.5, source=judge, trace_id="tr-2"))


def _with_colon(run: ReferenceRun, colon: str) -> ReferenceRun:
    return replace(run, metrics={key.replace(":", colon): values for key, values in run.metrics.items()})


def _write_experiment(client: MlflowClient, name: str, runs: Sequence[ReferenceRun]) -> dict[str, str]:
    experiment = client.create_experiment(name, artifact_location="/nonexistent/artifacts")
    return {run.name: _write_run(client, experiment, run) for run in runs}


def _write_run(client: MlflowClient, experiment: str, run: ReferenceRun) -> str:
    run_id: str = client.create_run(experiment, start_time=_ms(run.start), run_name=run.name).info.run_id
    client.log_batch(
        run_id,
        metrics=[
            Metric(key, value, _ms(run.start) + step, step)
            for key, values in run.metrics.items()
            for step, value in enumerate(values)
        ],
        params=[Param("test_size", "0.2"), *([Param("model_variant", run.param)] if run.param is not None else [])],
        tags=[RunTag("team", "mlops"), *([RunTag("model_variant", run.tag)] if run.tag is not None else [])],
    )
    if run.end is not None:
        client.set_terminated(run_id, status=run.status, end_time=_ms(run.end))
    elif run.status != "RUNNING":
        client.update_run(run_id, status=run.status)
    return run_id


def _write_version(client: MlflowClient, model: str, run_id: str | None, aliases: Sequence[str]) -> None:
    version = client.create_model_version(model, "/nonexistent/artifacts/model", run_id)
    for alias in aliases:
        client.set_registered_model_alias(model, alias, version.version)


def _ms(seconds: float) -> int:
    return round((EPOCH + seconds) * 1000)
