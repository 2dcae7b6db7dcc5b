"""Recorded series about models in services: how much they predict, how right they are, whether scores drift."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.recording import Record

_MODEL = ("model", "model_version", "variant", "origin")
_LEVEL = "model_version_variant_origin"
_BIN = (*_MODEL, "bin")
_OFFLINE = f"{_LEVEL}:ml_model_offline_accuracy:ratio"
# The values of the verdict.
QUALITIES: Final = ("not compared", "as tested", "worse than tested", "drifting")


def _share_before(age: str) -> str:
    """Return the share of the predictions that fell into a bin, in PromQL, in a window that ended so long ago."""
    counted = f"increase(ml_prediction_scores_total[<drift.window>] offset {age})"
    return f"""(
      sum without (instance) ({counted})
      / ignoring (bin) group_left ()
      (sum without (instance, bin) ({counted}) >= <drift.minimum_predictions>)
    )"""


def _psi(reference: str) -> str:
    """Return the population stability index of the present shares against others, in PromQL."""
    # An empty bin would be infinitely far away; it counts as one in ten thousand, as is usual.
    present, before = f"clamp_min({_LEVEL}_bin:ml_prediction_scores:share, 0.0001)", f"clamp_min({reference}, 0.0001)"
    return f"sum without (bin) (({present} - {before}) * ln({present} / {before}))"


RECORDS: tuple[Record, ...] = (
    Record(
        name=f"{_LEVEL}:ml_predictions:rate",
        meaning="Predictions a second.",
        expr="sum without (instance) (rate(ml_predictions_total[<traffic.window>]))",
        by=_MODEL,
    ),
    Record(
        name=f"{_LEVEL}:ml_prediction_accuracy:ratio",
        meaning="Share of right predictions among those whose truth became known.",
        expr="""
            sum without (instance, outcome) (
              increase(ml_prediction_truths_total{outcome="correct"}[<traffic.quality_window>])
            )
            /
            (sum without (instance, outcome) (increase(ml_prediction_truths_total[<traffic.quality_window>])) > 0)
        """,
        by=_MODEL,
    ),
    Record(
        name=f"{_LEVEL}:ml_prediction_truths:count",
        meaning="Predictions whose truth became known: what that share is worth.",
        expr="sum without (instance, outcome) (increase(ml_prediction_truths_total[<traffic.quality_window>]))",
        by=_MODEL,
    ),
    Record(
        name=f"{_LEVEL}:ml_prediction_absolute_error:mean",
        meaning="Mean absolute error (MAE) of the predictions whose truth became known.",
        expr="""
            sum without (instance) (increase(ml_prediction_absolute_error_sum[<traffic.quality_window>]))
            /
            (sum without (instance) (increase(ml_prediction_absolute_error_count[<traffic.quality_window>])) > 0)
        """,
        by=_MODEL,
    ),
    Record(
        name=f"{_LEVEL}:ml_prediction_confidence:mean",
        meaning="How sure the model is on average.",
        expr="""
            sum without (instance) (rate(ml_prediction_confidence_ratio_sum[<traffic.window>]))
            /
            (sum without (instance) (rate(ml_prediction_confidence_ratio_count[<traffic.window>])) > 0)
        """,
        by=_MODEL,
    ),
    Record(
        name=f"{_LEVEL}_bin:ml_prediction_scores:share",
        meaning="Share of the predictions that fell into a bin of scores; absent below `drift.minimum_predictions`.",
        expr="""
            sum without (instance) (increase(ml_prediction_scores_total[<drift.window>]))
            / ignoring (bin) group_left ()
            (
              sum without (instance, bin) (increase(ml_prediction_scores_total[<drift.window>]))
              >= <drift.minimum_predictions>
            )
        """,
        by=_BIN,
    ),
    Record(
        name=f"{_LEVEL}_bin:ml_prediction_scores:reference_share",
        meaning="The same in the reference window.",
        expr="""
            sum without (instance) (
              increase(ml_prediction_scores_total[<drift.reference_window>] offset <drift.reference_offset>)
            )
            / ignoring (bin) group_left ()
            (
              sum without (instance, bin) (
                increase(ml_prediction_scores_total[<drift.reference_window>] offset <drift.reference_offset>)
              )
              >= <drift.minimum_predictions>
            )
        """,
        by=_BIN,
    ),
    Record(
        name=f"{_LEVEL}:ml_prediction_scores:psi",
        meaning="Population stability index of the scores against the reference: 0.1 is a shift, 0.25 a large one.",
        expr=_psi(f"{_LEVEL}_bin:ml_prediction_scores:reference_share"),
        by=_MODEL,
    ),
    Record(
        name=f"{_LEVEL}:ml_prediction_scores:same_hours_psi",
        meaning="The smaller one of that against the same hours a day and a week before; of a new model, that itself.",
        # At night others ask than by day, and on Sundays others than on Mondays.
        expr=f"""
            min without (age) (
              label_replace({_psi(_share_before("<traffic.day>"))}, "age", "day", "", "")
              or
              label_replace({_psi(_share_before("<traffic.week>"))}, "age", "week", "", "")
            )
            or
            (
              {_LEVEL}:ml_prediction_scores:psi
              unless sum without (instance, bin) (ml_prediction_scores_total offset <traffic.day>)
            )
        """,
        by=_MODEL,
    ),
    Record(
        name=f"{_LEVEL}:ml_model_offline_accuracy:ratio",
        meaning="Accuracy in its test of the version in MLflow with the same name and number, wherever its store is.",
        expr=f"""
            0 * {_LEVEL}:ml_prediction_accuracy:ratio
            + on (cluster, model, model_version) group_left ()
            max by (cluster, model, model_version) (
              label_join(
                mlflow_model_metric{{metric="accuracy"}}
                * on (cluster, namespace, job, instance, store, model, alias) group_left (version)
                mlflow_model_version_info{{alias!=""}},
                "model_version", "", "version"
              )
            )
        """,
        by=_MODEL,
    ),
    Record(
        name=f"{_LEVEL}:ml_model_verdict:code",
        meaning="A model as it is served: " + ", ".join(f"{code} {word}" for code, word in enumerate(QUALITIES)) + ".",
        # Drifting and worse as alerts see it: beyond the same limit, and beyond chance.
        expr=f"""
            3 + 0 * (
              {_LEVEL}:ml_prediction_scores:psi > <MlPredictionDrift.threshold>
              and {_LEVEL}:ml_prediction_scores:same_hours_psi > <MlPredictionDrift.threshold>
            )
            or
            2 + 0 * (
              {_OFFLINE} - {_LEVEL}:ml_prediction_accuracy:ratio
              > <MlModelAccuracyLow.deviations>
              * sqrt({_OFFLINE} * (1 - {_OFFLINE}) / ({_LEVEL}:ml_prediction_truths:count > 0))
            )
            or
            1 + 0 * ({_OFFLINE} and {_LEVEL}:ml_prediction_truths:count)
            or
            0 * {_LEVEL}:ml_predictions:rate
        """,
        by=_MODEL,
    ),
)
