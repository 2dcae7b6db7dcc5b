"""Metrics by query, on a real PostgreSQL, MariaDB and SQLite."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.exporter import checks
from ml_monitoring.exporter.config import read
from ml_monitoring.exporter.errors import ConfigError, Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.settings_text import write
from ml_monitoring.exporter.sources.queries import QueriesSettings, QueriesSource, source
from ml_monitoring.exporter.status import ReloadStatus, SelfMetrics
from tests.support.serving import serving
from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer
from tools.processes import wait_until

_TABLE = """
create table orders (region varchar(20), waiting integer, cost decimal(8, 2), placed varchar(30));
insert into orders values ('eu', 2, 1.25, '7'), ('eu', 1, 2.5, '8'), ('us 50%', 4, null, 'late'), (null, 8, 4, null);
"""
_BY_REGION = "select region, sum(waiting) as waiting, sum(cost) as cost from orders group by region order by region"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a database with a table of orders."""
    if request.param == "sqlite":
        connection = sqlite3.connect(tmp_path / "orders.db")
        connection.executescript(_TABLE)
        connection.close()
        yield f"sqlite:///{tmp_path}/orders.db"
        return
    number = abs(hash(request.node.nodeid))
    if request.param == "mariadb":
        mariadb: MariadbServer = request.getfixturevalue("mariadb_server")
        created = mariadb.create_database(f"orders_{number}")
        mariadb.execute(_TABLE, f"orders_{number}")
        yield created
        return
    postgres: PostgresServer = request.getfixturevalue("postgres_server")
    with postgres.temporary_database(f"orders_{number}") as created:
        postgres.execute(_TABLE, f"orders_{number}")
        yield created


def _metric(value: str, *labels: str, **more: object) -> dict[str, Any]:
    return {"value": value, "help": "It.", "labels": list(labels), **more}


def _source(uri: str, sql: str, **more: object) -> QueriesSource:
    metrics = more.pop("metrics", {"shop_waiting": _metric("waiting", "region")})
    return QueriesSource(QueriesSettings.model_validate({"uri": uri, "sql": sql, "metrics": metrics, **more}))


def _samples(families: FamilySet) -> list[str]:
    return [line for line in render_text(families).decode().splitlines() if not line.startswith("#")]


def _problems(families: FamilySet) -> list[str]:
    return [problem.message for problem in families.problems]


def test_rows_become_samples_and_null_is_none(uri: str) -> None:
    metrics = {
        "shop_waiting": _metric("waiting", "region"),
        "shop_cost_total": _metric("cost", "region", type="counter"),
    }
    text = render_text(_source(uri, _BY_REGION, metrics=metrics).collect()).decode()
    assert sorted(text.splitlines()) == [
        "# HELP shop_cost_total It.",
        "# HELP shop_waiting It.",
        "# TYPE shop_cost_total counter",
        "# TYPE shop_waiting gauge",
        'shop_cost_total{region=""} 4.0',
        'shop_cost_total{region="eu"} 3.75',
        'shop_waiting{region=""} 8.0',
        'shop_waiting{region="eu"} 3.0',
        'shop_waiting{region="us 50%"} 4.0',
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "select waiting from orders where region like 'us 50%'",
        "select waiting from orders where region like 'us 50%' ; ",
        "select waiting from orders where region like 'us 50%' -- the rest",
        "with w as (select * from orders) select waiting from w where region like '%50%' order by 1 limit 1",
        "select waiting from orders where region = 'us 50%' union all select waiting from orders where 1 = 0",
        "select sum(waiting) / 2 as waiting from (select waiting from orders where waiting = 8) as inner_one",
    ],
)
def test_any_select_can_be_asked(uri: str, sql: str) -> None:
    assert _samples(_source(uri, sql, metrics={"shop_waiting": _metric("waiting")}).collect()) == ["shop_waiting 4.0"]


@pytest.mark.parametrize("column", ["value", "count", "key", "select", "Total"])
def test_a_column_may_have_any_name_that_is_one(uri: str, column: str) -> None:
    # The server folds both as it folds any name, so that what the query says after AS is what is asked for.
    quoted = {"p": f'"{column.lower()}"', "s": f'"{column}"', "m": f"`{column}`"}[uri[0]]
    families = _source(uri, f"select 1 as {quoted}", metrics={"shop_waiting": _metric(column)}).collect()
    assert _samples(families) == ["shop_waiting 1.0"]


def test_what_is_no_number_is_left_out_and_named_and_the_rest_counts(uri: str) -> None:
    metrics = {"shop_placed": _metric("placed", "waiting"), "shop_known": _metric("known", "region")}
    families = _source(uri, "select placed, waiting, region, 1 as known from orders", metrics=metrics).collect()
    assert sorted(_samples(families)) == [
        'shop_known{region=""} 1.0',
        'shop_known{region="eu"} 1.0',
        'shop_known{region="us 50%"} 1.0',
        'shop_placed{waiting="1"} 8.0',
        'shop_placed{waiting="2"} 7.0',
    ]
    assert _problems(families) == [
        "shop_known: the same labels again: 1 rows, first row 2",
        "shop_placed: placed is no number: 1 rows, first row 3",
    ]


def test_series_beyond_the_cap_are_counted(uri: str) -> None:
    families = _source(uri, _BY_REGION, max_series=1).collect()
    assert (families.series, families["shop_waiting"].dropped) == (1, 2)


def test_labels_that_are_too_long_are_counted(uri: str) -> None:
    long = "x" * 3000
    families = _source(uri, f"select '{long}' as region, 1 as waiting union all select 'eu', 2").collect()
    assert (_samples(families), families["shop_waiting"].dropped) == (['shop_waiting{region="eu"} 2.0'], 1)


def test_more_rows_than_anybody_looks_at_are_an_error(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MOST_ROWS", 2)
    with pytest.raises(SourceError, match="gives more than 2 rows"):
        _source(uri, "select region, waiting from orders").collect()
    monkeypatch.setattr(source, "_MOST_ROWS", 3)
    assert _source(uri, _BY_REGION).collect().series == 3


@pytest.mark.parametrize(
    "sql",
    [
        "delete from orders",
        "update orders set waiting = 0",
        "delete from orders returning region, waiting",
        "with d as (delete from orders returning *) select region, waiting from d",
        "select region, waiting from orders; delete from orders",
        "select region, waiting from orders; commit; delete from orders",
        "commit",
        "",
    ],
)
def test_what_is_more_than_a_select_changes_nothing(uri: str, sql: str) -> None:
    with pytest.raises(SourceError):
        _source(uri, sql or " ").collect()
    assert _samples(_source(uri, "select count(*) as n from orders", metrics={"shop_n": _metric("n")}).collect()) == [
        "shop_n 4.0"
    ]


def test_an_unknown_column_is_named(uri: str) -> None:
    with pytest.raises(SourceError, match="waiting"):
        _source(uri, "select region from orders").collect()


@pytest.mark.parametrize(
    ("sql", "metric", "said"),
    [
        (
            "select waiting, region from orders",
            ("waitng", "region"),
            "metrics.shop_x.value: the query has no column waitng; did you mean waiting?",
        ),
        (
            "select waiting, region from orders",
            ("waiting", "regoin"),
            "metrics.shop_x.labels: the query has no column regoin; did you mean region?",
        ),
        (
            "select waiting AS b, region FROM orders",
            ("a", "region"),
            "metrics.shop_x.value: the query has no column a; it has: b, region",
        ),
        (
            "select waiting as a, region as orderz from orders",
            ("a", "orders"),
            "metrics.shop_x.labels: the query has no column orders; did you mean orderz?",
        ),
        (
            "selec waiting from orders",
            ("waiting",),
            "sql begins with selec: it must be one query that begins with SELECT or WITH",
        ),
        (
            "-- tidy\ndelete from orders",
            ("waiting",),
            "sql begins with delete: it must be one query that begins with SELECT or WITH",
        ),
        (
            "select waiting from orders where region = 'eu",
            ("waiting",),
            "sql: a quote or a comment is not closed",
        ),
    ],
)
def test_an_error_is_said_in_the_words_of_the_settings(uri: str, sql: str, metric: tuple[str, ...], said: str) -> None:
    with pytest.raises(SourceError) as caught:
        _source(uri, sql, metrics={"shop_x": _metric(*metric)}).collect()
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("sql", "metric", "said", "said_of_postgresql"),
    [
        (
            "select count(*) from orders",
            ("n",),
            "value: the query has no column n; write count(*) AS n",
            "value: the query has no column n; it has: count; write count(...) AS n",
        ),
        (
            "select region, waiting + 1 from orders",
            ("n", "region"),
            "value: the query has no column n; it has: region; write waiting + 1 AS n",
            "value: the query has no column n; it has: region; write ... AS n",
        ),
        (
            "select waiting as a, lower(region) from orders",
            ("a", "region"),
            "labels: the query has no column region; it has: a; write lower(region) AS region",
            "labels: the query has no column region; it has: a, lower; write lower(...) AS region",
        ),
    ],
)
def test_a_column_without_a_name_is_to_get_the_expected_one(
    uri: str, sql: str, metric: tuple[str, ...], said: str, said_of_postgresql: str
) -> None:
    with pytest.raises(SourceError) as caught:
        _source(uri, sql, metrics={"shop_x": _metric(*metric)}).collect()
    expected = said_of_postgresql if uri.startswith("postgresql") else said
    assert str(caught.value) == f"metrics.shop_x.{expected}"


def test_no_statement_of_ours_is_shown(uri: str) -> None:
    with pytest.raises(SourceError) as caught:
        _source(uri, "select waiting, region from ordres").collect()
    assert "ordres" in str(caught.value)
    assert not re.search("DECLARE|LINE|cast", str(caught.value))


def test_a_query_is_broken_off_at_its_timeout(uri: str) -> None:
    endless = "with recursive n as (select 1 as i union all select i + 1 from n) select count(*) as waiting from n"
    if uri.startswith("mysql"):
        # Its recursion ends by itself.
        endless = "select benchmark(1000000000000, md5('x')) as waiting"
    with pytest.raises(SourceError) as raised:
        _source(uri, endless, timeout="1s", metrics={"shop_waiting": _metric("waiting")}).collect()
    assert raised.value.reason is Reason.TIMEOUT


def test_times_and_spans_are_seconds(postgres_database: str) -> None:
    sql = """
        select timestamptz '2026-01-01 00:00:00+02' as zoned, timestamp '2026-01-01 00:00:00' as plain,
               date '2026-01-01' as day, interval '1 day 2 seconds' as span, true as yes, 1e400::numeric as huge"""
    names = ("zoned", "plain", "day", "span", "yes", "huge")
    families = _source(postgres_database, sql, metrics={f"shop_{name}": _metric(name) for name in names}).collect()
    assert _samples(families) == [
        "shop_zoned 1.7672184e+09",
        "shop_plain 1.7672256e+09",
        "shop_day 1.7672256e+09",
        "shop_span 86402.0",
        "shop_yes 1.0",
        "shop_huge +Inf",
    ]


@pytest.mark.parametrize(("interval", "kept"), [("1m", 0), ("5s", 1)])
def test_only_a_frequent_query_keeps_its_connection(
    interval: str, kept: int, postgres_server: PostgresServer, postgres_database: str
) -> None:
    asked = _source(postgres_database, "select 1 as n", metrics={"shop_n": _metric("n")}, interval=interval)
    asked.collect()
    name = postgres_database.rpartition("/")[2].partition("?")[0]
    with contextlib.closing(postgres_server.connect()) as connection, connection.cursor() as cursor:

        def connections() -> int:
            cursor.execute("select count(*) from pg_stat_activity where datname = %s", (name,))
            (number,) = cursor.fetchone() or (None,)
            connection.rollback()
            return int(number or 0)

        # The server learns of the end a moment later.
        assert wait_until(lambda: connections() == kept, timeout=10)
    asked.close()


def _sections(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    path = folder / "settings.yml"
    path.write_text(text)
    return read(path, environ or {})[0].enabled_sources()


def _problems_of(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        _sections(folder, text)
    return tuple(problem.replace(f"{folder}/", "") for problem in raised.value.problems)


def test_a_query_may_ask_the_database_of_another_source(tmp_path: Path) -> None:
    (tmp_path / "uri").write_text("sqlite:////lab.db")
    found = _sections(
        tmp_path,
        "sources:\n"
        f"  mlflow: {{prod: {{uri: 'sqlite:////prod.db'}}, lab: {{uri_file: '{tmp_path}/uri'}}}}\n"
        "  queries:\n"
        "    a: {store: mlflow/prod, sql: select 1 as n, metrics: {shop_a: {value: n, help: It.}}}\n"
        "    b: {store: mlflow/lab, sql: select 1 as n, metrics: {shop_b: {value: n, help: It.}}}\n",
    )
    assert [found[name].uri.get_secret_value() for name in ("queries/a", "queries/b")] == [
        "sqlite:////prod.db",
        "sqlite:////lab.db",
    ]
    # As of the store itself, another address is taken from the file when the old one is refused.
    assert found["queries/b"].uri.read_again() == "sqlite:////lab.db"


def test_settings_that_fit_nothing_are_named(tmp_path: Path) -> None:
    assert _problems_of(
        tmp_path,
        "sources:\n"
        "  mlflow: {prod: {uri: 'sqlite:////prod.db'}}\n"
        "  containers: {url: 'http://docker'}\n"
        "  queries:\n"
        "    a: {store: mlflow/prod, sql: select 1 as n, metrics: {shop_a_total: {value: n, help: A, type: counter}}}\n"
        "    b: {store: mlflow/lab, sql: select 1 as n, metrics: {shop_b: {value: n, help: It.}}}\n"
        "    c: {store: queries/a, sql: select 1 as n, metrics: {shop_a: {value: n, help: It.}}}\n",
    ) == (
        "settings.yml:6: sources.queries.b.store: there is no source 'mlflow/lab' with a database;"
        " did you mean mlflow/prod?",
        "settings.yml:7: sources.queries.c.store: there is no source 'queries/a' with a database;"
        " there are: mlflow/prod",
        "settings.yml:7: sources.queries.c.metrics.shop_a: queries/a has a metric of this name",
    )


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        (
            "mlflow_runs: {value: n, help: It.}",
            "metrics.mlflow_runs: the exporter has the metric mlflow_runs: choose another name",
        ),
        ("up: {value: n, help: It.}", "metrics.up: a name of Prometheus's own: choose another one"),
        ("ALERTS: {value: n, help: It.}", "metrics.ALERTS: a name of Prometheus's own"),
        ("scrape_duration_seconds: {value: n, help: It.}", "a name of Prometheus's own"),
        (
            "process_cpu_seconds: {value: n, help: It.}",
            "metrics.process_cpu_seconds: the exporter has the metric process_cpu_seconds_total: choose another name",
        ),
        ("ml_monitoring_x: {value: n, help: It.}", "names that begin with ml_monitoring_ are the exporter's own"),
        (
            "'shop:x': {value: n, help: It.}",
            "shop:x: a name has letters, digits and _ only, and no digit first",
        ),
        ("shop_x_total: {value: n, help: It.}", "metrics.shop_x_total: the name of a gauge must not end in _total"),
        ("shop_x: {value: n, help: It., type: counter}", "metrics.shop_x: the name of a counter ends in _total"),
        ("shop_x: {value: n, help: It., type: histogram}", "metrics.shop_x.type: must be gauge or counter"),
        ("shop_x: {value: n}", "metrics.shop_x.help: is missing"),
        ("shop_x: {value: n, help: It., labels: [job]}", "'job' is a label of Prometheus's own"),
        ("shop_x: {value: n, help: It., labels: [__name__]}", "'__name__' is a label of Prometheus's own"),
        ("shop_x: {value: n, help: It., labels: [a, A]}", "a column is given twice"),
        ("shop_x: {value: n, help: It., labels: ['a b']}", "'a b' is no name of a column"),
        ("shop_x: {value: 'n; drop', help: It.}", "metrics.shop_x.value: a name has letters, digits and _ only"),
        ("shop_x: {value: n, help: It., vlue: n}", "metrics.shop_x.vlue: unknown key; did you mean value?"),
    ],
)
def test_metrics_are_as_strict_as_the_catalogs(metric: str, problem: str, tmp_path: Path) -> None:
    text = f"sources: {{queries: {{q: {{uri: 'sqlite:////q.db', sql: select 1, metrics: {{{metric}}}}}}}}}\n"
    found = _problems_of(tmp_path, text)
    assert len(found) == 1
    assert problem in found[0]


def test_no_metric_takes_the_name_of_what_the_exporter_says_of_itself(tmp_path: Path) -> None:
    families = SelfMetrics().render([], ReloadStatus()).families
    names = sorted(name for family in families for name in family.names)
    assert {"process_cpu_seconds_total", "python_gc_collections", "ml_monitoring_build_info"} <= {*names}
    for name in names:
        metrics = f"{{{name}: {{value: n, help: It., type: {'counter' if name.endswith('_total') else 'gauge'}}}}}"
        text = f"sources: {{queries: {{q: {{uri: 'sqlite:////q.db', sql: select 1, metrics: {metrics}}}}}}}\n"
        (problem,) = _problems_of(tmp_path, text)
        assert problem.endswith(("choose another name", "choose another one"))


def test_a_query_needs_a_name_and_one_database(tmp_path: Path) -> None:
    metrics = "metrics: {shop_x: {value: n, help: It.}}"
    assert "sources.queries" in _problems_of(tmp_path, f"sources: {{queries: {{sql: select 1, {metrics}}}}}\n")[0]
    for which in ("", "store: mlflow, uri: 'sqlite:////q.db',"):
        text = f"sources: {{queries: {{q: {{{which} sql: select 1, {metrics}}}}}}}\n"
        (said,) = _problems_of(tmp_path, text)
        assert re.fullmatch(r"settings.yml:1: sources.queries.q(\.store|: store): give either store or uri", said)


def test_addresses_are_masked(tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text(
        "sources: {queries: {q: {uri: 'postgresql://u:hunter2@h/d', sql: select 1,"
        " metrics: {shop_x: {value: n, help: It.}}}}}\n"
    )
    shown = write(*read(path, {}))
    assert "hunter2" not in shown
    assert "uri: <secret>" in shown


def test_a_bad_query_touches_no_other_one(uri: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text(
        "web: {port: 0}\nsources:\n  queries:\n"
        f"    good: {{uri: '{uri}', interval: 200ms, sql: select sum(waiting) as n from orders, "
        "metrics: {shop_waiting: {value: n, help: It.}}}\n"
        f"    bad: {{uri: '{uri}', interval: 200ms, sql: select nothing from nowhere, "
        "metrics: {shop_nothing: {value: nothing, help: It.}}}\n"
    )
    with serving(path) as exporter:
        exporter.wait_for('ml_monitoring_source_up{source="queries/bad"}', 0)
        samples = exporter.wait_for('ml_monitoring_source_up{source="queries/good"}', 1)
        assert samples["shop_waiting"] == 15
        assert "shop_nothing" not in samples
        assert "source=queries/bad reason=" in exporter.wait_for_log("source failed")


def test_check_asks_once_and_shows_what_becomes_of_it(uri: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text(
        f"sources: {{queries: {{q: {{uri: '{uri}', sql: \"select region, waiting from orders where region = 'eu'\", "
        "metrics: {shop_waiting: {value: waiting, help: It., labels: [region]}}}}}\n"
    )
    result = list(checks.run(read(path, {})[0]))[-1]
    assert (result.subject, result.ok) == ("queries/q", True)
    assert result.message.splitlines()[0] == (
        "1 series; left out: shop_waiting: the same labels again: 1 rows, first row 2"
    )
    assert [line.strip() for line in result.message.splitlines()[1:3]] == [
        "# HELP shop_waiting It.",
        "# TYPE shop_waiting gauge",
    ]
