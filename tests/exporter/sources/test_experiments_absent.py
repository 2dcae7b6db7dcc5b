"""What is not there never looks healthy: counters that nobody counts, forgotten histories, answers that lack a part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration
from ml_monitoring.exporter.sources.experiments.evidence import ExperimentEvidence
from ml_monitoring.exporter.sources.experiments.history import BatchHistory, Counter
from ml_monitoring.exporter.sources.experiments.judgement import Decision, Judgement
from ml_monitoring.exporter.sources.experiments.prometheus import ExperimentError, PrometheusApi
from tests.support.experiment_series import GUARDED

START = 1_762_128_000
STEP = 600.0
SOLD = {"kind": "proportion", "numerator": "sales_total", "denominator": "requests_total", "effect": 0.2}
FAILED = GUARDED["errors"]
LATENCY = {"kind": "mean", "sum": "seconds_sum", "count": "seconds_count", "squares": "seconds_squares"}
# What each arm counts in a batch.
COUNTED = {"requests_total": 1000.0, "sales_total": 100.0, "errors_total": 10.0}


def declaration(**metrics: Mapping[str, Any]) -> ExperimentDeclaration:
    return ExperimentDeclaration.model_validate(
        {
            "start": START,
            "arms": {"control": 1, "treatment": 1},
            "baseline": "control",
            "batch": "10m",
            "metrics": {"sold": SOLD, **metrics},
        }
    )


def judged(declared: ExperimentDeclaration, batches: Iterable[Mapping[Counter, float]]) -> Judgement:
    evidence, history = ExperimentEvidence(declared), BatchHistory(START, STEP)
    for increments in batches:
        evidence.add(history.end, history.end + STEP, increments)
        history.append(increments)
    return evidence.judge(history)


def counted(without: str = "", batches: int = 200, **other: float) -> list[dict[Counter, float]]:
    amounts = {what: amount for what, amount in {**COUNTED, **other}.items() if what != without}
    one = {Counter(what, arm): amount for arm in ("control", "treatment") for what, amount in amounts.items()}
    return [one] * batches


def test_with_all_counters_there_is_a_decision() -> None:
    assert judged(declaration(failed=FAILED), counted()).decision is Decision.NO_DIFFERENCE


@pytest.mark.parametrize(("missing", "metric"), [("errors_total", "failed"), ("sales_total", "sold")])
def test_a_numerator_that_nobody_counts_is_no_zero(missing: str, metric: str) -> None:
    found = judged(declaration(failed=FAILED), counted(without=missing))
    said = f"{metric}: no series of {missing} in any arm"
    role = declaration(failed=FAILED).metrics[metric].role
    assert (found.decision, found.reason) == (Decision.NO_DATA, f"{said}: it cannot be decided without this {role}")
    assert said in found.caveats
    standings = [each for each in found.standings if each.metric == metric]
    assert {(each.value, each.breached, each.lift) for each in standings} == {(None, None, None)}


REFUNDS = {
    "kind": "rate",
    "numerator": "refunds_total",
    "denominator": "orders_total",
    "direction": "down",
    "role": "guardrail",
    "margin": 0.5,
}


def winning(batches: int, **other: float) -> list[dict[Counter, float]]:
    return [each | {Counter("sales_total", "treatment"): 150.0} for each in counted("", batches, **other)]


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        (
            143,
            (
                Decision.COLLECTING,
                None,
                "treatment is better by sold; its guardrails are still open: "
                "refunds (nothing was counted of treatment); guardrail refunds: nothing was counted in any arm so far; "
                "it has until 2025-11-04 00:10 UTC",
            ),
        ),
        (
            145,
            (
                Decision.NO_DATA,
                None,
                "refunds: nothing was ever counted in any arm, though they have traffic: "
                "it cannot be decided without this guardrail",
            ),
        ),
    ],
)
def test_a_winner_waits_for_a_guardrail_without_data_for_a_day_and_then_says_so(
    batches: int, expected: tuple[Decision, bool | None, str]
) -> None:
    found = judged(declaration(failed=FAILED, refunds=REFUNDS), winning(batches))
    assert (found.decision, found.proceeds, found.reason) == expected
    assert {each.breached for each in found.standings if each.metric == "refunds"} == {None}
    # Once, in the words of the decision.
    assert len([caveat for caveat in found.caveats if caveat.startswith("refunds")]) == 1


def test_a_guardrail_that_only_one_arm_counts_has_no_data() -> None:
    batches = winning(145)
    for each in batches:
        each |= {Counter("orders_total", "control"): 10.0, Counter("refunds_total", "control"): 1.0}
    found = judged(declaration(refunds=REFUNDS), batches)
    assert found.decision is Decision.NO_DATA
    assert found.reason.startswith("refunds: nothing was ever counted of treatment, though it has traffic")


def test_a_guardrail_that_is_counted_no_longer_does_not_hold_for_ever() -> None:
    """Its last batch begins at 2:00 and ends at 2:10; what stops for a day has stopped."""
    refunds = {"orders_total": 1000.0, "refunds_total": 300.0}
    before = winning(133, **refunds)
    wide = declaration(refunds={**REFUNDS, "margin": 2.0})
    assert judged(wide, [*before, *winning(143)]).decision is Decision.BETTER
    found = judged(wide, [*before, *winning(144)])
    assert (found.decision, found.reason) == (
        Decision.NO_DATA,
        "refunds: nothing was counted of control since 2025-11-03 22:10 UTC, though it has traffic: "
        "it cannot be decided without this guardrail",
    )


def test_a_goal_that_is_decided_stays_so_when_it_is_counted_no_longer() -> None:
    only = declaration(visits={**SOLD, "numerator": "leads_total", "denominator": "visits_total", "role": "shown"})
    silent = [
        {key: value for key, value in each.items() if key.what == "requests_total"}
        | {Counter("visits_total", arm): 9.0}
        for each in winning(200)
        for arm in ("control", "treatment")
    ]
    assert judged(only, [*winning(100), *silent]).decision is Decision.BETTER


def test_what_is_counted_seldom_is_not_missed_soon() -> None:
    """A refund is possible only for one order in three days: two days without any are nothing."""
    rare = [
        each | ({Counter("orders_total", a): 1.0 for a in ("control", "treatment")} if i % 432 == 5 else {})
        for i, each in enumerate(winning(1200, refunds_total=0.0))
    ]
    found = judged(declaration(refunds=REFUNDS), rare)
    assert found.decision is Decision.COLLECTING


def test_an_arm_that_is_worse_is_said_to_be_though_a_guardrail_has_no_data() -> None:
    batches = [each | {Counter("sales_total", "treatment"): 50.0} for each in counted(batches=200)]
    assert judged(declaration(refunds=REFUNDS), batches).decision is Decision.WORSE


def test_how_long_a_metric_may_have_no_data_is_declared_or_follows_from_the_plan() -> None:
    plain = declaration()
    assert plain.patience == 86_400
    assert plain.model_copy(update={"end": plain.start + timedelta(hours=8)}).patience == 7200
    assert plain.model_copy(update={"data_within": 60.0}).patience == 60


@pytest.mark.parametrize(
    ("margin", "batches", "decision"),
    [
        # Of 143,000 requests none failed: fewer than one in 40,000 do.
        ({"absolute_margin": 0.0001}, 143, Decision.BETTER),
        ({"absolute_margin": 0.0001}, 25, Decision.COLLECTING),
        ({"margin": 0.5}, 143, Decision.COLLECTING),
    ],
)
def test_a_guardrail_that_never_had_an_event_holds_by_an_absolute_margin(
    margin: dict[str, float], batches: int, decision: Decision
) -> None:
    failed = {**FAILED, "margin": 0.0, **margin}
    found = judged(declaration(failed=failed), winning(batches, errors_total=0.0))
    # Nothing speaks against going on.
    assert (found.decision, found.proceeds) == (decision, True)
    if "margin" in margin:
        assert found.reason == (
            "treatment is better by sold; its guardrails are still open: failed (no event so far in either arm, and a "
            "margin is no share of nothing: give `absolute_margin`)"
        )


@pytest.mark.parametrize(("errors", "decision"), [(11.0, Decision.BETTER), (60.0, Decision.GUARDRAIL_BREACHED)])
def test_an_absolute_margin_is_in_the_metrics_unit(errors: float, decision: Decision) -> None:
    """Of 1,000 requests 10 fail at the baseline; five times as many are no breach of two points, 50 more are."""
    failed = {**FAILED, "margin": 0.0, "absolute_margin": 0.02}
    batches = [each | {Counter("errors_total", "treatment"): errors} for each in winning(143)]
    assert judged(declaration(failed=failed), batches).decision is decision


def test_a_breach_is_said_though_another_metric_is_not_counted() -> None:
    batches = counted(without="sales_total")
    for each in batches[:1]:
        each[Counter("errors_total", "treatment")] = 100.0
    assert judged(declaration(failed=FAILED), batches).decision is Decision.GUARDRAIL_BREACHED


def test_what_is_only_shown_decides_nothing_where_it_is_missing() -> None:
    shown = {**FAILED, "role": "shown", "margin": 0.0}
    found = judged(declaration(failed=shown), counted(without="errors_total"))
    assert found.decision is Decision.NO_DIFFERENCE
    assert found.caveats == ("failed: no series of errors_total in any arm",)


def test_an_outcome_that_never_came_counts_as_zero_and_is_named() -> None:
    failed = {**FAILED, "numerator": 'requests_total{code="500"}'}
    found = judged(declaration(failed=failed), counted(without="errors_total"))
    assert found.decision is not Decision.NO_DATA
    assert 'failed: no series of requests_total{code="500"} so far, which counts as 0' in found.caveats


@pytest.mark.parametrize("squares", [None, 0.0, 1.0])
def test_squares_that_nobody_counts_do_not_say_that_nothing_varies(squares: float | None) -> None:
    """Means of 0.5 and 0.51 in twenty batches each: with a variance of 0 the smallest difference would be certain."""
    batches = []
    for batch in range(20):
        one: dict[Counter, float] = {}
        for arm, mean in (("control", 0.5), ("treatment", 0.51)):
            swing = 0.1 if batch % 2 else -0.1
            one |= {Counter("requests_total", arm): 1000.0, Counter("sales_total", arm): 100.0}
            one |= {Counter("seconds_count", arm): 1000.0, Counter("seconds_sum", arm): 1000 * (mean + swing)}
            if squares is not None:
                one[Counter("seconds_squares", arm)] = squares
        # Batches differ in either direction.
        one[Counter("seconds_sum", "treatment")] += 100.0 if batch % 4 < 2 else -100.0
        batches.append(one)
    found = judged(declaration(latency={**LATENCY, "role": "goal"}), batches)
    (standing,) = (each for each in found.standings if each.metric == "latency" and each.arm == "treatment")
    assert standing.lower is None or standing.lower < 0 < (standing.upper or 0)


def test_a_history_whose_first_days_are_forgotten_says_so() -> None:
    silent: list[dict[Counter, float]] = [{}] * 144
    expected = ("start: nothing was counted on the first day; `cache` keeps what Prometheus forgets",)
    assert judged(declaration(), [*silent, *counted(without="errors_total")]).caveats == expected
    assert judged(declaration(), [*silent[1:], *counted(without="errors_total")]).caveats == ()


def test_rows_of_sql_that_begin_late_are_said_to_without_advice_on_prometheus() -> None:
    declared = ExperimentDeclaration.model_validate(
        {
            **declaration().model_dump(mode="json", exclude={"metrics"}, exclude_defaults=True),
            "metrics": {"sold": {"kind": "proportion", "query": "select 1"}},
        }
    )
    row = {Counter(f"sold {what}", arm): 9.0 for what in ("trials", "sum") for arm in ("control", "treatment")}
    silent: list[dict[Counter, float]] = [{}] * 144
    assert judged(declared, [*silent, row]).caveats[-2:] == (
        "start: nothing was counted on the first day",
        "split: nothing was exposed",
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            '{"status": "success", "warnings": ["remote_read: no route to host"], "data": {"result": []}}',
            "the answer is not complete: remote_read: no route to host",
        ),
        ('{"status": "success", "warnings": 1, "data": {"result": []}}', "the answer is none of Prometheus's"),
        (
            '{"status": "success", "data": {"result": [{"metric": {"__name__": "x"}, "histograms": [[1, {}]]}]}}',
            "x is a native histogram",
        ),
        (
            '{"status": "success", "data": {"result": [{"metric": {}, "values": [[1, "many"]]}]}}',
            "none of Prometheus's",
        ),
        ('{"status": "success", "data": {"result": [{"metric": [], "values": []}]}}', "none of Prometheus's"),
        ('{"status": "success", "data": {"result": 7}}', "none of Prometheus's"),
        ('{"status": "success", "data": null}', "none of Prometheus's"),
    ],
)
def test_an_answer_that_lacks_a_part_is_an_error(answer: str, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        _ask(answer)


def test_numbers_that_are_none_and_remarks_are_no_samples_and_no_errors() -> None:
    values = '[[1, "NaN"], [2, "+Inf"], [3, "7"], [4, "-Inf"]]'
    remark = '"warnings": ["PromQL info: metric might not be a counter"]'
    answer = f'{{"status": "success", {remark}, "data": {{"result": [{{"metric": {{}}, "values": {values}}}]}}}}'
    assert _ask(answer) == [({}, [(3.0, 7.0)])]


@pytest.mark.parametrize("status", [400, 422, 503])
def test_a_query_that_is_refused_is_said_in_the_servers_words(status: int) -> None:
    answer = '{"status": "error", "errorType": "execution", "error": "query processing would load too many samples"}'
    with pytest.raises(ExperimentError, match=rf": {status}: query processing would load too many samples$"):
        _ask(answer, status)


def _ask(answer: str, status: int = 200) -> Any:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            api = PrometheusApi(f"http://127.0.0.1:{server.server_port}")
            api.begin(60.0)
            return api.range("x", 0, 1, 1)
        finally:
            server.shutdown()
