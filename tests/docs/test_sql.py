"""The statements of SQL in the documentation make users who may read what there is and will be, and write nothing."""

from __future__ import annotations

import psycopg2
import pymysql
import pytest

from tests.support.doc_blocks import blocks
from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer

# Of docs/getting-started.md and docs/mlflow.md.
SQL = {block.page: block.text.replace("'...'", "'of the test'") for block in blocks() if block.language == "sql"}


def test_each_page_with_sql_is_tried_here() -> None:
    assert set(SQL) == {"docs/getting-started.md", "docs/mlflow.md"}


def test_the_role_in_postgresql_reads_tables_of_now_and_later(postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE ROLE mlflow LOGIN")
    postgres_server.create_database("mlflow")
    try:
        postgres_server.execute("GRANT CREATE ON SCHEMA public TO mlflow", "mlflow")
        postgres_server.execute("SET ROLE mlflow; CREATE TABLE runs (id int)", "mlflow")
        postgres_server.execute(SQL["docs/getting-started.md"], "mlflow")
        postgres_server.execute("SET ROLE mlflow; CREATE TABLE later (id int)", "mlflow")
        connection = psycopg2.connect(postgres_server.uri("exporter", "of the test", "mlflow"))
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM runs, later")
            assert cursor.fetchall() == [(0,)]
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute("DELETE FROM runs")
        connection.close()
    finally:
        postgres_server.execute("DROP OWNED BY mlflow CASCADE; DROP OWNED BY exporter", "mlflow")
        postgres_server.execute("DROP DATABASE mlflow")
        postgres_server.execute("DROP ROLE mlflow; DROP ROLE exporter")


def test_the_user_in_mariadb_reads_mlflows_database(mariadb_server: MariadbServer) -> None:
    mariadb_server.execute("CREATE DATABASE mlflow; CREATE TABLE mlflow.runs (id int)")
    try:
        mariadb_server.execute(SQL["docs/mlflow.md"])
        connection = pymysql.connect(
            host="127.0.0.1", port=mariadb_server.port, user="exporter", password="of the test", database="mlflow"
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM runs")
            assert cursor.fetchall() == ((0,),)
            with pytest.raises(pymysql.err.OperationalError, match="DELETE command denied"):
                cursor.execute("DELETE FROM runs")
    finally:
        mariadb_server.execute("DROP DATABASE mlflow; DROP USER IF EXISTS exporter")
