"""The source `experiments`, on a real Prometheus with samples of the past."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg2
import pytest
from pydantic import ValidationError

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.experiments import ExperimentsSettings, ExperimentsSource
from ml_monitoring.exporter.sources.experiments.evidence import ExperimentEvidence
from ml_monitoring.exporter.sources.experiments.gate import GateAnswer
from ml_monitoring.exporter.sources.experiments.history import BatchHistory, Counter
from ml_monitoring.exporter.sources.experiments.judgement import Decision
from ml_monitoring.exporter.sources.experiments.survey import survey
from tests.support.experiment_series import GUARDED, START
from tests.support.fleet_files import messages
from tools.processes import free_port

GOLDEN = Path(__file__).parents[2] / "golden" / "experiments.txt"
SUCCESS = GUARDED["success"]
ERRORS = GUARDED["errors"]
LATE_BEGINS = {"control": 1, "treatment": 1, "late": 1}
# Four hours of samples, and what it takes until the last batch is read.
NOW = START + 4 * 3600 + 60.0


def declared(service: str, **other: Any) -> dict[str, Any]:
    return {
        "start": START,
        "arms": {"control": 1, "treatment": 1},
        "baseline": "control",
        "selector": {"service": service},
        "batch": "10m",
        "metrics": {"success": SUCCESS, "errors": ERRORS},
        **other,
    }


WINNER = declared(
    "winner",
    title="Does it sell more?",
    team="growth",
    link="https://wiki.example.org/winner",
    end=START + 7 * 86400,
    metrics={"success": {**SUCCESS, "value": 2.5}, "errors": ERRORS},
)


def settings(**other: Any) -> ExperimentsSettings:
    return ExperimentsSettings.model_validate(other)


def source(clock: Callable[[], float] = lambda: NOW, **other: Any) -> ExperimentsSource:
    return ExperimentsSource(settings(**other), clock)


def exposed(families: FamilySet, name: str) -> dict[tuple[str, ...], object]:
    """Return the samples of a family by the values of their labels, in the declared order."""
    return dict(families[f"ml_monitoring_experiment_{name}"].samples)


def decision(source: ExperimentsSource, name: str) -> tuple[str, str]:
    gate = source.gate(name)
    assert gate is not None
    return gate.decision, gate.answer


def test_what_is_exposed_of_an_experiment(experiments_url: str) -> None:
    text = render_text(source(url=experiments_url, declared={"winner": WINNER}).collect()).decode()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_each_experiment_is_decided_by_its_own_counts(experiments_url: str) -> None:
    names = ("winner", "harmful", "null", "split")
    each = source(url=experiments_url, declared={name: declared(name) for name in names})
    families = each.collect()
    assert families.problems == []
    assert {name: decision(each, name) for name in names} == {
        "winner": (Decision.BETTER, GateAnswer.GO_ON),
        "harmful": (Decision.GUARDRAIL_BREACHED, GateAnswer.STOP),
        "null": (Decision.NO_DIFFERENCE, GateAnswer.GO_ON),
        "split": (Decision.INVALID, GateAnswer.STOP),
    }


def test_an_experiment_that_cannot_be_read_touches_no_other(experiments_url: str) -> None:
    broken = {"kind": "proportion", "numerator": 'successes_total{a=~"("}', "denominator": "requests_total"}
    each = source(
        url=experiments_url, declared={"broken": declared("null", metrics={"x": broken}), "winner": declared("winner")}
    )
    families = each.collect()
    assert exposed(families, "up") == {("broken",): 0, ("winner",): 1}
    assert [message.partition(":")[0] for message in messages(families)] == ["broken"]
    assert decision(each, "broken") == (Decision.UNKNOWN, GateAnswer.UNKNOWN)
    assert decision(each, "winner") == (Decision.BETTER, GateAnswer.GO_ON)


def test_nothing_is_asked_where_no_batch_is_new(experiments_url: str) -> None:
    now = NOW
    each = source(lambda: now, url=experiments_url, declared={"winner": declared("winner")})
    families = each.collect()
    now += 500
    each._stores.api._url = f"http://127.0.0.1:{free_port()}"  # type: ignore[union-attr]  # gone
    assert each.collect() is families
    now += 100
    with pytest.raises(SourceError) as caught:
        each.collect()
    assert caught.value.reason is Reason.CONNECT


def test_what_is_too_old_is_not_known_any_more(experiments_url: str) -> None:
    now = NOW
    each = source(lambda: now, url=experiments_url, declared={"winner": declared("winner")})
    each.collect()
    now += 600 + 150 + 1
    assert decision(each, "winner") == (Decision.UNKNOWN, GateAnswer.UNKNOWN)


def test_an_experiment_without_traffic_may_not_go_on(experiments_url: str) -> None:
    each = source(url=experiments_url, declared={"idle": declared("nobody")})
    each.collect()
    assert decision(each, "idle") == (Decision.NO_DATA, GateAnswer.UNKNOWN)


def test_an_experiment_that_has_not_begun_is_planned(experiments_url: str) -> None:
    each = source(url=experiments_url, declared={"next": declared("winner", start=NOW + 60)})
    assert exposed(each.collect(), "decision_info") == {("next", "planned", "", "it has not begun"): 1}
    assert decision(each, "next") == (Decision.PLANNED, GateAnswer.UNKNOWN)


def test_nothing_is_read_after_an_experiment_was_stopped(experiments_url: str) -> None:
    each = source(url=experiments_url, declared={"winner": declared("winner", stopped=START + 3600)})
    families = each.collect()
    assert exposed(families, "running") == {("winner",): 0}
    # The batch in which it was stopped counts.
    assert each.tracked["winner"].history.end == START + 4200


def test_users_that_are_randomised_and_not_counted_are_named(experiments_url: str) -> None:
    each = source(url=experiments_url, declared={"users": declared("winner", unit="user")})
    each.collect()
    gate = each.gate("users")
    assert gate is not None
    assert (gate.decision, gate.answer) == (Decision.UNANSWERABLE, GateAnswer.UNKNOWN)
    assert "add `unit=` to the recorder" in gate.reason


def test_cells_that_only_the_numerator_has_are_not_taken_for_users() -> None:
    declaration = settings(url="http://prometheus:9090", declared={"a": declared("a", unit="user")}).declared["a"]
    evidence = ExperimentEvidence(declaration)
    for batch in range(100):
        increments = {Counter("requests_total", arm): 100.0 for arm in declaration.arms}
        for cell in range(32):
            increments |= {Counter("successes_total", arm, str(cell)): float(batch % 3) for arm in declaration.arms}
        evidence.add(START + 600.0 * batch, START + 600.0 * (batch + 1), increments)
    history = BatchHistory(START, 600.0, 100, {("requests_total", arm): 10_000.0 for arm in declaration.arms})
    assert evidence.judge(history).decision is Decision.UNANSWERABLE


def test_files_of_a_folder_are_taken_when_they_change(experiments_url: str, tmp_path: Path) -> None:
    each = source(url=experiments_url, files=str(tmp_path), declared={"own": declared("null")})
    (tmp_path / "one.yml").write_text(json.dumps({"a": declared("winner")}), encoding="utf-8")
    (tmp_path / "two.yml").write_text(json.dumps({"b": declared("null")}), encoding="utf-8")
    each.collect()
    assert sorted(each.tracked) == ["a", "b", "own"]
    kept = each.tracked["a"]
    (tmp_path / "two.yml").write_text("b: {start: yesterday}\nc: {}\n", encoding="utf-8")
    families = each.collect()
    # What was usable before goes on; the other file is not even read again.
    assert sorted(each.tracked) == ["a", "b", "own"]
    assert each.tracked["a"] is kept
    assert [message for message in messages(families) if "one.yml" in message] == []
    assert f"{tmp_path}/two.yml:2: c.arms: is missing" in messages(families)
    (tmp_path / "two.yml").write_text(json.dumps({"own": declared("null")}), encoding="utf-8")
    assert messages(each.collect()) == [f"{tmp_path}: own: is declared in the settings too; those count"]
    assert sorted(each.tracked) == ["a", "own"]


def test_rows_of_sqlite_are_counted_by_batch(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table sales (arm text, sold_at text, n integer, sold integer)")
        connection.executemany(
            "insert into sales values (?, datetime(?, 'unixepoch'), ?, ?)",
            [
                (arm, START + 60 * minute, 100, 10 if arm == "control" else 20)
                for minute in range(-10, 100)
                for arm in ("control", "treatment", "of another one")
            ],
        )
    _read_rows(f"sqlite:///{path}")


def test_rows_of_postgresql_are_counted_by_batch(postgres_database: str) -> None:
    with closing(psycopg2.connect(postgres_database)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "create table sales as select arm, to_timestamp(%s + 60 * minute) as sold_at, 100 as n, "
            "case arm when 'control' then 10 else 20 end as sold "
            "from generate_series(-10, 99) minute, unnest(array['control', 'treatment', 'of another one']) arm",
            (START,),
        )
    _read_rows(postgres_database)


def _read_rows(database: str) -> None:
    now = START + 1800.0
    query = "select arm, sold_at, n, sold from sales where sold_at >= %(since)s and sold_at < %(until)s"
    declaration = declared("", selector={}, metrics={"sold": {"kind": "proportion", "query": query}})
    each = source(lambda: now, database=database, late="1m", declared={"sales": declaration})
    each.collect()
    # Two batches are over, the third may still get rows.
    assert each.tracked["sales"].history.totals == {
        ("sold trials", "control"): 2000,
        ("sold sum", "control"): 200,
        ("sold trials", "treatment"): 2000,
        ("sold sum", "treatment"): 400,
    }
    now = START + 6000.0 + 60
    each.collect()
    assert each.tracked["sales"].history.total("sold trials", "control") == 10_000
    assert decision(each, "sales") == (Decision.BETTER, GateAnswer.GO_ON)


def test_experiments_name_the_database_that_they_read(tmp_path: Path) -> None:
    for name, sold in (("shop", 10), ("warehouse", 20)):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection, connection:
            connection.execute("create table sales as select 100 as n, ? as sold", (sold,))
    query = f'select a.value, {START}, n, sold from sales, json_each(\'["control", "treatment"]\') a'
    metrics = {"sold": {"kind": "proportion", "query": query}}
    given = {"shop": {}, "warehouse": {"database": "warehouse"}, "gone": {"database": "gone"}}
    now = START + 700.0
    each = source(
        lambda: now,
        database=f"sqlite:///{tmp_path / 'shop.db'}",
        databases={name: {"uri": f"sqlite:///{tmp_path / name}.db"} for name in ("warehouse", "gone")},
        late="1m",
        declared={name: declared("", selector={}, metrics=metrics, **other) for name, other in given.items()},
    )
    families = each.collect()
    assert exposed(families, "up") == {("shop",): 1, ("warehouse",): 1, ("gone",): 0}
    found = {name: tracked.history.total("sold sum", "control") for name, tracked in each.tracked.items()}
    assert found == {"shop": 10, "warehouse": 20, "gone": 0}
    # Nobody waits for a store that does not answer: it is tried again later.
    assert [name for name, tracked in each.tracked.items() if tracked.due(each.stores, now)] == []
    with pytest.raises(SourceError, match=r"^databases\.gone: "):
        each.check()


def test_shares_that_are_declared_to_change_are_no_mismatch(experiments_url: str) -> None:
    change = {"at": START + 2 * 3600 + 300, "arms": {"control": 1, "treatment": 3}}
    found = {}
    for name, excess in (("as declared", 0.0), ("otherwise", 0.06)):
        given = declared("a", changes=[change])
        declaration = settings(url="http://prometheus:9090", declared={"a": given}).declared["a"]
        each, history = ExperimentEvidence(declaration), BatchHistory(START, 600.0)
        rng = random.Random(1)
        for batch in range(24):
            share = 0.5 if batch < 12 else 0.75
            # Half of the batch in which it changes.
            share = 0.625 if batch == 12 else share
            treatment = sum(rng.random() < share + excess for _ in range(1000))
            counts = {"control": 1000 - treatment, "treatment": treatment}
            increments = {Counter("requests_total", arm): float(count) for arm, count in counts.items()}
            for what, part in (("successes_total", 0.1), ("errors_total", 0.01)):
                increments |= {Counter(what, arm): part * count for arm, count in counts.items()}
            each.add(START + 600.0 * batch, START + 600.0 * (batch + 1), increments)
            history.append(increments)
        found[name] = each.judge(history)
    assert found["otherwise"].decision is Decision.INVALID
    judged = found["as declared"]
    assert judged.decision is Decision.NO_DIFFERENCE
    assert judged.split_p_value is not None
    assert judged.split_p_value > 0.05
    # The batch in which they change is left out, and what is intended is that of the same exposures.
    assert judged.intended == pytest.approx({"control": (12 * 0.5 + 11 * 0.25) / 23, "treatment": (6 + 11 * 0.75) / 23})


def test_a_change_of_shares_is_exposed_when_it_comes() -> None:
    change = {"at": START + 600, "arms": {"control": 1, "treatment": 3}}
    now = START + 599.0
    each = source(
        lambda: now,
        url=f"http://127.0.0.1:{free_port()}",
        settle="1h",
        declared={"a": declared("a", changes=[change]), "b": declared("b")},
    )
    each.declare()
    found = []
    for now in (START + 599.0, START + 600.0):
        families = each._build(now)
        shares = exposed(families, "intended_share_ratio")
        found.append((exposed(families, "share_change_timestamp_seconds"), shares["a", "treatment"]))
    assert found == [({("a",): START}, 0.5), ({("a",): START + 600.0}, 0.75)]


def test_an_arm_that_is_to_begin_later_is_not_missed_before() -> None:
    later = declared(
        "a", arms={"control": 1, "treatment": 1, "late": 0}, changes=[{"at": START + 1200, "arms": LATE_BEGINS}]
    )
    declaration = settings(url="http://prometheus:9090", declared={"a": later}).declared["a"]
    each, history = ExperimentEvidence(declaration), BatchHistory(START, 600.0)
    decisions = []
    for batch in range(4):
        counts = {"requests_total": 100.0, "successes_total": 10.0, "errors_total": 1.0}
        increments = {Counter(what, arm): count for what, count in counts.items() for arm in ("control", "treatment")}
        each.add(START + 600.0 * batch, START + 600.0 * (batch + 1), increments)
        history.append(increments)
        judged = each.judge(history)
        decisions.append((judged.decision, judged.reason))
    # A batch after it should have begun it is.
    assert [decision for decision, _reason in decisions[:2]] == [Decision.COLLECTING, Decision.NO_DATA]
    assert decisions[2:] == [(Decision.NO_DATA, "nothing was exposed to late")] * 2


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"effect": 3}, "effect 3 is 300% of the baseline: write 0.03 for 3 %"),
        (
            {"role": "guardrail", "direction": "down", "margin": 10},
            "margin 10 is 1000% of the baseline: write 0.1 for 10 %",
        ),
    ],
)
def test_shares_that_are_rather_percentages_are_noted(metric: dict[str, Any], said: str) -> None:
    declaration = declared("a", metrics={"goal": SUCCESS, "x": {**SUCCESS, **metric}})
    each = settings(url="http://prometheus:9090", declared={"a": declaration}).declared["a"]
    (note,) = each.notes
    assert note == f"metrics.x.{said}"


def test_a_change_of_shares_shows_in_the_check() -> None:
    shares = declared("a", changes=[{"at": START + 86_400, "arms": {"control": 1, "treatment": 3}}])
    each = source(url=f"http://127.0.0.1:{free_port()}", declared={"a": shares})
    each.declare()
    outline = next(survey("a", each.tracked["a"].declaration, each.stores, NOW)).message
    began = datetime.fromtimestamp(START, UTC)
    assert outline == (
        f"runs since {began:%Y-%m-%d %H:%M} UTC; control 50%, treatment 50%; "
        f"from {began + timedelta(days=1):%Y-%m-%d %H:%M} on control 25%, treatment 75%; batches of 10m"
    )


@pytest.mark.parametrize(
    ("select", "problem"),
    [
        ("select 'control', 0, 1", "metrics.sold.query gives 3 columns"),
        ("select 'control', 'noon', 1, 1", "metrics.sold.query, row 1: 'noon' is no time"),
        ("select 'control', null, 1, 1", "metrics.sold.query, row 1: NULL is no time"),
        ("select 'control', 0, 1, 2", "metrics.sold.query, row 1: more successes than trials"),
        ("select 'control', 0, 1, 1 union all select 'control', 1, -1, 0", "row 2: a count below 0"),
        ("select 'control', 0, 'many', 0", "metrics.sold.query, row 1: trials is 'many', no number"),
        ("select 'control', 0, 1, 'nan'", "metrics.sold.query, row 1: sum is 'nan', no number"),
        ("select 'control', 0, 1e999, 0", "metrics.sold.query, row 1: trials is inf, no number"),
        (
            "select 'control', 0, 1, null",
            "metrics.sold.query, row 1: sum is NULL; where that means nothing, write coalesce(..., 0)",
        ),
        ("select 'control', 0, null, 1", "metrics.sold.query, row 1: trials is NULL; "),
        ("select 1, 2, 3, 4 from nowhere", "no such table: nowhere"),
    ],
)
def test_rows_that_cannot_be_counted_are_the_experiments_error(select: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.db"
    sqlite3.connect(path).close()
    declaration = declared("", selector={}, metrics={"sold": {"kind": "proportion", "query": select}})
    families = source(database=f"sqlite:///{path}", declared={"sales": declaration}).collect()
    assert len(families.problems) == 1
    assert families.problems[0].message.startswith("sales: ")
    assert problem in families.problems[0].message


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ('{"status": "success", "isPartial": true, "data": {"result": []}}', "the answer is not complete"),
        ('{"status": "success", "data": {}}', "the answer is none of Prometheus's"),
        ('{"status": "success", "data": {"result": [{"metric": {}, "values": [[1]]}]}}', "none of Prometheus's"),
        ('{"status": "error"}', "the answer is none of Prometheus's"),
        ("[]", "the answer is none of Prometheus's"),
        ("<html>", "does not answer in JSON"),
    ],
)
def test_an_answer_that_is_not_whole_is_not_used(answer: str, problem: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        each = source(
            url=f"http://somebody:hidden@127.0.0.1:{server.server_port}", declared={"winner": declared("winner")}
        )
        families = each.collect()
        server.shutdown()
    assert problem in messages(families)[0]
    assert "hidden" not in messages(families)[0]
    assert each.tracked["winner"].history.batches == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"baseline": "nobody"}, "'nobody' is none of the arms control, treatment"),
        ({"end": START - 1}, "end: not after start"),
        ({"selector": {"variant": "x"}}, "variant tells arms or cells"),
        ({"metrics": {"x": {**SUCCESS, "numerator": "rate(x[5m])"}}}, "not a selector of counters"),
        ({"metrics": {"x": {**SUCCESS, "role": "guardrail"}}}, "at least one must have the role goal"),
        ({"metrics": {"x": {"kind": "mean", "sum": "x"}}}, "a mean needs count, or a query"),
        ({"metrics": {"x": {**SUCCESS, "squares": "x"}}}, "a proportion has no squares"),
        ({"metrics": {"x": {**SUCCESS, "margin": 0.1}}}, "margin: only a guardrail has one"),
        (
            {"metrics": {"x": SUCCESS, "y": {**SUCCESS, "role": "guardrail", "margin": 10}}},
            "margin: must be at most 1: write 0.1 for 10 %",
        ),
        (
            {"metrics": {"x": {**SUCCESS, "direction": "down", "effect": 3}}},
            "effect: must be at most 1: write 0.03 for 3 %",
        ),
        (
            {"selector": {}, "metrics": {"x": {"kind": "mean", "query": "select 1"}}},
            "needs sources.experiments.database",
        ),
        ({"arms": {"control": 1}}, "at least 2 items"),
        ({"arms": {"control": 1, "treatment": 0}}, "arms: 'treatment' has no share at any time"),
        ({"changes": [{"at": START, "arms": {"control": 1, "treatment": 2}}]}, "changes.0.at: not after start"),
        (
            {"changes": [{"at": START + at, "arms": {"control": 1, "treatment": 2}} for at in (60, 60)]},
            "changes.1.at: not after the change before",
        ),
        ({"changes": [{"at": START + 1, "arms": {"control": 1, "x": 2}}]}, "'treatment' is missing; give all arms"),
        ({"changes": [{"at": START + 1, "arms": {"control": 0, "treatment": 0}}]}, "all shares are 0 at a time"),
        (
            {"allocation": "changing", "changes": [{"at": START + 1, "arms": {"control": 1, "treatment": 2}}]},
            "allocation says that nobody knows",
        ),
        ({"database": "warehouse"}, "database: is for queries"),
        (
            {"selector": {}, "database": "x", "metrics": {"sold": {"kind": "rate", "query": "select 1"}}},
            "database: 'x' is not in sources.experiments.databases",
        ),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        settings(url="http://prometheus:9090", declared={"a": declared("a", **change)})


def test_a_time_without_a_zone_is_in_utc() -> None:
    given = declared("a", start="2026-03-01T12:00:00", end="2026-03-02T12:00:00+01:00")
    found = settings(url="http://prometheus:9090", declared={"a": given}).declared["a"]
    assert (found.start.isoformat(), found.end and found.end.isoformat()) == (
        "2026-03-01T12:00:00+00:00",
        "2026-03-02T11:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("selector", "narrowed"),
    [
        ("requests_total", 'requests_total{service="a.b",variant=~"control|treat\\\\.ment"}'),
        (' x { code =~ "5.." , y!="}" } ', 'x{code=~"5..",y!="}",service="a.b",variant=~"control|treat\\\\.ment"}'),
        ("{__name__='x'}", '{__name__=\'x\',service="a.b",variant=~"control|treat\\\\.ment"}'),
    ],
)
def test_selectors_are_narrowed_to_the_experiment(selector: str, narrowed: str) -> None:
    given = declared("a.b", arms={"control": 1, "treat.ment": 1}, metrics={"x": {**SUCCESS, "numerator": selector}})
    found = settings(url="http://prometheus:9090", declared={"a": given}).declared["a"]
    numerator = found.metrics["x"].numerator
    assert numerator is not None
    assert found.narrowed(numerator) == narrowed
