"""`check` says where in the settings what failed was given, and whether the port is free."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ml_monitoring.exporter import checks
from ml_monitoring.exporter.config import read
from ml_monitoring.exporter.errors import ConfigError
from tests.support.mlflow_store import write_reference_store
from tests.support.serving import ExporterProcess
from tools.processes import free_port

QUERIES = """\
web: {{port: 0}}
sources:
  queries:
    q:
      {address}
      sql: {sql}
      metrics:
        shop_open:
          value: {value}
          help: Open orders.
          labels: [country]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE orders (country TEXT, sent INT)")
    return path


@pytest.fixture
def stranger() -> Iterator[int]:
    """Give the port of a program that is no exporter."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"Prometheus Server is Healthy.\\n")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def results(path: Path, **environment: str) -> dict[str, checks.Result]:
    return {result.subject: result for result in checks.run(*read(path, environment))}


@pytest.mark.parametrize(
    ("sql", "value", "expected"),
    [
        (
            "SELECT country, count(*) AS open FROM orders",
            "opn",
            "metrics.shop_open.value: the query has no column opn; did you mean open? ({path}:9)",
        ),
        (
            "SELECT country, count(*) AS open FROM ordres",
            "open",
            "shop.db: no such table: ordres (sources.queries.q.sql, {path}:6)",
        ),
        (
            "SELECT country, sent AS open FROM orders; DROP TABLE orders",
            "open",
            "sql has several statements: it must be one query that begins with SELECT or WITH "
            "(sources.queries.q.sql, {path}:6)",
        ),
        (
            "WITH a AS (SELECT 1) INSERT INTO orders SELECT 'insert into', 2",
            "open",
            "sql has INSERT INTO: it must be one query that begins with SELECT or WITH "
            "(sources.queries.q.sql, {path}:6)",
        ),
        (
            "DELETE FROM orders",
            "open",
            "sql begins with DELETE: it must be one query that begins with SELECT or WITH "
            "(sources.queries.q.sql, {path}:6)",
        ),
    ],
)
def test_a_query_that_fails_is_named_by_file_and_line(
    sql: str, value: str, expected: str, shop: Path, tmp_path: Path
) -> None:
    path = tmp_path / "own.yml"
    path.write_text(QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql=sql, value=value), encoding="utf-8")
    said = results(path)["queries/q"]
    assert not said.ok
    assert said.message.replace(f"{shop.parent}/shop.db", "shop.db").startswith(expected.format(path=path))


def test_where_the_address_of_what_does_not_answer_was_given_is_said(tmp_path: Path) -> None:
    address = f"postgresql://u:s3cret@127.0.0.1:{free_port()}/shop"
    (tmp_path / "uri").write_text(address, encoding="utf-8")
    path = tmp_path / "own.yml"
    for given, environment, place in (
        (f"uri: '{address}'", {}, f"(sources.queries.q.uri, {path}:5)"),
        (f"uri_file: {tmp_path}/uri", {}, f"(sources.queries.q.uri_file, {path}:5)"),
        ("store: mlflow", {"ML_MONITORING_SOURCES__MLFLOW__URI": address}, "(ML_MONITORING_SOURCES__MLFLOW__URI)"),
        (
            "store: mlflow",
            {"ML_MONITORING_SOURCES__MLFLOW__URI_FILE": f"{tmp_path}/uri"},
            "(ML_MONITORING_SOURCES__MLFLOW__URI_FILE)",
        ),
        ("store: mlflow", {"MLFLOW_TRACKING_URI": address}, "(MLFLOW_TRACKING_URI)"),
    ):
        text = QUERIES.format(address=given, sql="SELECT 1 AS open, '' AS country", value="open")
        if "MLFLOW_TRACKING_URI" in environment:
            text += "  mlflow: {}\n"
        path.write_text(text, encoding="utf-8")
        said = results(path, **environment)["queries/q"]
        assert not said.ok
        assert f" {place} - check host and port of the URI" in said.message
        assert "s3cret" not in said.message


def test_a_port_that_another_program_has_is_noticed(stranger: int, shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    text = QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql="SELECT country, sent FROM orders", value="sent")
    for web, setting in ((f"port: {stranger}", "port"), (f"listen_addresses: [':{stranger}']", "listen_addresses")):
        path.write_text(text.replace("port: 0", web), encoding="utf-8")
        said = results(path)["web"]
        assert not said.ok
        assert said.message.startswith(f"{path}:1: web.{setting}: cannot listen on ")
        assert said.message.endswith(
            "Address already in use: another program has the port; choose another with --web.listen-address"
        )


def test_an_exporter_that_runs_may_be_checked(shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    text = QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql="SELECT country, sent FROM orders", value="sent")
    path.write_text(text, encoding="utf-8")
    process = ExporterProcess(path, tmp_path / "serve.log")
    try:
        address = process.url.partition("://")[2].partition("/")[0]
        path.write_text(text.replace("port: 0", f"listen_addresses: ['{address}']"), encoding="utf-8")
        said = results(path)["web"]
        assert said.ok
        assert said.message.endswith(f"an exporter, which may be this one, serves {address} already")
    finally:
        assert process.stop() == 0


def test_a_name_that_there_is_not_is_noticed(shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    text = QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql="SELECT country, sent FROM orders", value="sent")
    path.write_text(text.replace("port: 0", "host: no-such-host.invalid"), encoding="utf-8")
    said = results(path)["web"]
    assert not said.ok
    assert said.message.startswith(f"{path}:1: web.host: cannot listen on no-such-host.invalid:")


def test_a_misspelt_variable_blames_no_file(tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text("sources:\n  fleet: {path: fleet.csv}\n", encoding="utf-8")
    for name, expected in (
        ("ML_MONITORING_SOURCES__MLFLOW__URII", ": unknown key; did you mean uri?"),
        # Not what it was meant to be, so that it is missing all the same.
        ("ML_MONITORING_SOURCES__MLFLOW__INTERVAL", ": sources.mlflow.uri: is missing"),
    ):
        with pytest.raises(ConfigError) as caught:
            read(path, {name: "5s"})
        (problem,) = caught.value.problems
        assert problem.startswith(name)
        assert problem.endswith(expected)


def test_a_file_of_a_secret_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text(f"sources: {{mlflow: {{uri_file: {tmp_path}/nowhere}}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read(path, {})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}:1: sources.mlflow.uri_file: {tmp_path}/nowhere cannot be read")


def test_an_address_can_be_taken_again_after_a_check(shop: Path, tmp_path: Path) -> None:
    path, port = tmp_path / "own.yml", free_port()
    text = QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql="SELECT country, sent FROM orders", value="sent")
    path.write_text(text.replace("port: 0", f"port: {port}"), encoding="utf-8")
    assert results(path)["web"].ok
    with socket.create_server(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize(
    ("text", "subject", "expected"),
    [
        ("web: {config_file: nowhere.yml}\nsources: {fleet: {path: f.csv}}\n", "web", "{path}:1: web.config_file: "),
        ("web: {runbooks_dir: nowhere}\nsources: {fleet: {path: f.csv}}\n", "web", "{path}:1: web.runbooks_dir: "),
        ("sources:\n  fleet:\n    path: nowhere.csv\n", "fleet", "(sources.fleet.path, {path}:3)"),
        ("sources:\n  mlflow:\n    uri: sqlite:///nowhere.db\n", "mlflow", "(sources.mlflow.uri, {path}:3)"),
        ("sources:\n  mlflow:\n    uri: sqlite:///f.csv\n", "mlflow", "(sources.mlflow.uri, {path}:3)"),
        ("sources:\n  mlflow:\n    uri: http://127.0.0.1:{port}\n", "mlflow", "(sources.mlflow.uri, {path}:3)"),
        ("sources: {fleet: {path: f.csv}}\nprometheus:\n  url: http://127.0.0.1:{closed}\n", "prometheus", "{path}:3)"),
        ("sources: {fleet: {path: f.csv}}\nprometheus:\n  url: http://127.0.0.1:{port}\n", "prometheus", "{path}:3)"),
        (
            "sources: {fleet: {path: f.csv}}\nalertmanager:\n  url: http://127.0.0.1:{closed}\n",
            "alertmanager",
            "(alertmanager.url, {path}:3)",
        ),
    ],
)
def test_whatever_fails_is_named_by_file_and_line(
    text: str, subject: str, expected: str, stranger: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.csv").write_text("of no use\n" * 100, encoding="utf-8")
    path = tmp_path / "own.yml"
    path.write_text(text.replace("{port}", str(stranger)).replace("{closed}", str(free_port())), encoding="utf-8")
    failed = [each.message for each in checks.run(*read(path, {})) if each.subject == subject and not each.ok]
    assert [message for message in failed if expected.format(path=path) in message], failed


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (
            "experiments: {include: [chrun]}",
            "0 of 6 experiments match include and exclude (sources.mlflow.experiments, {path}:4) - there are: ",
        ),
        (
            "metrics: {exclude: ['*']}",
            " metrics match include and exclude (sources.mlflow.metrics, {path}:4) - there are: ",
        ),
    ],
)
def test_patterns_that_choose_nothing_are_a_problem(patterns: str, said: str, tmp_path: Path) -> None:
    store = tmp_path / "mlflow.db"
    write_reference_store(f"sqlite:///{store}")
    path = tmp_path / "own.yml"
    path.write_text(f"sources:\n  mlflow:\n    uri: sqlite:///{store}\n    {patterns}\n", encoding="utf-8")
    found = results(path)["mlflow"]
    assert not found.ok
    assert said.format(path=path) in found.message


def test_what_patterns_choose_is_said_and_which_of_them_match_nothing(tmp_path: Path) -> None:
    store = tmp_path / "mlflow.db"
    write_reference_store(f"sqlite:///{store}")
    path = tmp_path / "own.yml"
    patterns = "{include: [churn, fruad], exclude: ['chrun*']}"
    path.write_text(f"sources: {{mlflow: {{uri: 'sqlite:///{store}', experiments: {patterns}}}}}", encoding="utf-8")
    said = "; 1 of 6 active experiments by include and exclude, 'fruad' of include matches none, 'chrun*' of exclude "
    assert said in results(path)["mlflow"].message


def test_somebody_elses_database_is_not_taken_for_an_old_store(tmp_path: Path) -> None:
    store = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(store)) as database, database:
        database.execute("CREATE TABLE runs (x)")
    path = tmp_path / "own.yml"
    path.write_text(f"sources: {{mlflow: {{uri: 'sqlite:///{store}'}}}}", encoding="utf-8")
    message = results(path)["mlflow"].message
    assert message.startswith("no MLflow store: of its tables there is only runs; it lacks table ")
    assert "upgrade" not in message


@pytest.mark.parametrize("name", ["data/mlflow.db", "mlflow.db", f"{Path.home().parts[1]}/mlflow.db"])
def test_where_three_slashes_lead_is_said(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "own.yml"
    path.write_text(f"sources: {{mlflow: {{uri: 'sqlite:///{name}'}}}}", encoding="utf-8")
    assert results(path)["mlflow"].message == (
        f"{tmp_path / name}: No such file or directory (sources.mlflow.uri, {path}:1) - with three slashes the path is "
        f"relative to {tmp_path}, where the exporter runs; an absolute path has four: sqlite:////{name}"
    )


def test_a_query_of_which_no_row_can_be_used_is_a_problem(shop: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(shop)) as database, database:
        database.execute("INSERT INTO orders VALUES ('eu', 1), ('us', 2)")
    path = tmp_path / "own.yml"
    sql = "SELECT country, 'many' AS open FROM orders"
    path.write_text(QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql=sql, value="open"), encoding="utf-8")
    found = results(path)["queries/q"]
    assert (found.ok, found.message) == (
        False,
        "no row can be used: shop_open: open is no number: 2 rows, first row 1 "
        f"(sources.queries.q.metrics.shop_open.value, {path}:9)",
    )


def test_a_time_as_text_is_said_to_become_a_number(shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    sql = "SELECT 'eu' AS country, '2026-11-30 18:00:00' AS open"
    path.write_text(QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql=sql, value="open"), encoding="utf-8")
    assert results(path)["queries/q"].message.startswith(
        "no row can be used: shop_open: open is no number but a time as text: write strftime('%s', open) AS open: 1 "
    )


def test_all_columns_that_a_query_does_not_have_are_named(shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    sql = "SELECT country AS land, sent FROM orders"
    path.write_text(QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql=sql, value="open"), encoding="utf-8")
    assert results(path)["queries/q"].message.startswith(
        "metrics.shop_open.value: the query has no column open; it has: land, sent; "
        "metrics.shop_open.labels: the query has no column country; it has: land, sent"
    )


def test_a_columns_unit_that_there_is_not_hides_no_other(tmp_path: Path) -> None:
    config = tmp_path / "own.yml"
    columns = "{cpu_pct: {unit: x}, latency_ms: {unit: y}, none: a}"
    config.write_text(f"sources: {{fleet: {{path: {config}, columns: {columns}}}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read(config, {})
    assert [problem.partition("columns: ")[2].partition(":")[0] for problem in caught.value.problems] == [
        "cpu_pct",
        "latency_ms",
        "none",
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.parquet", "", "f.parquet: not a complete Parquet file: "),
        ("f.parquet", "garbage\n" * 9, "f.parquet: not a complete Parquet file: "),
        (
            "f.csv",
            "timestamp,server_name,profile,state,cpu_pct,mem_pct,latency_ms,error_rate,disk_io_mb_s,net_in_mb_s,net_out_mb_s,gc_pause_ms\nx,y\n",
            "1 of 1 rows cannot be used (1 incomplete), first f.csv, row 2: ",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["replay", "follow"])
def test_a_file_without_a_row_that_can_be_used_is_a_problem(
    name: str, content: str, said: str, mode: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    path = tmp_path / "own.yml"
    path.write_text(f"sources:\n  fleet:\n    path: {tmp_path}/{name}\n    mode: {mode}\n", encoding="utf-8")
    found = results(path)["fleet"]
    assert not found.ok
    assert said in found.message or (mode == "replay" and "holds no row that can be used" in found.message)
    assert f"(sources.fleet.path, {path}:3)" in found.message


_FLEET = (
    "timestamp,server_name,profile,state,cpu_pct,mem_pct,latency_ms,error_rate,disk_io_mb_s,net_in_mb_s,net_out_mb_s,"
    "gc_pause_ms\n"
)
_ROW = "2026-01-01T00:00:0{second}Z,{server},web,online,{cpu},20,3,0.1,1,1,1,1\n"


@pytest.mark.parametrize(
    ("content", "ok", "said"),
    [
        ("", True, "{path}, mode follow: no row yet"),
        (_FLEET, True, "{path}, mode follow: no row yet"),
        (
            _FLEET + _ROW.format(second=1, server="a", cpu=1) + _ROW.format(second=2, server="a", cpu="much"),
            True,
            "{path}, mode follow: 1 servers; 1 of 2 rows cannot be used (1 invalid value), first {name}, row 3: "
            "cpu_pct is 'much', not a number",
        ),
        (
            _FLEET
            + _ROW.format(second=1, server="a", cpu=1)
            + _ROW.format(second=2, server="b", cpu="much") * 2
            + _ROW.format(second=1, server="a", cpu=1),
            False,
            "{path}, mode follow: 1 servers; 3 of 4 rows cannot be used (2 invalid value, 1 duplicate), first {name}, "
            "row 3: cpu_pct is 'much', not a number (sources.fleet.path, {config}:1)",
        ),
    ],
)
def test_a_file_of_servers_without_rows_has_none_yet_and_one_of_bad_rows_is_a_problem(
    content: str, ok: bool, said: str, tmp_path: Path
) -> None:
    fleet, config = tmp_path / "fleet.csv", tmp_path / "own.yml"
    fleet.write_text(content, encoding="utf-8")
    config.write_text(f"sources: {{fleet: {{path: {fleet}}}}}\n", encoding="utf-8")
    found = results(config)["fleet"]
    assert (found.ok, found.message) == (ok, said.format(path=fleet, name=fleet.name, config=config))


def test_a_position_file_is_another_file_than_what_is_read(tmp_path: Path) -> None:
    fleet, config = tmp_path / "fleet.csv", tmp_path / "own.yml"
    fleet.write_text(_FLEET, encoding="utf-8")
    (tmp_path / "alias.csv").symlink_to(fleet)
    for name in ("fleet.csv", "alias.csv"):
        config.write_text(
            f"sources: {{fleet: {{path: {fleet}, position_file: {tmp_path / name}}}}}\n", encoding="utf-8"
        )
        with pytest.raises(ConfigError) as caught:
            read(config, {})
        assert caught.value.problems == (
            f"{config}:1: sources.fleet.position_file: is the file that is read: name another one, which need not be "
            "there",
        )
    (tmp_path / "other.csv").write_text(_FLEET, encoding="utf-8")
    config.write_text(f"sources: {{fleet: {{path: {fleet}, position_file: {tmp_path}/other.csv}}}}\n", encoding="utf-8")
    assert results(config)["fleet"].message == (
        f"{tmp_path}/other.csv: not a position file (sources.fleet.position_file, {config}:1) - name another file, "
        "which need not be there; or delete this one to begin again, if it is of no use"
    )


def test_a_query_that_is_broken_off_is_said_to_need_more_time(tmp_path: Path, postgres_database: str) -> None:
    path = tmp_path / "own.yml"
    path.write_text(
        f"sources:\n  queries:\n    slow:\n      uri: {postgres_database}\n      timeout: 500ms\n"
        "      sql: SELECT pg_sleep(9), 1 AS n\n      metrics: {shop_n: {value: n, help: N.}}\n",
        encoding="utf-8",
    )
    assert results(path)["queries/slow"].message == (
        f"took longer than 0.5 s (sources.queries.slow.timeout, {path}:5) - if it needs more, raise "
        "sources.queries.slow.timeout"
    )


def test_of_a_query_of_sqlite_with_a_parameter_the_file_is_not_doubted(shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    sql = "SELECT country, sent AS open FROM orders WHERE country = :c"
    path.write_text(QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql=sql, value="open"), encoding="utf-8")
    assert results(path)["queries/q"].message == (
        f"{shop}: You did not supply a value for binding parameter :c. (sources.queries.q.sql, {path}:6)"
    )


_JOINED = (
    "FAIL {path}:6: sources.queries.q.sql: a -- comment leaves out what stands in the lines below it, which YAML joins "
    "to one: put | behind the colon, and the text in lines below"
)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (">\n        SELECT country, 1 AS open\n        FROM orders  -- only some\n        WHERE sent = 1", _JOINED),
        ("SELECT country, 1 AS open\n        FROM orders -- only some\n        WHERE sent = 1", _JOINED),
        ('"SELECT country, 1 AS open\n        FROM orders -- only some\n        WHERE sent = 1"', _JOINED),
        ("|\n        SELECT country, 1 AS open\n        FROM orders -- only some\n        WHERE sent = 1", ""),
        # A comment of the last line, or of the only one, and one before an empty line, which ends it.
        (">\n        SELECT country, 1 AS open\n        FROM orders  -- all of them", ""),
        ("SELECT country, 1 AS open FROM orders -- all of them", ""),
        (">\n        SELECT country, 1 AS open -- all\n\n        FROM orders", ""),
        (">\n        SELECT country, '-- x' AS note,\n        1 AS open\n        FROM orders", ""),
    ],
)
def test_a_comment_that_takes_in_the_lines_below_it_is_named(sql: str, said: str, shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text(QUERIES.format(address=f"uri: 'sqlite:///{shop}'", sql=sql, value="open"), encoding="utf-8")
    found = [f"FAIL {one.message}" for one in checks.run(*read(path, {})) if one.subject == "queries/q" and not one.ok]
    assert found == ([said.format(path=path)] if said else [])
