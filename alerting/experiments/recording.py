"""Recorded series that judge the experiment on traffic: was the split as meant, is the candidate better or worse?

In PromQL and not in the exporter, because the counts are in Prometheus only, and because the test needs no more than
`ln`, `exp` and `sqrt`: the mixture sequential probability ratio test. Its p-value may be looked at all the time, as an
alert does: over a whole A/A experiment it falls below 0.01 with a probability of at most 1 %, where that of a fixed
test does so sooner or later. `docs/experiments.md` has the formulas.

    L = sqrt(V / (V + s^2)) * exp(s^2 * d^2 / (2 * V * (V + s^2)))      p = min(1, 1 / L)

d is the difference, V its variance, s the spread of the differences that are looked for.
"""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record

_TRIAL = ("variant", "metric", "origin")
_METRIC = ("metric", "origin")
_PAIR = 'variant=~"<business.baseline>|<business.candidate>"'


def _p_value(difference: str, variance: str) -> str:
    """Return the test's p-value; the logarithm of 1 / L does not overflow where L would."""
    spread = "<ab_test.spread> ^ 2"
    return f"""
            exp(clamp_max(
              0.5 * ln(({variance} + {spread}) / {variance})
              - {spread} * {difference} ^ 2 / (2 * {variance} * ({variance} + {spread})),
              0
            ))
        """


RECORDS: tuple[Record, ...] = (
    Record(
        name="variant_metric_origin:ab_test_trials:count",
        meaning="Requests of a variant since the experiment began, and those of its predictions whose truth is known.",
        expr=f"""
            label_replace(
              sum without (instance, outcome) (increase(ab_test_requests_total{{{_PAIR}}}[<ab_test.window>])),
              "metric", "errors", "", ""
            )
            or
            label_replace(
              sum without (instance, model, model_version, outcome) (
                increase(ml_prediction_truths_total{{{_PAIR}}}[<ab_test.window>])
              ),
              "metric", "accuracy", "", ""
            )
        """,
        by=_TRIAL,
    ),
    Record(
        name="variant_metric_origin:ab_test_success:ratio",
        meaning="Share of them that went well: did not fail, or was right.",
        # One more success and one more failure than there were, so that few trials are not a certainty.
        expr=f"""
            (
              (
                label_replace(
                  sum without (instance, outcome) (increase(ab_test_requests_total{{{_PAIR}}}[<ab_test.window>]))
                  - sum without (instance) (increase(ab_test_errors_total{{{_PAIR}}}[<ab_test.window>])),
                  "metric", "errors", "", ""
                )
                or
                label_replace(
                  sum without (instance, model, model_version, outcome) (
                    increase(ml_prediction_truths_total{{outcome="correct",{_PAIR}}}[<ab_test.window>])
                  ),
                  "metric", "accuracy", "", ""
                )
              )
              + 1
            )
            /
            (variant_metric_origin:ab_test_trials:count + 2)
        """,
        by=_TRIAL,
    ),
    Record(
        name="variant_metric_origin:ab_test_success:variance",
        meaning="Variance of that share.",
        expr="""
            variant_metric_origin:ab_test_success:ratio * (1 - variant_metric_origin:ab_test_success:ratio)
            /
            (variant_metric_origin:ab_test_trials:count > 0)
        """,
        by=_TRIAL,
    ),
    Record(
        name="metric_origin:ab_test_trials:min",
        meaning="Trials of the variant that has fewer of them.",
        expr="min without (variant) (variant_metric_origin:ab_test_trials:count)",
        by=_METRIC,
    ),
    Record(
        name="metric_origin:ab_test_improvement:ratio",
        meaning="By how much more of its trials went well for the candidate than for the baseline; negative: worse.",
        expr="""
            variant_metric_origin:ab_test_success:ratio{variant="<business.candidate>"}
            - ignoring (variant)
            variant_metric_origin:ab_test_success:ratio{variant="<business.baseline>"}
        """,
        by=_METRIC,
    ),
    Record(
        name="metric_origin:ab_test_improvement:variance",
        meaning="Variance of that difference.",
        expr="sum without (variant) (variant_metric_origin:ab_test_success:variance)",
        by=_METRIC,
    ),
    Record(
        name="metric_origin:ab_test_improvement:p_value",
        meaning="How likely such a difference is at any time of an experiment without one.",
        expr=_p_value("metric_origin:ab_test_improvement:ratio", "metric_origin:ab_test_improvement:variance"),
        by=_METRIC,
    ),
    Record(
        name="origin:ab_test_split:excess",
        meaning="Candidate's share of the requests, less the share that it is meant to get.",
        expr="""
            sum without (variant, metric) (
              variant_metric_origin:ab_test_trials:count{metric="errors",variant="<business.candidate>"}
            )
            /
            sum without (variant, metric) (variant_metric_origin:ab_test_trials:count{metric="errors"})
            - <ab_test.candidate_share>
        """,
        by=("origin",),
    ),
    Record(
        name="origin:ab_test_split:variance",
        meaning="Variance of the share if requests are split as meant.",
        expr="""
            <ab_test.candidate_share> * (1 - <ab_test.candidate_share>)
            /
            (sum without (variant, metric) (variant_metric_origin:ab_test_trials:count{metric="errors"}) > 0)
        """,
        by=("origin",),
    ),
    Record(
        name="origin:ab_test_split:p_value",
        meaning="How likely such a split is at any time if requests are split as meant (sample-ratio mismatch).",
        expr=_p_value("origin:ab_test_split:excess", "origin:ab_test_split:variance"),
        by=("origin",),
    ),
    Record(
        name="origin:ab_test_verdict:code",
        meaning="What the experiment says: 0 the candidate is worse, 1 too few samples, 2 no difference yet, 3 better.",
        # Accuracy can speak for the candidate; accuracy and errors can speak against it.
        expr="""
            0 * min without (metric) (metric_origin:ab_test_trials:min) + 1
            and (min without (metric) (metric_origin:ab_test_trials:min) < <ab_test.minimum_samples>)
            or
            0 * count without (metric) (
              metric_origin:ab_test_improvement:ratio < 0
              and metric_origin:ab_test_improvement:p_value < <ab_test.significance>
            )
            or
            0 * sum without (metric) (
              metric_origin:ab_test_improvement:ratio{metric="accuracy"} > 0
              and metric_origin:ab_test_improvement:p_value{metric="accuracy"} < <ab_test.significance>
            ) + 3
            or
            0 * min without (metric) (metric_origin:ab_test_trials:min) + 2
        """,
        by=("origin",),
    ),
)
