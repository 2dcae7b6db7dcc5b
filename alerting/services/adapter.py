"""Adapters: what a model server exposes, recorded under the names and labels of `ml_monitoring.instrument`.

The metrics of that library are the one layer that pages, alerts, objectives and experiments read. What a server exposes
by itself is copied into it by recording rules, series by series, so that rates are taken of counters, and a restart of
one process stays a reset of its own counter. Services with the library need no rule: they expose the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from ml_monitoring.alerting.model.foreign import PLACE_LABELS, SERVICE_LABEL
from ml_monitoring.alerting.model.services import AdapterUse, Services
from ml_monitoring.alerting.services import native
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog.services import RESPONSE_BUCKETS

_TARGET: Final = (*PLACE_LABELS, "job", "instance", SERVICE_LABEL, "origin")
_REQUEST: Final = (*_TARGET, "method", "route")
_MODEL: Final = (*_TARGET, "model", "model_version", "variant")
# A series that only the library has: what it counts itself is not copied a second time.
_LIBRARY: Final = "ml_process_start_timestamp_seconds"
_FAILED: Final = "5.."
# The status and the outcome of what a server counts without saying whether it failed.
UNKNOWN: Final = "unknown"
# Of requests whose outcome is known: what nothing is known of is neither good nor bad.
KNOWN_STATUS: Final = f'status!~"|{UNKNOWN}"'
KNOWN_OUTCOME: Final = f'outcome!="{UNKNOWN}"'
# What makes two series those of one target.
_SAME_TARGET: Final = "on (cluster, namespace, job, instance)"
# From a million on, bounds are written with an exponent, by some servers and by Prometheus 3: 1.8e+06 milliseconds.
_EXPONENTS: Final = range(6, 10)


@dataclass(frozen=True, slots=True)
class TakenFrom:
    """Where the value of a label comes from.

    Attributes:
        label: Of the server; empty for a constant.
        pattern: What must match its value; else the label stays as it is.
        value: The new value, `$1` for the first group.
        otherwise: Where the value comes from if the pattern does not match; from the same label.
    """

    label: str = ""
    pattern: str = "(.*)"
    value: str = "$1"
    otherwise: TakenFrom | None = None

    def into(self, label: str, expr: str) -> str:
        """Return the expression with the label set."""
        expr = self.otherwise.into(label, expr) if self.otherwise else expr
        return f'label_replace({expr}, "{label}", "{self.value}", "{self.label}", "{self.pattern}")'

    @property
    def failing(self) -> str:
        """Return the pattern of the label's values that become a status of failures; empty for none."""
        own = _FAILED if "$" in self.value else self.pattern if self.value.startswith(_FAILED[0]) else ""
        return "|".join(filter(None, (own, self.otherwise.failing if self.otherwise else "")))


def constant(value: str) -> TakenFrom:
    """Return the same value for all series."""
    return TakenFrom(pattern="", value=value)


@dataclass(frozen=True, slots=True)
class ServerMetric:
    """A metric of a server.

    Attributes:
        series: Its name; several where releases of the server differ, of which the first counts that is there. Of a
            histogram or a summary without `_bucket`, `_sum` and `_count`.
        labels: Labels of the layer that the server names otherwise, or does not have.
        matchers: Which of its series count.
        beside: Matchers of a series of the target without which it does not count: only some releases have that.
        without: Matchers of a series of the target with which it does not count.
        decimals: By how many decimal places its unit is smaller than the second: 3 for milliseconds.
        buckets: Whether it has buckets. A summary has none, and gives the mean only.
        parts: What it calls `_sum` and `_count`, where those are two counters of different names.
        together: How series of it become one of the layer's: a share of several engines is no sum.
    """

    series: tuple[str, ...]
    labels: Mapping[str, TakenFrom] = field(default_factory=dict)
    matchers: str = ""
    beside: str = ""
    without: str = ""
    decimals: int = 0
    buckets: bool = True
    parts: Mapping[str, str] = field(default_factory=dict)
    together: Literal["sum", "max"] = "sum"

    def expr(self, suffix: str, by: Sequence[str], workers: Sequence[str], use: AdapterUse) -> str:
        """Return what a job exposes of it with the labels of the layer, without what the library counts itself."""
        job = use.job
        where = ",".join(filter(None, (f'job="{job}"', self.matchers)))
        found = " or ".join(self._selector(name, suffix, where, use) for name in self.series)
        found = f'({found}) unless {_SAME_TARGET} {_LIBRARY}{{job="{job}"}}'
        for operator, matchers in (("and", self.beside), ("unless", self.without)):
            if matchers:
                there = " or ".join(f'{name}{suffix}{{job="{job}",{matchers}}}' for name in self.series)
                found = f"({found}) {operator} {_SAME_TARGET} ({there})"
        # Summed up first: replacing labels costs for each series, and series must not become the same by it.
        taken = {label: self.labels[label] for label in by if label in self.labels}
        kept = [label for label in by if label not in taken or taken[label].label]
        needed = dict.fromkeys((*kept, *filter(None, (source.label for source in taken.values())), *workers))
        expr = f"{self.together} by ({', '.join(needed)}) ({found})"
        for label, source in self.labels.items():
            if label in taken:
                expr = source.into(label, expr)
        return expr

    def _selector(self, name: str, suffix: str, where: str, use: AdapterUse) -> str:
        name = self.parts.get(suffix, name + suffix)
        if use.native_histograms and name.endswith("_count"):
            return f"histogram_count({name.removesuffix('_count')}{{{where}}})"
        return f"{name}{{{where}}}"

    def is_alike(self, other: ServerMetric) -> bool:
        """Tell whether both may have the same series, as no label says that they are apart."""
        pairs = [(self.labels[label], other.labels[label]) for label in self.labels.keys() & other.labels.keys()]
        return not any(one != another and not one.label and not another.label for one, another in pairs)

    def failures(self) -> Iterator[ServerMetric]:
        """Yield what counts its failed requests, if anything does."""
        status = self.labels.get("status", TakenFrom("status"))
        if status.label:
            matchers = ",".join(filter(None, (self.matchers, f'{status.label}=~"{status.failing}"')))
            yield replace(self, matchers=matchers)
        elif status.value.startswith(_FAILED[0]):
            yield self

    @property
    def is_unknown(self) -> bool:
        """Tell whether it counts requests without saying whether they failed."""
        return self.labels.get("status") == constant(UNKNOWN)


@dataclass(frozen=True, slots=True)
class GenerationSeries:
    """What a server of language models exposes beside predictions, by `model`.

    Attributes:
        responses: Counters of answers, by `finish_reason`.
        first_token: Times to the first token.
        per_output_token: Times between the tokens after it.
        durations: Times to the last token.
        usage: Histograms of tokens, by `token_type`.
        waiting: Requests in the queue.
        cache: Used share of the cache of keys and values.
    """

    responses: tuple[ServerMetric, ...] = ()
    first_token: tuple[ServerMetric, ...] = ()
    per_output_token: tuple[ServerMetric, ...] = ()
    durations: tuple[ServerMetric, ...] = ()
    usage: tuple[ServerMetric, ...] = ()
    waiting: tuple[ServerMetric, ...] = ()
    cache: tuple[ServerMetric, ...] = ()


@dataclass(frozen=True, slots=True)
class Adapter:
    """What is known of a server. Of several metrics of one kind, the first that has a series counts.

    Attributes:
        server: Its name in the settings.
        title: Its name in texts.
        signature: Series that tell it from other servers.
        lowest_bucket: Seconds at which the first bucket of its response times ends, unless it is given others; 0 where
            that is not known.
        carries: Middlewares in it, by their names in the settings, that count its requests a second time.
        requests: Counters of requests, by `method`, `route` and `status`.
        durations: Response times, by `method` and `route`.
        in_progress: Requests that are answered now.
        predictions: Counters of predictions, by `model`, `model_version`.
        prediction_errors: Those that failed.
        prediction_durations: Their times.
        generations: What it exposes of language models.
        born: Status of failures that are at 0 from a route's first request on, as those of a model are: a server that
            exposes a failure once it happened begins at 1, and what a series begins with is not seen by `increase()`.
        workers: Labels of the processes behind one address.
        variants_of_models: Whether predictions have variants of an A/B test, and requests have not.
    """

    server: str
    title: str
    signature: tuple[str, ...]
    requests: tuple[ServerMetric, ...] = ()
    durations: tuple[ServerMetric, ...] = ()
    in_progress: tuple[ServerMetric, ...] = ()
    predictions: tuple[ServerMetric, ...] = ()
    prediction_errors: tuple[ServerMetric, ...] = ()
    prediction_durations: tuple[ServerMetric, ...] = ()
    generations: GenerationSeries = GenerationSeries()
    born: str = ""
    workers: tuple[str, ...] = ()
    variants_of_models: bool = False
    lowest_bucket: float = 0.0
    carries: tuple[str, ...] = ()

    @property
    def counts_failures(self) -> bool:
        """Tell whether it says of requests or predictions that they failed; what it does not say is not 0."""
        return bool(self.prediction_errors) or any(True for metric in self.requests for _ in metric.failures())

    @property
    def histograms(self) -> frozenset[str]:
        """Return the names of its metrics with buckets, without suffix."""
        timed = (*self.durations, *self.prediction_durations)
        return frozenset(name for metric in timed if metric.buckets and not metric.parts for name in metric.series)

    def records(self, use: AdapterUse) -> dict[str, str]:
        """Return the expressions for a job by the series that they are recorded as."""
        records = [*self._of_requests(use), *self._of_predictions(use), *self._of_generations(use)]
        records += self._of_variants(use)
        return {record: expr for record, expr in records if expr}

    def requests_of(self, use: AdapterUse) -> str:
        """Return the requests of a job as the layer has them; empty where the server counts none."""
        counted = self._sum(self.requests, "", (*_REQUEST, "status"), use)
        if not counted or not self.born:
            return counted
        return _or((counted, f"0 * {constant(self.born).into('status', self._sum(self.requests, '', _REQUEST, use))}"))

    def _of_requests(self, use: AdapterUse) -> Iterator[tuple[str, str]]:
        yield "ml_http_requests_total", self.requests_of(use)
        yield from self._times("ml_http_request_duration_seconds", self.durations, _REQUEST, use)
        yield "ml_http_requests_in_progress", self._sum(self.in_progress, "", _TARGET, use)

    def _of_predictions(self, use: AdapterUse) -> Iterator[tuple[str, str]]:
        predictions, errors = (
            self._sum(metrics, "", _MODEL, use) for metrics in (self.predictions, self.prediction_errors)
        )
        yield "ml_predictions_total", predictions
        yield "ml_prediction_errors_total", _or((errors, f"0 * ({predictions})")) if errors and self.born else errors
        yield from self._times("ml_prediction_duration_seconds", self.prediction_durations, _MODEL, use)

    def _of_generations(self, use: AdapterUse) -> Iterator[tuple[str, str]]:
        found = self.generations
        yield "ml_gen_ai_responses_total", self._sum(found.responses, "", (*_MODEL, "finish_reason"), use)
        yield from self._times("ml_gen_ai_time_to_first_token_seconds", found.first_token, _MODEL, use)
        yield from self._times("ml_gen_ai_time_per_output_token_seconds", found.per_output_token, _MODEL, use)
        yield from self._times("ml_gen_ai_request_duration_seconds", found.durations, _MODEL, use)
        yield from self._times("ml_gen_ai_usage_tokens", found.usage, (*_MODEL, "token_type"), use)
        yield "ml_gen_ai_requests_waiting", self._sum(found.waiting, "", _MODEL, use)
        yield "ml_gen_ai_kv_cache_utilization_ratio", self._sum(found.cache, "", _MODEL, use)

    def _of_variants(self, use: AdapterUse) -> Iterator[tuple[str, str]]:
        if use.variant is None:
            return
        by = (*_TARGET, "variant")
        by_variant = _by_variant(use.variant)
        unknown = ""
        if self.variants_of_models:
            succeeded, failed, durations = map(
                by_variant, (self.predictions, self.prediction_errors, self.prediction_durations)
            )
            good, bad = (self._sum(metrics, "", by, use) for metrics in (succeeded, failed))
        else:
            requests, durations = by_variant(self.requests), by_variant(self.durations)
            failed = tuple(each for metric in requests for each in metric.failures())
            told = tuple(metric for metric in requests if not metric.is_unknown)
            untold = tuple(metric for metric in requests if metric.is_unknown)
            counted, bad, unknown = (self._sum(metrics, "", by, use) for metrics in (told, failed, untold))
            good = f"{counted} - ({_or((bad, f'0 * {counted}'))})" if bad else ""
        # A variant that never failed has its failures at 0.
        errors = _or((bad, f"0 * ({good})")) if bad else ""
        outcomes = {"success": good, "error": errors, UNKNOWN: unknown}
        counted_by = [constant(outcome).into("outcome", expr) for outcome, expr in outcomes.items() if expr]
        yield "ab_test_requests_total", _or(counted_by)
        yield "ab_test_errors_total", errors
        yield from self._times("ab_test_response_time_seconds", durations, by, use)

    def _times(
        self, record: str, metrics: Sequence[ServerMetric], by: tuple[str, ...], use: AdapterUse
    ) -> Iterator[tuple[str, str]]:
        histograms = [metric for metric in metrics if metric.buckets]
        if use.native_histograms and histograms:
            units = dict.fromkeys(metric.decimals for metric in histograms)
            of = {unit: [metric for metric in histograms if metric.decimals == unit] for unit in units}
            by_unit = {unit: self._sum(of[unit], "", by, use) for unit in units}
            yield from native.records(record, by_unit, by, use.job)
            return
        yield f"{record}_bucket", self._sum(histograms, "_bucket", (*by, "le"), use)
        yield f"{record}_sum", self._sum(metrics, "_sum", by, use)
        yield f"{record}_count", self._sum(metrics, "_count", by, use)

    def _sum(self, metrics: Sequence[ServerMetric], suffix: str, by: tuple[str, ...], use: AdapterUse) -> str:
        """Return the metrics' series by labels of the layer, in seconds; nothing of no metrics."""
        # Metrics of several outcomes add up; of those that are alike the first that is there counts.
        apart = tuple(dict.fromkeys((*by, "status"))) if len(metrics) > 1 else by
        sums: list[str] = []
        for place, metric in enumerate(metrics):
            expr = metric.expr(suffix, apart, self.workers, use)
            if self.workers:
                # What the processes behind an address counted is not added up here: each has resets of its own.
                names = ", ".join(f'"{name}"' for name in ("instance", *self.workers))
                expr = f'label_join({expr}, "instance", " ", {names})'
            if suffix == "_bucket":
                expr = _bounds_in_seconds(expr, metric.decimals)
            expr = f"{metric.together} by ({', '.join(apart)}) ({expr})"
            if suffix == "_bucket":
                before = [sums[other] for other in range(place) if metric.is_alike(metrics[other])]
                expr = _unless_there(expr, before, [label for label in apart if label != "le"])
            sums.append(f"{expr} / 1e{metric.decimals}" if suffix == "_sum" and metric.decimals else expr)
        return _or(sums) if len(sums) < 2 else f"sum by ({', '.join(by)}) ({_or(sums)})"


def rules(services: Services, adapters: Mapping[str, Adapter]) -> list[dict[str, object]]:
    """Return the recording rules of all adapters that are switched on, one for each job and series."""
    records: dict[tuple[str, str], list[str]] = {}
    for use in services.adapters:
        for record, expr in adapters[use.server].records(use).items():
            records.setdefault((use.job, record), []).append(expr)
    # The label says what is so anyway; without it the rules of two jobs would look alike.
    return [{"record": record, "expr": _or(exprs), "labels": {"job": job}} for (job, record), exprs in records.items()]


def uncounted(services: Services, adapters: Mapping[str, Adapter]) -> Iterator[str]:
    """Yield a sentence for each job whose server does not say what failed: nothing that asks for that has an answer."""
    for use in services.adapters:
        if not (adapter := adapters[use.server]).counts_failures:
            yield (
                f"services.adapters: {adapter.title} does not count failures, so job {use.job} has no error ratio, the "
                "objective slos.availability is not watched there, and experiments do not compare errors"
            )


def unmeasured(services: Services, adapters: Mapping[str, Adapter], limit: float) -> Iterator[str]:
    """Yield a sentence for each job whose histogram cannot tell whether a percentile is above a limit of latency.

    Args:
        services: Those that are read by adapters; all others have the library's buckets.
        adapters: What is known of servers.
        limit: Seconds.
    """
    lowest = {
        f"job {use.job} ({adapters[use.server].title})": adapters[use.server].lowest_bucket for use in services.adapters
    }
    for where, bound in {**lowest, "services with the library": RESPONSE_BUCKETS[0]}.items():
        if limit < bound:
            yield (
                f"the limit of latency, {durations.format_seconds(limit)}, is below the lowest bucket of {where}, "
                f"{durations.format_seconds(bound)}: a percentile there is a share of that bucket and no measurement; "
                "raise the limit, or have buckets below it"
            )


def _by_variant(label: str) -> Callable[[Sequence[ServerMetric]], tuple[ServerMetric, ...]]:
    """Return what gives metrics the label `variant`; series without the server's own have no variant."""
    return lambda metrics: tuple(
        replace(
            metric,
            labels={**metric.labels, "variant": TakenFrom(label)},
            matchers=",".join(filter(None, (metric.matchers, f'{label}!=""'))),
        )
        for metric in metrics
    )


def _unless_there(expr: str, others: Sequence[str], by: Sequence[str]) -> str:
    """Return a histogram where none of the others is there: buckets of different bounds make no histogram together."""
    return f"({expr}\nunless on ({', '.join(by)})\n({_or(others)}))" if others else expr


def _or(exprs: Iterable[str]) -> str:
    return "\nor\n".join(exprs)


def _bounds_in_seconds(expr: str, decimals: int) -> str:
    """Return buckets with their bounds in seconds, written as the library does (`1.0`, not `1`), all digits kept."""
    if not decimals:
        return TakenFrom("le", "([0-9]+)", "$1.0").into("le", expr)
    # 2500 or 2500.0 becomes 0002500., so that there are digits to set the point before; then what is idle goes.
    zeros = "0" * decimals
    expr = TakenFrom("le", "([0-9]+)(?:[.]([0-9]*))?", f"{zeros}$1.$2").into("bound", expr)
    for exponent in _EXPONENTS:
        written = TakenFrom("le", f"([0-9])(?:[.]([0-9]+))?e[+]0?{exponent}", f"$1${{2}}{'0' * exponent}")
        digits = TakenFrom(f"e{exponent}", f"([0-9]{{{exponent + 1}}})([0-9]*)", f"{zeros}$1.$2")
        expr = digits.into("bound", written.into(f"e{exponent}", expr))
    expr = TakenFrom("bound", f"0*([0-9]+)([0-9]{{{decimals}}})[.]([0-9]*)", "$1.$2$3").into("le", expr)
    return TakenFrom("le", "([0-9]+[.][0-9]+?)0*").into("le", expr)
