"""Declarations and data that cannot be meant: each is named, by its own experiment, and nothing else is lost."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.experiments import ExperimentsSettings, ExperimentsSource
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration
from ml_monitoring.exporter.sources.experiments.evidence import ExperimentEvidence
from ml_monitoring.exporter.sources.experiments.history import BatchHistory, Counter
from ml_monitoring.exporter.sources.experiments.judgement import Decision
from ml_monitoring.exporter.sources.experiments.survey import survey
from tests.support.experiment_series import START
from tests.support.fleet_files import messages
from tools.backfilled_prometheus import backfilled_prometheus

NOW = START + 2 * 3600 + 60.0
# What a label may hold.
ODD = ('con"trol', "a\nb", "é\\ü{}|日本", "it's")


def _samples() -> Iterator[tuple[str, str, Callable[[int], float]]]:
    """Yield a name, labels, and the value after so many half minutes of each series."""
    for arm in ODD:
        escaped = arm.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        yield "odd_total", f'variant="{escaped}"', lambda step: 20.0 * step
        yield "odd_sold_total", f'variant="{escaped}"', lambda step: 2.0 * step
    rng = random.Random(1)
    lengths = [float(rng.randint(0, 20)) for _step in range(1000)]
    for arm in ("control", "treatment", "blue"):
        yield "requests_total", f'variant="{arm}"', lambda step: 20.0 * step
        yield "sold_total", f'variant="{arm}"', lambda step: 2.0 * step
        for le in ("0.1", "0.5", "+Inf"):
            yield "seconds_bucket", f'variant="{arm}",le="{le}"', lambda step: 10.0 * step
        yield "queue_length", f'variant="{arm}"', lambda step: lengths[step]
        yield "enormous_total", f'variant="{arm}"', lambda step: 1e300 * step


@pytest.fixture(scope="module")
def url(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lines = [
        f'{name}{{instance="a",{labels}}} {value(step)!r} {START - 600 + 30 * step}'
        for name, labels, value in sorted(_samples(), key=lambda each: each[0])
        for step in range(261)
    ]
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("hostile"), lines) as url:
        yield url


def proportion(numerator: str, denominator: str = "requests_total", **other: Any) -> dict[str, Any]:
    return {"kind": "proportion", "numerator": numerator, "denominator": denominator, **other}


def declared(metric: dict[str, Any], arms: tuple[str, ...] = ("control", "treatment"), **other: Any) -> dict[str, Any]:
    return {
        "start": START,
        "arms": dict.fromkeys(arms, 1),
        "baseline": arms[0],
        "batch": "10m",
        "metrics": {"sold": metric},
        **other,
    }


FINE = declared(proportion("sold_total"))


def read(now: float = NOW, **settings: Any) -> tuple[ExperimentsSource, FamilySet]:
    source = ExperimentsSource(ExperimentsSettings.model_validate(settings), lambda: now)
    return source, source.collect()


def decision(source: ExperimentsSource, name: str) -> tuple[str, str]:
    gate = source.gate(name)
    assert gate is not None
    return gate.decision, gate.reason


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        (
            proportion("queue_length"),
            "queue_length falls again and again, which no counter does "
            "(is it a gauge, or does it add up amounts below 0? name a counter)",
        ),
        (
            {"kind": "mean", "sum": "enormous_total", "count": "requests_total"},
            "enormous_total of control: 2e+301 in one batch cannot be counted",
        ),
        (
            proportion("sold_total", 'requests_total{a=~"("}'),
            'requests_total{a=~"(",variant=~"control|treatment"}: http://127.0.0.1:',
        ),
    ],
)
def test_what_cannot_be_counted_is_named_by_its_series_and_touches_no_other(
    url: str, metric: dict[str, Any], problem: str
) -> None:
    source, families = read(url=url, declared={"odd": declared(metric), "fine": FINE})
    (message,) = messages(families)
    assert message.startswith(f"odd: {problem}")
    assert decision(source, "odd")[0] == Decision.UNKNOWN
    assert decision(source, "fine")[0] == Decision.COLLECTING


def test_what_one_experiment_cannot_be_judged_for_touches_no_other(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ExperimentsSource(
        ExperimentsSettings.model_validate({"url": url, "declared": {"odd": FINE, "fine": FINE}}), lambda: NOW
    )
    source.declare()

    def overflow(history: object) -> None:
        raise OverflowError("math range error")

    monkeypatch.setattr(source.tracked["odd"].evidence, "judge", overflow)
    assert messages(source.collect()) == ["odd: its counts cannot be judged: math range error"]
    assert decision(source, "odd")[0] == Decision.UNKNOWN
    assert decision(source, "fine")[0] == Decision.COLLECTING


@pytest.mark.parametrize("seed", range(5))
def test_no_counts_break_the_judgement(seed: int) -> None:
    """Sums of every size, some below 0, with and without cells and processes."""
    rng = random.Random(seed)
    sizes = (
        lambda: 0.0,
        lambda: float(rng.randint(0, 5)),
        lambda: 10 ** rng.uniform(-3, 6),
        lambda: 10 ** rng.uniform(-50, 49),
    )
    common = {"sum": "sum_total", "count": "n_total"}
    metrics = {
        "share": proportion("sum_total", "n_total"),
        "rate": {"kind": "rate", "numerator": "sum_total", "denominator": "n_total", "direction": "down"},
        "mean": {"kind": "mean", **common},
        "squares": {"kind": "mean", **common, "squares": "squares_total", "role": "guardrail", "margin": 0.1},
    }
    arms = ("a", "b", "c")
    declaration = ExperimentDeclaration.model_validate({**declared({}, arms), "metrics": metrics})
    for batches in (1, 2, 3, 30):
        evidence, history = ExperimentEvidence(declaration), BatchHistory(START, 600.0)
        for _batch in range(batches):
            increments = {
                Counter(what, arm, rng.choice(("", "1", "2")), rng.choice(("", "p", "q"))): rng.choice(sizes)()
                * (rng.choice((1, -1)) if what == "sum_total" else 1)
                for what in ("sum_total", "n_total", "squares_total")
                for arm in arms
                for _part in range(3)
            }
            evidence.add(history.end, history.end + 600.0, increments)
            history.append(increments)
        assert evidence.judge(history).decision in Decision


def test_arms_may_be_called_anything_that_a_label_holds(url: str) -> None:
    odd = declared(proportion("odd_sold_total", "odd_total"), ODD)
    source, families = read(url=url, declared={"odd": odd})
    assert messages(families) == []
    assert source.tracked["odd"].history.totals == {
        (what, arm): 12 * per * 20 for what, per in (("odd_total", 20), ("odd_sold_total", 2)) for arm in ODD
    }


def test_more_successes_than_trials_are_no_proportion(url: str) -> None:
    more = declared(proportion('seconds_bucket{le=~".+"}', "sold_total"))
    source, _families = read(url=url, declared={"more": more})
    assert decision(source, "more") == (
        Decision.NO_DATA,
        'sold: control has more successes than trials: seconds_bucket{le=~".+"} does not count a part of them: '
        "it cannot be decided without this goal",
    )


@pytest.mark.parametrize(
    ("arms", "reason"),
    [
        (("control", "treatmnet"), "nothing was exposed to treatmnet"),
        (("kontrol", "treatment"), "nothing was exposed to kontrol"),
    ],
)
def test_an_arm_or_a_baseline_that_nothing_counts_is_named(url: str, arms: tuple[str, ...], reason: str) -> None:
    source, _families = read(url=url, declared={"typo": declared(proportion("sold_total"), arms)})
    assert decision(source, "typo") == (Decision.NO_DATA, reason)
    lines = list(survey("typo", source.tracked["typo"].declaration, source.stores, NOW))
    # It is known what is counted instead.
    missing = next(arm for arm in ("control", "treatment") if arm not in arms)
    assert "not declared: 'blue' " in lines[1].message
    assert f"{missing!r} " in lines[1].message


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            {"two": declared(proportion('{__name__=~"sold_total|lost_total"}'))},
            ":1: two.metrics.sold.numerator: "
            '{__name__=~"sold_total|lost_total"}: names no metric, or several: give the name of one counter',
        ),
        (
            {"bucket": declared(proportion("seconds_bucket", "seconds_count"))},
            ":1: bucket.metrics.sold.numerator: seconds_bucket: buckets of a histogram count each event several times: "
            'give one of them, as seconds_bucket{le="0.5"}',
        ),
        ({"over": {**FINE, "end": START - 1}}, ":1: over.end: not after start"),
        ({"many": declared(proportion("sold_total"), tuple(f"arm{n}" for n in range(50)))}, "at most 32 items"),
        ({"fine": FINE}, ": fine: is declared in "),
    ],
)
def test_what_cannot_be_declared_is_named_by_its_file(
    url: str, tmp_path: Path, content: dict[str, Any], problem: str
) -> None:
    first, second = tmp_path / "1.yml", tmp_path / "2.yml"
    first.write_text(json.dumps({"fine": FINE}), encoding="utf-8")
    second.write_text(json.dumps(content), encoding="utf-8")
    source, families = read(url=url, files=str(tmp_path))
    (message,) = messages(families)
    assert message.startswith(f"{second}{problem}" if problem.startswith(":") else f"{second}:1: ")
    assert problem in message
    if "is declared in" in problem:
        assert message == f"{second}: fine: is declared in {first} too; that one counts"
    assert list(source.tracked) == ["fine"]
    assert decision(source, "fine")[0] == Decision.COLLECTING


def test_a_file_that_is_just_being_written_ends_no_experiment(url: str, tmp_path: Path) -> None:
    """An editor that empties a file before it writes it, or a copy of which only a part is there."""
    path = tmp_path / "all.yml"
    path.write_text(json.dumps({"a": FINE, "b": FINE}), encoding="utf-8")
    source, _families = read(url=url, files=str(path))
    kept = source.tracked["b"]
    for half in ("", json.dumps({"a": FINE})):
        path.write_text(half, encoding="utf-8")
        os.utime(path, (NOW, NOW - 0.5))
        assert messages(source.collect()) == []
        assert source.tracked["b"] is kept
    os.utime(path, (NOW, NOW - 1.0))
    source.collect()
    assert list(source.tracked) == ["a"]


def test_an_experiment_that_is_renamed_or_removed_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    path = tmp_path / "all.yml"
    path.write_text(json.dumps({"old": FINE, "other": FINE}), encoding="utf-8")
    source, _families = read(url=url, files=str(path))
    path.write_text(json.dumps({"new": FINE, "other": FINE}), encoding="utf-8")
    families = source.collect()
    named = {labels[0] for labels in families["ml_monitoring_experiment_decision_info"].samples}
    assert named == {"new", "other"}
    assert source.gate("old") is None
    assert decision(source, "new")[0] == decision(source, "other")[0] == Decision.COLLECTING


@pytest.mark.parametrize(
    "written",
    [
        "2025-11-03 {:02}:{:02}:00",
        "2025-11-03T{:02}:{:02}:00",
        "2025-11-03T{:02}:{:02}:00Z",
        "2025-11-03T{:02}:{:02}:00.000",
    ],
)
def test_times_of_sqlite_count_in_any_form_up_to_the_edges_of_batches(tmp_path: Path, written: str) -> None:
    rows = [
        (arm, written.format(minute // 60, minute % 60))
        for minute in range(0, 180, 5)
        for arm in ("control", "treatment")
    ]
    found = _counted_by_batch(_sqlite(tmp_path, rows), hours=2)
    assert found == [12.0, 12.0]


def test_times_of_sqlite_may_have_a_zone_of_their_own(tmp_path: Path) -> None:
    """The hour that is there twice when summer time ends: 2025-10-26, 2:00 to 3:00 in Berlin."""
    start = 1_761_436_800  # Midnight, UTC.
    zones = ["2025-10-26T02:30:00+02:00", "2025-10-26T02:30:00+01:00", "2025-10-25T20:30:00-04:00"]
    rows = [(arm, each) for each in zones for arm in ("control", "treatment")]
    assert _counted_by_batch(_sqlite(tmp_path, rows), hours=2, start=start) == [2.0, 1.0]


@pytest.mark.parametrize("seconds", ["'1762128000'", "1762128000", "1762128000.5"])
def test_a_time_may_be_seconds_since_the_epoch(tmp_path: Path, seconds: str) -> None:
    database = _sqlite(tmp_path, [("control", ""), ("treatment", "")])
    assert _counted_by_batch(database, hours=1, time=seconds) == [1.0]


def test_milliseconds_are_no_time(tmp_path: Path) -> None:
    database = _sqlite(tmp_path, [("control", "")])
    metric = {"kind": "proportion", "query": "select arm, 1762128000000, 1, 1 from sales"}
    _source, families = read(database=database, declared={"sales": declared(metric)})
    assert messages(families) == ["sales: metrics.sold.query, row 1: 1762128000000 is no time"]


@pytest.mark.parametrize("column", ["timestamp", "timestamptz"])
def test_times_of_postgresql_without_a_zone_are_in_utc_wherever_the_server_is(
    postgres_database: str, column: str
) -> None:
    with closing(psycopg2.connect(postgres_database)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("select current_database()")
        row = cursor.fetchone()
        assert row is not None
        cursor.execute(f"alter database \"{row[0]}\" set timezone = 'America/New_York'")
        cursor.execute("set timezone = 'UTC'")
        cursor.execute(f"create table sales (arm text, sold_at {column})")
        for minute in range(0, 180, 5):
            at = f"2025-11-03 {minute // 60:02}:{minute % 60:02}:00" + ("+00" if column == "timestamptz" else "")
            cursor.execute("insert into sales values ('control', %s), ('treatment', %s)", (at, at))
    assert _counted_by_batch(postgres_database, hours=2) == [12.0, 12.0]


def _sqlite(folder: Path, rows: list[tuple[str, str]]) -> str:
    path = folder / "warehouse.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table sales (arm text, sold_at text)")
        connection.executemany("insert into sales values (?, ?)", rows)
    return f"sqlite:///{path}"


def _counted_by_batch(database: str, hours: int, start: int = START, time: str = "sold_at") -> list[float]:
    """Return what was counted of the baseline in each of the first hours, read as they come."""
    query = f"select arm, {time}, 1, 1 from sales where sold_at >= %(since)s and sold_at < %(until)s"
    if time != "sold_at":
        query = f"select arm, {time}, 1, 1 from sales"
    declaration = declared({"kind": "proportion", "query": query}, start=start, batch="1h")
    now = float(start)
    source = ExperimentsSource(
        ExperimentsSettings.model_validate({"database": database, "late": "1m", "declared": {"sales": declaration}}),
        lambda: now,
    )
    counted, before = [], 0.0
    for hour in range(1, hours + 1):
        now = start + 3600.0 * hour + 60
        assert messages(source.collect()) == []
        whole = source.tracked["sales"].history.total("sold trials", "control")
        counted.append(whole - before)
        before = whole
    source.close()
    return counted
