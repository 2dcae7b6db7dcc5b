"""Recorded series about instrumented services: traffic, errors, latency, resources, and the same by variant.

Numerators and denominators are summed apart over instances, then divided. `or 0 *` makes a ratio 0 where nothing
failed yet: a counter that never counted is not there. Where a server does not say what failed there is no ratio.
`origin` stays, so that simulated traffic is never added to real traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.services.adapter import KNOWN_OUTCOME, KNOWN_STATUS

_VARIANT = ("variant", "origin")
_SERVICE = ("origin",)


@dataclass(frozen=True, slots=True)
class _ResponseTimes:
    """A histogram of response times, and what is recorded of it."""

    metric: str
    without: str
    by: tuple[str, ...]
    whose: str

    @property
    def _prefix(self) -> str:
        return f"{'_'.join(self.by)}:{self.metric}"

    def quantile(self, percent: int) -> Record:
        return Record(
            name=f"{self._prefix}:p{percent}",
            meaning=f"Time within which {percent} % of the requests of {self.whose} were answered.",
            expr=f"""
                histogram_quantile(
                  {percent / 100}, sum without ({self.without}) (rate({self.metric}_bucket[<traffic.window>]))
                )
            """,
            by=self.by,
        )

    def mean(self) -> Record:
        return Record(
            name=f"{self._prefix}:mean",
            meaning=f"Mean response time of {self.whose}.",
            expr=f"""
                sum without ({self.without}) (rate({self.metric}_sum[<traffic.window>]))
                /
                (sum without ({self.without}) (rate({self.metric}_count[<traffic.window>])) > 0)
            """,
            by=self.by,
        )


# What the baseline's run in MLflow reached.
_TRAINED = """max by (cluster) (
              mlflow_metric_latest{
                metric="<business.accuracy_metric>",
                model_variant="<business.baseline>",
                experiment=~"<business.experiments>"
              }
            )"""

_HTTP = _ResponseTimes("ml_http_request_duration_seconds", "instance, method, route", _SERVICE, "a service")
_AB = _ResponseTimes("ab_test_response_time_seconds", "instance", _VARIANT, "a variant")
_PERCENTS = (50, 95, 99)


def _predictions(window: str) -> str:
    return f"sum without (instance, model, model_version, variant) (increase(ml_predictions_total[{window}]))"


# Around the same hour: summer time begins and ends, and people are late.
_USUAL: Final = "min_over_time(silence_origin:ml_predictions:count[<traffic.same_hours>] offset <traffic.{}>)"
_A_WEEK_AGO: Final = _USUAL.format("after_a_week")
_TWO_WEEKS_AGO: Final = _USUAL.format("after_two_weeks")

RECORDS: tuple[Record, ...] = (
    Record(
        name="origin:ml_http_requests:rate",
        meaning="Requests a second of a service.",
        expr="sum without (instance, method, route, status) (rate(ml_http_requests_total[<traffic.window>]))",
        by=_SERVICE,
    ),
    Record(
        name="origin:ml_http_requests:count",
        meaning="Requests of a service in the window of which is known whether they failed: what its ratio is worth.",
        expr=f"""
            sum without (instance, method, route, status) (
              increase(ml_http_requests_total{{{KNOWN_STATUS}}}[<traffic.window>])
            )
        """,
        by=_SERVICE,
    ),
    Record(
        name="origin:ml_http_errors:ratio",
        meaning="Share of a service's requests that failed (status 500 and above); absent where that is not known.",
        expr="""
            (
              sum without (instance, method, route, status) (
                increase(ml_http_requests_total{status=~"5.."}[<traffic.window>])
              )
              or 0 * origin:ml_http_requests:count
            )
            /
            (origin:ml_http_requests:count > 0)
        """,
        by=_SERVICE,
    ),
    Record(
        name="le_origin:ml_http_request_duration_seconds_bucket:rate",
        meaning="Requests a second of a service that took up to so long.",
        expr="""
            sum without (instance, method, route) (rate(ml_http_request_duration_seconds_bucket[<traffic.window>]))
        """,
        by=("le", "origin"),
    ),
    Record(
        name="origin:ml_http_requests_timed:count",
        meaning="Requests of a service in the window whose response time is known.",
        expr="""
            sum without (instance, method, route, le) (
              increase(ml_http_request_duration_seconds_bucket{le="+Inf"}[<traffic.window>])
            )
        """,
        by=_SERVICE,
    ),
    *(_HTTP.quantile(percent) for percent in _PERCENTS),
    _HTTP.mean(),
    Record(
        name="cache_origin:ml_cache_requests:count",
        meaning="Lookups in a cache in the window: what its hit ratio is worth.",
        expr="sum without (instance, outcome) (increase(ml_cache_requests_total[<traffic.window>]))",
        by=("cache", "origin"),
    ),
    Record(
        name="cache_origin:ml_cache_hits:ratio",
        meaning="Share of a cache's lookups that found their entry; absent without lookups.",
        expr="""
            (
              sum without (instance, outcome) (rate(ml_cache_requests_total{outcome="hit"}[<traffic.window>]))
              or 0 * sum without (instance, outcome) (rate(ml_cache_requests_total[<traffic.window>]))
            )
            /
            (sum without (instance, outcome) (rate(ml_cache_requests_total[<traffic.window>])) > 0)
        """,
        by=("cache", "origin"),
    ),
    Record(
        name="instance_resource_origin:ml_process_utilization:ratio",
        meaning="Used share of what a service may use of a resource (cpu, memory, disk).",
        expr="""
            label_replace(
              rate(ml_process_cpu_seconds_total[<traffic.window>]) / ml_process_cpu_limit_cores,
              "resource", "cpu", "", ""
            )
            or
            label_replace(ml_process_memory_bytes / ml_process_memory_limit_bytes, "resource", "memory", "", "")
            or
            label_replace(ml_process_disk_used_bytes / ml_process_disk_limit_bytes, "resource", "disk", "", "")
        """,
        by=("instance", "resource", "origin"),
    ),
    Record(
        name="origin:ml_predictions:count",
        meaning="Predictions of a service in the window.",
        expr=_predictions("<traffic.window>"),
        by=_SERVICE,
    ),
    Record(
        name="silence_origin:ml_predictions:count",
        meaning="Predictions within a window, an hour and `traffic.recent`, each as long as a silence that would tell.",
        # In the longer ones those of a window count five at most: a batch that comes once an hour may be a little late.
        expr="""
            label_replace(origin:ml_predictions:count, "silence", "window", "", "")
            or
            label_replace(
              sum_over_time(clamp_max(origin:ml_predictions:count, 5)[1h:<traffic.window>]), "silence", "hour", "", ""
            )
            or
            label_replace(
              sum_over_time(clamp_max(origin:ml_predictions:count, 5)[<traffic.recent>:<traffic.window>]),
              "silence", "recent", "", ""
            )
        """,
        by=("silence", "origin"),
    ),
    Record(
        name="origin:ml_predictions:missing",
        meaning="Predictions that are usual at these hours and did not come; absent while some come.",
        expr=f"""
            max without (silence) (
              ({_TWO_WEEKS_AGO} < {_A_WEEK_AGO} or {_A_WEEK_AGO})
              unless
              silence_origin:ml_predictions:count > 0
            )
        """,
        by=_SERVICE,
    ),
    Record(
        name="origin:ml_predictions:recent",
        meaning="Predictions of a service in the window; 0 when it makes none now and did recently, or usually does.",
        # A vanished service has no counters any more: what it did within `traffic.recent` still has.
        expr=f"""
            (origin:ml_predictions:count > 0)
            or
            0 * ({_predictions("<traffic.recent>")} > 0)
            or
            0 * origin:ml_predictions:missing
        """,
        by=_SERVICE,
    ),
    Record(
        name="variant_origin:ab_test_requests:rate",
        meaning="Requests a second of a variant.",
        expr="sum without (instance, outcome) (rate(ab_test_requests_total[<traffic.window>]))",
        by=_VARIANT,
    ),
    Record(
        name="variant_origin:ab_test_requests:share",
        meaning="Share of the traffic that a variant gets.",
        expr="""
            variant_origin:ab_test_requests:rate
            / ignoring (variant) group_left ()
            (sum without (variant) (variant_origin:ab_test_requests:rate) > 0)
        """,
        by=_VARIANT,
    ),
    Record(
        name="variant_origin:ab_test_errors:ratio",
        meaning="Share of a variant's requests that failed; absent where that is not known.",
        expr=f"""
            (
              sum without (instance) (rate(ab_test_errors_total[<traffic.window>]))
              or
              0 * sum without (instance, outcome) (rate(ab_test_requests_total{{{KNOWN_OUTCOME}}}[<traffic.window>]))
            )
            /
            (
              sum without (instance, outcome) (rate(ab_test_requests_total{{{KNOWN_OUTCOME}}}[<traffic.window>])) > 0
            )
        """,
        by=_VARIANT,
    ),
    *(_AB.quantile(percent) for percent in _PERCENTS),
    _AB.mean(),
    Record(
        name="variant_origin:ab_test_requests:increase1d",
        meaning="Requests of a variant in 24 hours.",
        expr="sum without (instance, outcome) (increase(ab_test_requests_total[1d]))",
        by=_VARIANT,
    ),
    Record(
        name="variant_origin:ab_test_errors:increase1d",
        meaning="Failed requests of a variant in 24 hours.",
        expr="sum without (instance) (increase(ab_test_errors_total[1d]))",
        by=_VARIANT,
    ),
    Record(
        name="variant_origin:ab_test_truths:count",
        meaning="Predictions of a variant whose truth became known; absent below a handful.",
        # No number below a handful of truths: the first prediction of all would be 0 % or 100 %.
        expr="""
            sum without (instance, model, model_version, outcome) (
              increase(ml_prediction_truths_total{variant!=""}[<traffic.quality_window>])
            )
            >= 20
        """,
        by=_VARIANT,
    ),
    Record(
        name="variant_origin:ab_test_accuracy:ratio",
        meaning="Share of a variant's predictions that were right: counted where truths are, else as the service says.",
        expr="""
            sum without (instance, model, model_version, outcome) (
              increase(ml_prediction_truths_total{outcome="correct",variant!=""}[<traffic.quality_window>])
            )
            /
            variant_origin:ab_test_truths:count
            or
            avg without (instance) (ab_test_model_accuracy)
        """,
        by=_VARIANT,
    ),
    Record(
        name="variant_origin:ab_test_accuracy:variance",
        meaning="Variance of that share; 0 where a service says it without saying of how many predictions.",
        # One more right and one more wrong than there were, so that few truths of one kind are not a certainty.
        expr="""
            (variant_origin:ab_test_accuracy:ratio * variant_origin:ab_test_truths:count + 1)
            * ((1 - variant_origin:ab_test_accuracy:ratio) * variant_origin:ab_test_truths:count + 1)
            / (variant_origin:ab_test_truths:count + 2) ^ 2
            / variant_origin:ab_test_truths:count
            or
            0 * variant_origin:ab_test_accuracy:ratio
        """,
        by=_VARIANT,
    ),
    Record(
        name="variant_origin:ab_test_accuracy:shortfall",
        meaning=(
            "By what share a variant's accuracy is below its baseline: the baseline variant's, and for that one "
            "the accuracy of its run in MLflow."
        ),
        expr=f"""
            1 - variant_origin:ab_test_accuracy:ratio{{variant!="<business.baseline>"}}
            / ignoring (variant) group_left ()
            variant_origin:ab_test_accuracy:ratio{{variant="<business.baseline>"}}
            or
            1 - variant_origin:ab_test_accuracy:ratio{{variant="<business.baseline>"}}
            / on (cluster) group_left ()
            {_TRAINED}
        """,
        by=_VARIANT,
    ),
    Record(
        name="variant_origin:ab_test_accuracy:shortfall_error",
        meaning="Standard error of that shortfall: by how much it is off by chance.",
        # Of a quotient, to first order. What a run in MLflow reached is taken as it is.
        expr=f"""
            sqrt(
              variant_origin:ab_test_accuracy:variance{{variant!="<business.baseline>"}}
              + (1 - variant_origin:ab_test_accuracy:shortfall{{variant!="<business.baseline>"}}) ^ 2
              * ignoring (variant) group_left ()
              variant_origin:ab_test_accuracy:variance{{variant="<business.baseline>"}}
            )
            / ignoring (variant) group_left ()
            variant_origin:ab_test_accuracy:ratio{{variant="<business.baseline>"}}
            or
            sqrt(variant_origin:ab_test_accuracy:variance{{variant="<business.baseline>"}})
            / on (cluster) group_left ()
            {_TRAINED}
        """,
        by=_VARIANT,
    ),
)
