"""Tells in PostgreSQL whether anything changed in the model registry since it was read.

What was written shows by its transaction (`xmin`), and what was removed in the number of rows: an alias that moved or
was deleted, a version in another stage, a model under another name. Of a table so big that it is not scanned as a whole
the end is scanned, where new rows mostly are, and it counts as changed now and then.
"""

from __future__ import annotations

from collections.abc import Mapping

from ml_monitoring.exporter.sources.mlflow import sql
from ml_monitoring.exporter.sources.mlflow.reader import StoreReader

# Views and foreign tables have no transactions that could be asked for.
_TABLES = """
    select relname, relkind in ('r', 'p'), pg_relation_size(oid) / current_setting('block_size')::int
    from pg_catalog.pg_class where relname = any(%(tables)s) and pg_catalog.pg_table_is_visible(oid)"""
# 64 MB, some 300,000 versions; the server takes some 20 ms to scan them.
_MOST_PAGES = 8192


class RegistryWatch:
    """Watches the tables of the registry.

    Args:
        reader: Reads the store.
        refreshes: After so many with changes the registry counts as changed where it is not scanned as a whole.
    """

    def __init__(self, reader: StoreReader, refreshes: int) -> None:
        self._reader = reader
        self._refreshes = refreshes
        self._rows: Mapping[str, int] = {}
        self._unread = 0

    def restart(self, since: str) -> None:
        """Begin from here, because everything was just read."""
        self.changed(since)
        self._unread = 0

    def changed(self, since: str) -> bool:
        """Tell whether anything may have changed, to be asked whenever anything was written to the cluster.

        Args:
            since: The oldest transaction that was at work when this was last asked.
        """
        names = [table for table in sql.REGISTRY_TABLES if table in self._reader.columns]
        tables = self._reader.session.rows(_TABLES, tables=names)
        if not all(plain for _name, plain, _pages in tables):
            return True
        rows: dict[str, int] = {}
        changed = False
        for name, _plain, pages in tables:
            whole = pages <= _MOST_PAGES
            first = 0 if whole else pages - _MOST_PAGES
            ((count, written),) = self._reader.session.rows(sql.rows_written(name), since=since, first=f"({first},0)")
            changed |= written
            if whole:
                rows[name] = count
        changed |= rows != self._rows
        self._rows = rows
        self._unread += len(rows) < len(tables)
        if changed or self._unread >= self._refreshes:
            self._unread = 0
            return True
        return False
