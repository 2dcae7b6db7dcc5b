"""What the columns of a store's tables must hold.

SQLite keeps anything in any column: text in one of integers, a blob in place of a name. A row in which that is so is
left out of every query, by views that hold the others, and named. A server's columns hold what they are declared for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

# What is read of each table and what it must hold, as SQLite keeps anything in any column; ? means that it may be null.
# The first columns say which row it is.
_LATEST_MS = 253402300799999  # the end of the year 9999
_CONTENTS = {
    "experiments": {"experiment_id": "integer", "name": "text", "lifecycle_stage": "text", "workspace": "text"},
    "runs": {
        "run_uuid": "text", "experiment_id": "integer", "status": "text?", "lifecycle_stage": "text?",
        "start_time": "number?", "end_time": "number?",
    },
    "latest_metrics": {"run_uuid": "text", "key": "text", "value": "value", "is_nan": "integer"},
    "params": {"run_uuid": "text", "key": "text", "value": "text"},
    "tags": {"run_uuid": "text", "key": "text", "value": "text?"},
    "model_versions": {
        "name": "text", "version": "integer", "run_id": "text?", "current_stage": "text?", "creation_time": "number?",
        "workspace": "text",
    },
    "registered_model_aliases": {"name": "text", "alias": "text", "version": "integer", "workspace": "text"},
    "datasets": {"experiment_id": "integer"},
    "logged_models": {
        "experiment_id": "integer", "status": "integer", "creation_timestamp_ms": "number", "lifecycle_stage": "text",
    },
    "trace_info": {
        "experiment_id": "integer", "timestamp_ms": "number", "status": "text?", "execution_time_ms": "number?",
        "input_tokens": "number?", "output_tokens": "number?", "input_cost": "number?", "output_cost": "number?",
    },
}  # fmt: skip
_BY_KEY = ("params", "tags")
_CONDITIONS = {
    "text": "typeof({0}) = 'text'",
    "integer": "typeof({0}) = 'integer'",
    "value": "typeof({0}) in ('integer', 'real')",
    "number": f"(typeof({{0}}) in ('integer', 'real') and {{0}} between -{_LATEST_MS} and {_LATEST_MS})",
}


def sound(columns: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """Return the condition, in SQLite's words, under which a row of a table holds what it is for."""
    return {
        table: " and ".join(_condition(column, kind) for column, kind in contents.items())
        for table, contents in _contents(columns)
    }


def unsound(columns: Mapping[str, frozenset[str]], listed: int) -> list[str]:
    """Return SQL for the rows that do not: what is wrong, which row it is, how many there are in the table.

    Of params and tags, of which there are many, it looks at those of `keys`.
    """
    queries = []
    for table, contents in _contents(columns):
        cases = " ".join(
            f"when not {_condition(column, kind)} then '{table}.{column} is ' || case typeof({column}) when 'integer' "
            f"then 'too large' when 'real' then 'a fraction, or too large' else typeof({column}) end"
            for column, kind in contents.items()
        )
        names = list(contents)[:2]
        which = " || ', ' || ".join(f"'{name} ' || {_quoted(name)}" for name in names)
        conditions = " and ".join(_condition(column, kind) for column, kind in contents.items())
        only = "key = any(%(keys)s) and" if table in _BY_KEY else ""
        found = f"from main.{table} where {only} not ({conditions}) limit {listed}"
        queries.append(f"select case {cases} end, {which}, count(*) over () {found}")
    return queries


def _contents(columns: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, dict[str, str]]]:
    for table, contents in _CONTENTS.items():
        there = {column: kind for column, kind in contents.items() if column in columns.get(table, ())}
        if there:
            yield table, there


def _condition(column: str, kind: str) -> str:
    condition = _CONDITIONS[kind.removesuffix("?")].format(column)
    return f"({column} is null or {condition})" if kind.endswith("?") else f"({condition})"


def _quoted(column: str) -> str:
    shortened = f"substr({column}, 1, 60)"
    return f"quote(case when typeof({column}) in ('text', 'blob') then {shortened} else {column} end)"
