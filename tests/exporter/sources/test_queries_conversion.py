"""Configurations of query-exporter and of both sql_exporters, taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.cli import main
from ml_monitoring.exporter.config import load

_QUERY_EXPORTER = """
databases:
  orders:
    dsn: postgresql://shop:hunter2@db/shop
    labels: {region: eu}
  other: {dsn: !env OTHER}
metrics:
  waiting: {type: gauge, description: Orders that wait, labels: [shop]}
  done: {type: counter, description: Orders done, expiration: 1h}
  size: {type: histogram, buckets: [1, 2]}
  seen: {type: counter, increment: true}
queries:
  by_shop:
    {interval: 5, databases: [orders, other], metrics: [waiting, done, size, seen], timeout: 2.5, sql: select * from t}
  again: {interval: 5m, databases: [other], metrics: [waiting], sql: select 1 as waiting}
  ranged: {databases: [other], metrics: [done], parameters: [{a: 1}], sql: 'select :a as done'}
"""
_SQL_EXPORTER = """
global: {min_interval: 0s}
target: {data_source_name: 'mysql://shop:hunter2@tcp(db:3306)/shop', collectors: [shop]}
collectors:
  - collector_name: shop
    min_interval: 30s
    metrics:
      - {metric_name: shop_waiting, type: gauge, help: Waiting., key_labels: [shop], values: [n], query_ref: by_shop}
      - {metric_name: shop_oldest, type: gauge, help: Oldest., values: [t], static_labels: {a: b}, query_ref: by_shop}
      - {metric_name: shop_done_total, type: counter, help: Done., values: [n], query: select count(*) as n from d}
      - {metric_name: shop_wide, type: gauge, help: Wide., values: [a, b], value_label: c, query_ref: by_shop}
      - {metric_name: shop_lost, type: gauge, help: Lost., values: [a], query_ref: nowhere}
    queries:
      - {query_name: by_shop, query: 'select shop, count(*) as n, min(t) as t from o group by shop'}
"""
_JOBS = """
jobs:
  - name: shop
    interval: 5m
    connections: ['postgres://shop:hunter2@db/shop', 'postgres://b']
    startup_sql: ['set x = 1']
    queries:
      - {name: waiting, help: Orders that wait, labels: [shop], values: [n], query: select 1 as n}
      - {name: sizes, help: Sizes, values: [small, large], query: 'select 1 as small, 2 as large'}
"""


def _import(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, list[str]]:
    """Return the settings and what is said of the rest; the settings are some."""
    path = folder / "theirs.yml"
    path.write_text(text)
    assert main(["queries", "import", str(path)]) == 0
    output = capsys.readouterr()
    assert "hunter2" not in output.out + output.err
    settings = folder / "ours.yml"
    settings.write_text(output.out)
    variables = {"ORDERS_URI", "OTHER", "TARGET_URI", "SHOP_URI"}
    load(settings, dict.fromkeys(variables, "sqlite:////shop.db"))
    return output.out, output.err.splitlines()


def test_a_configuration_of_query_exporter_is_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, said = _import(_QUERY_EXPORTER, tmp_path, capsys)
    assert (
        settings
        == """\
sources:
  queries:
    by_shop:
      uri: ${ORDERS_URI}
      interval: 5s
      sql: |
        select * from t
      metrics:
        waiting:
          value: waiting
          type: gauge
          help: Orders that wait
          labels:
          - shop
        done_total:
          value: done
          type: counter
          help: Orders done
      timeout: 2500ms
"""
    )
    assert said == [
        "not taken: query by_shop: databases other: write a query for each",
        "not taken: metric done: expiration: what is not selected ends at once",
        "not taken: query by_shop: metric size: histogram: count in SQL",
        "not taken: query by_shop: metric seen: increment: count in SQL",
        "not taken: database orders: labels region='eu': select them as columns",
        "not taken: query again: metric waiting: another query has it",
        "not taken: query again: no metric of it could be taken",
        "not taken: query ranged: parameters",
        "not taken: the label database, which query-exporter sets: select it as a column where it is used",
        "to do: set the variable ORDERS_URI to the address of orders: postgresql://, mysql:// or sqlite:///",
    ]


def test_a_configuration_of_sql_exporter_is_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "more.collector.yml").write_text(
        "collector_name: more\nmetrics:\n"
        "  - {metric_name: shop_more, type: gauge, help: More., values: [n], query: select 3 as n}\n"
    )
    settings, said = _import(_SQL_EXPORTER + "collector_files: ['*.collector.yml']\n", tmp_path, capsys)
    assert (
        settings
        == """\
sources:
  queries:
    by_shop:
      uri: ${TARGET_URI}
      interval: 30s
      sql: |
        select shop, count(*) as n, min(t) as t from o group by shop
      metrics:
        shop_waiting:
          value: n
          type: gauge
          help: Waiting.
          labels:
          - shop
        shop_oldest:
          value: t
          type: gauge
          help: Oldest.
    shop_done_total:
      uri: ${TARGET_URI}
      interval: 30s
      sql: |
        select count(*) as n from d
      metrics:
        shop_done_total:
          value: n
          type: counter
          help: Done.
    shop_more:
      uri: ${TARGET_URI}
      interval: 60s
      sql: |
        select 3 as n
      metrics:
        shop_more:
          value: n
          type: gauge
          help: More.
"""
    )
    assert said == [
        "not taken: metric shop_oldest: static_labels: select them as columns",
        "not taken: metric shop_wide: several values or a fixed one: select each as a metric of its own",
        "not taken: metric shop_lost: its query is missing",
        "to do: set the variable TARGET_URI to the address of target: postgresql://, mysql:// or sqlite:///",
    ]


def test_jobs_of_the_other_sql_exporter_are_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, said = _import(_JOBS, tmp_path, capsys)
    assert (
        settings
        == """\
sources:
  queries:
    waiting:
      uri: ${SHOP_URI}
      interval: 5m
      sql: |
        select 1 as n
      metrics:
        sql_waiting:
          value: n
          type: gauge
          help: Orders that wait
          labels:
          - shop
    sizes:
      uri: ${SHOP_URI}
      interval: 5m
      sql: |
        select 1 as small, 2 as large
      metrics:
        sql_sizes_small:
          value: small
          type: gauge
          help: Sizes
        sql_sizes_large:
          value: large
          type: gauge
          help: Sizes
"""
    )
    assert said == [
        "not taken: job shop: 1 more connections: write its queries for each",
        "not taken: job shop: startup_sql",
        "not taken: the labels col, database, driver, host, sql_job and user, which sql_exporter sets",
        "to do: set the variable SHOP_URI to the address of shop: postgresql://, mysql:// or sqlite:///",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: b", " no configuration of query-exporter or sql_exporter"),
        ("- a", " must hold a mapping"),
        (
            "a: 'hunter2",
            "1: not valid YAML: found unexpected end of stream (column 12);"
            " a bracket or a quote of line 1 is not closed",
        ),
        (
            "!x hunter2",
            "1: not valid YAML: a tag has no meaning here (column 1); put a text that begins with ! in quotes",
        ),
        ("\udcff", " is not UTF-8"),
    ],
)
def test_what_is_no_configuration_is_named(
    content: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "theirs.yml"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert main(["queries", "import", str(path)]) == 1
    assert capsys.readouterr().err == f"error: {path}:{problem}\n"


def test_a_query_that_cannot_be_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "theirs.yml"
    path.write_text(
        "databases: {d: {dsn: !env D}}\nmetrics: {mlflow_runs: {type: gauge, labels: [job]}}\n"
        "queries: {q: {databases: [d], metrics: [mlflow_runs], sql: select 1}}\n"
    )
    assert main(["queries", "import", str(path)]) == 1
    assert "not taken: query q: metrics.mlflow_runs" in capsys.readouterr().err


_WHOLE = """\
databases: {db: {dsn: "env:DB"}}
metrics: {shop_x: {type: gauge, description: It.}, odd: {type: gaug}}
queries:
  good: {databases: [db], metrics: [shop_x], sql: select 1 as shop_x}
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "  q: {databases: [db], metrics: [shop_y], sql: select 1 as shop_y, intervall: 3}",
            "not taken: query q: intervall: unknown key; did you mean interval?",
        ),
        (
            "  q: {databases: [dbb], metrics: [shop_y], sql: select 1 as shop_y}",
            "not taken: query q: there is no database dbb; did you mean db?",
        ),
        ("  q: {metrics: [shop_y], sql: select 1 as shop_y}", "not taken: query q: databases is missing"),
        (
            "  q: {databases: [db], metrics: [odd], sql: select 1 as odd}",
            "not taken: metric odd: type gaug: there is none; did you mean gauge?",
        ),
        ("  q: {databases: [db], metrics: [shop_y]}", "not taken: query q: sql is missing"),
        ("  q: [db, shop_y]", "not taken: query q: is not as the exporter's documentation has it"),
        (
            "  q: {databases: [db], metrics: [shop_y], sql: select 1, timeout: soon}",
            "not taken: query q: is not as the exporter's documentation has it",
        ),
    ],
)
def test_one_odd_query_is_named_and_costs_no_other(
    more: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(_WHOLE + more)
    assert main(["queries", "import", str(file)]) == 0
    printed = capsys.readouterr()
    assert said in printed.err.splitlines()
    assert "good:" in printed.out


@pytest.mark.parametrize(
    "content", ["databases: {}\nqueries: [1]", "target: [1]\ncollectors: [{metrics: [{metric_name: a, query: b}]}]"]
)
def test_a_configuration_of_another_form_is_refused_in_one_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(content)
    assert main(["queries", "import", str(file)]) == 1
    error = capsys.readouterr().err
    assert error == f"error: {file}: is not as the exporter's documentation has it\n"
