"""Recorded series that judge the experiment on traffic: was the split as meant, is the candidate better or worse?

In PromQL and not in the exporter, because the counts are in Prometheus only, and because the test needs no more than
`ln`, `exp` and `sqrt`: the mixture sequential probability ratio test. Its p-value may be looked at all the time, as an
alert does: over a whole A/A experiment it falls below 0.01 with a probability of at most 1 %, where that of a fixed
test does so sooner or later. `docs/experiments.md` has the formulas.

    L = sqrt(V / (V + s^2)) * exp(s^2 * d^2 / (2 * V * (V + s^2)))      p = min(1, k / L)

d is the difference, V its variance, s the spread of the differences that are looked for, and k how many windows an
experiment has: the promise holds within each of them.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.services.adapter import KNOWN_OUTCOME

# The values of `origin:ab_test_verdict:code`.
VERDICTS: Final = (
    "Candidate is worse",
    "Too early",
    "No difference yet",
    "Candidate is better",
    "Invalid: traffic split is wrong",
)

_VARIANT = ("variant", "origin")
_TRIAL = ("variant", "metric", "origin")
_METRIC = ("metric", "origin")
_PAIR = 'variant=~"<business.baseline>|<business.candidate>"'


def _p_value(difference: str, variance: str, looks: str) -> str:
    """Return the test's p-value; the logarithm of 1 / L does not overflow where L would."""
    spread = "<ab_test.spread> ^ 2"
    return f"""
            exp(clamp_max(
              {looks}
              + 0.5 * ln(({variance} + {spread}) / {variance})
              - {spread} * {difference} ^ 2 / (2 * {variance} * ({variance} + {spread})),
              0
            ))
        """


def _comparison(kind: str, window: str, looks: str, when: str) -> tuple[Record, ...]:
    """Return the comparison of candidate and baseline in a window.

    Args:
        kind: Begins the last part of the names.
        window: As a placeholder.
        looks: Logarithm of how many such windows an experiment has: each of them may alarm by chance.
        when: The window in words.
    """
    requests, errors = (f"variant_origin:ab_test_{what}:{kind}count" for what in ("requests", "errors"))
    by_outcome = f"outcome_{requests}"
    known = f"sum without (outcome) ({by_outcome}{{{KNOWN_OUTCOME},{_PAIR}}})"
    truths = f"outcome_variant_origin:ab_test_truths:{kind}count"
    trials = f"variant_metric_origin:ab_test_trials:{kind}count"
    ratio, variance = (f"variant_metric_origin:ab_test_success:{kind}{of}" for of in ("ratio", "variance"))
    improvement = f"metric_origin:ab_test_improvement:{kind}"
    return (
        # Windows of a week have many samples: each is looked at once.
        Record(
            name=by_outcome,
            meaning=f"Requests of each variant of the experiment {when}, by outcome.",
            expr=f"sum without (instance) (increase(ab_test_requests_total[{window}]))",
            by=("outcome", *_VARIANT),
        ),
        Record(
            name=requests,
            meaning=f"Requests of each variant of the experiment {when}.",
            expr=f"sum without (outcome) ({by_outcome})",
            by=_VARIANT,
        ),
        Record(
            name=errors,
            meaning=f"Those that failed; 0 where none did {when}, absent where that is not known.",
            expr=f"""
                sum without (instance) (increase(ab_test_errors_total{{{_PAIR}}}[{window}]))
                or
                0 * {known}
            """,
            by=_VARIANT,
        ),
        Record(
            name=truths,
            meaning=f"Predictions of a variant whose truth became known {when}, by whether they were right.",
            expr=f"""
                sum without (instance, model, model_version) (
                  increase(ml_prediction_truths_total{{{_PAIR}}}[{window}])
                )
            """,
            by=("outcome", *_VARIANT),
        ),
        Record(
            name=trials,
            meaning=f"Requests of a variant {when} whose outcome is known, and its predictions whose truth is.",
            expr=f"""
                label_replace({known}, "metric", "errors", "", "")
                or
                label_replace(sum without (outcome) ({truths}), "metric", "accuracy", "", "")
            """,
            by=_TRIAL,
        ),
        Record(
            name=ratio,
            meaning="Share of them that went well: did not fail, or was right.",
            # One more success and one more failure than there were, so that few trials are not a certainty.
            expr=f"""
                (
                  (
                    label_replace({known} - {errors}, "metric", "errors", "", "")
                    or
                    label_replace(sum without (outcome) ({truths}{{outcome="correct"}}), "metric", "accuracy", "", "")
                  )
                  + 1
                )
                /
                ({trials} + 2)
            """,
            by=_TRIAL,
        ),
        Record(
            name=variance,
            meaning="Variance of that share.",
            expr=f"{ratio} * (1 - {ratio}) / ({trials} > 0)",
            by=_TRIAL,
        ),
        Record(
            name=f"metric_origin:ab_test_trials:{kind}min",
            meaning="Trials of the variant that has fewer of them.",
            expr=f"min without (variant) ({trials})",
            by=_METRIC,
        ),
        Record(
            name=f"{improvement}ratio",
            meaning="By how much more of its trials went well for the candidate than for the baseline; below 0: worse.",
            expr=f"""
                {ratio}{{variant="<business.candidate>"}}
                - ignoring (variant)
                {ratio}{{variant="<business.baseline>"}}
            """,
            by=_METRIC,
        ),
        Record(
            name=f"{improvement}variance",
            meaning="Variance of that difference.",
            expr=f"sum without (variant) ({variance})",
            by=_METRIC,
        ),
        Record(
            name=f"{improvement}p_value",
            meaning="How likely such a difference is at any time of an experiment without one.",
            expr=_p_value(f"{improvement}ratio", f"{improvement}variance", looks),
            by=_METRIC,
        ),
    )


RECORDS: tuple[Record, ...] = (
    *_comparison("", "<ab_test.window>", "<ab_test.looks>", "since the experiment began"),
    # After a good week it would take hours until a sudden drop shows in the whole.
    *_comparison("recent_", "<ab_test.recent>", "<ab_test.recent_looks>", "of late"),
    Record(
        name="metric_origin:ab_test_improvement:half_width",
        meaning="Half the width of the interval that holds the true difference at all times of an experiment.",
        # What the test above does not rule out: the differences within have p-values above the significance.
        expr="""
            sqrt(
              2 * metric_origin:ab_test_improvement:variance
              * (metric_origin:ab_test_improvement:variance + <ab_test.spread> ^ 2) / <ab_test.spread> ^ 2
              * (
                <ab_test.looks> - ln(<ab_test.significance> + 0 * metric_origin:ab_test_improvement:variance)
                + 0.5 * ln(
                  (metric_origin:ab_test_improvement:variance + <ab_test.spread> ^ 2)
                  / metric_origin:ab_test_improvement:variance
                )
              )
            )
        """,
        by=_METRIC,
    ),
    Record(
        name="metric_origin:ab_test_improvement:code",
        meaning="What that says: 0 no difference yet, 1 the candidate is worse, 2 better.",
        expr="""
            (metric_origin:ab_test_improvement:ratio < bool -1 * metric_origin:ab_test_improvement:half_width)
            + 2 * (metric_origin:ab_test_improvement:ratio > bool metric_origin:ab_test_improvement:half_width)
        """,
        by=_METRIC,
    ),
    Record(
        name="metric_origin:ab_test_worse:p_value",
        meaning="How likely the candidate looks so much worse, in the whole window or of late; 1 where it does not.",
        expr="""
            min without (window) (
              label_replace(
                metric_origin:ab_test_improvement:p_value and metric_origin:ab_test_improvement:ratio < 0,
                "window", "whole", "", ""
              )
              or
              label_replace(
                metric_origin:ab_test_improvement:recent_p_value
                and metric_origin:ab_test_improvement:recent_ratio < 0
                and metric_origin:ab_test_trials:recent_min >= <ab_test.recent_samples>,
                "window", "recent", "", ""
              )
            )
            or
            0 * metric_origin:ab_test_improvement:p_value + 1
        """,
        by=_METRIC,
    ),
    Record(
        name="variant_origin:ab_test_split_requests:count",
        meaning="Requests of each variant that is meant to get a share.",
        expr='variant_origin:ab_test_requests:count{variant=~"<ab_test.variants>"}',
        by=("variant", "origin"),
    ),
    Record(
        name="origin:ab_test_split_requests:count",
        meaning="Requests of all of them.",
        expr="sum without (variant) (variant_origin:ab_test_split_requests:count)",
        by=("origin",),
    ),
    Record(
        name="origin:ab_test_requests:min",
        meaning="Requests of the one of the two variants that has fewer.",
        expr=f"min without (variant) (variant_origin:ab_test_requests:count{{{_PAIR}}})",
        by=("origin",),
    ),
    Record(
        name="origin:ab_test_split:chi_squared",
        meaning="Distance of the split from the shares that are meant, by Pearson: 0 if it is as meant.",
        # The sum of (counted - meant)^2 / meant, written so that a variant that gets nothing needs no series.
        expr="""
            sum without (variant) (
              variant_origin:ab_test_split_requests:count ^ 2
              / on (variant) group_left () (<ab_test.expected_shares>)
            )
            / (origin:ab_test_split_requests:count > 0)
            - origin:ab_test_split_requests:count
        """,
        by=("origin",),
    ),
    Record(
        name="origin:ab_test_split:p_value",
        meaning="How likely such a split is at any time if requests are split as meant (sample-ratio mismatch).",
        # The multinomial form of the test; with two variants it is the same as that of a difference.
        expr="""
            exp(clamp_max(
              <ab_test.looks>
              + 0.5 * <ab_test.degrees> * ln(1 + <ab_test.split_spread> * origin:ab_test_split_requests:count)
              - origin:ab_test_split:chi_squared / 2
              / (1 + 1 / (<ab_test.split_spread> * origin:ab_test_split_requests:count)),
              0
            ))
        """,
        by=("origin",),
    ),
    Record(
        name="origin:ab_test_split:code",
        meaning="Whether requests are split as meant: 0 not, beyond chance; 1 nothing says so.",
        expr="""
            0 * (
              origin:ab_test_split:p_value < <AbTestSampleRatioMismatch.threshold>
              and origin:ab_test_requests:min >= <AbTestSampleRatioMismatch.minimum_samples>
            )
            or
            0 * origin:ab_test_split:p_value + 1
        """,
        by=("origin",),
    ),
    Record(
        name="origin:ab_test_verdict:code",
        meaning="What the experiment says: " + ", ".join(f"{code} {word}" for code, word in enumerate(VERDICTS)) + ".",
        # A wrong split makes all else worthless. Accuracy can speak for the candidate; accuracy and errors against it.
        expr="""
            (origin:ab_test_split:code == 0) + 4
            or
            0 * min without (metric) (metric_origin:ab_test_trials:min) + 1
            and (min without (metric) (metric_origin:ab_test_trials:min) < <ab_test.minimum_samples>)
            or
            0 * count without (metric) (
              metric_origin:ab_test_improvement:ratio < 0
              and metric_origin:ab_test_improvement:p_value < <ab_test.significance>
            )
            or
            0 * min without (metric) (metric_origin:ab_test_trials:min) + 1
            unless min without (metric) (
              max_over_time(metric_origin:ab_test_trials:min[1h] offset <ab_test.minimum_duration>)
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
