"""The queries of the `mlflow` source, fitted to the store at hand.

MLflow's stores differ by version (no aliases before 2.3, workspaces since 3.x), so what exists is looked up and the
SQL is put together for it. Three habits keep the queries fast on 100,000 runs:

* all runs are read once; afterwards PostgreSQL knows which rows were written since (`xmin`), in a scan of `runs`, which
  has no index that could spare it, or of some of its pages, and MySQL sums over the rows by how their ids begin;
* params, tags and metrics are fetched in a second step by run id, through MLflow's own indexes;
* the best values over all runs are read once, and again only where the run that held one is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_monitoring.exporter.database import Dialect
from ml_monitoring.exporter.errors import Reason, SourceError

_REQUIRED = {
    "experiments": ("experiment_id", "name", "lifecycle_stage"),
    "runs": ("run_uuid", "experiment_id", "status", "lifecycle_stage", "start_time", "end_time"),
    "latest_metrics": ("run_uuid", "key", "value", "is_nan"),
    "params": ("run_uuid", "key", "value"),
    "tags": ("run_uuid", "key", "value"),
    "model_versions": ("name", "version", "run_id", "current_stage", "creation_time"),
}
_OPTIONAL = ("registered_model_aliases", "metrics", "alembic_version")
# Tables of newer versions, and what is not worth much; who may not read them does without.
EXTRA_TABLES = (
    *("datasets", "logged_models", "registered_model_tags"),
    *("assessments", "trace_info", "trace_request_metadata", "trace_tags"),
)
# What registered versions are read from, as far as a store has it.
REGISTRY_TABLES = ("model_versions", "registered_model_aliases")
PARENT_TAG = "mlflow.parentRunId"
# MLflow keeps prompts as models with this tag.
PROMPT_TAG = "mlflow.prompt.is_prompt"
TABLES = (*_REQUIRED, *_OPTIONAL, *EXTRA_TABLES)
COUNTED_TABLES = (
    *("datasets", "experiments", "latest_metrics", "logged_models", "metrics", "model_versions", "params", "runs"),
    *("tags", "trace_info"),
)

_LISTED = frozenset({"experiments", "model_versions", "runs"})

# MLflow stores +-Inf as the largest double; two of them in one sum() overflow and fail the whole query.
STORED_INFINITY = 1.7976931348623157e308


# Of a run that belongs to none.
NO_EXPERIMENT = -1


@dataclass(frozen=True, slots=True)
class Queries:
    """The SQL for one store; see the properties of the result rows in each comment of `build`."""

    experiments: str
    runs: str
    runs_by_id: str
    run_rows: str
    changed_runs: str
    run_ids: str
    run_ids_between: str
    run_sums: str
    label_rows: Mapping[str, str]
    param_keys: str
    late_params: str
    run_metrics: str
    run_texts: tuple[str, ...]
    late_metrics: str
    late_metrics_of_runs: str
    best: str
    best_of_experiments: str
    best_of_pairs: str
    best_between: str
    versions: str
    aliases: str | None
    rows: str


@dataclass(frozen=True, slots=True)
class LabelSource:
    """Where a label's value comes from: a param or a tag of the run."""

    table: str
    key: str

    @classmethod
    def parse(cls, text: str) -> LabelSource:
        """Read `param:KEY` or `tag:KEY`.

        Raises:
            ValueError: The text has another form.
        """
        kind, _, key = text.partition(":")
        if kind not in ("param", "tag") or not key:
            raise ValueError(f"{text!r} is not of the form param:KEY or tag:KEY")
        return cls(f"{kind}s", key)


def qualified(workspace: str, name: str) -> str:
    """Return the name that an experiment or model is exposed as."""
    return name if workspace == "default" else f"{workspace}/{name}"


def require_schema(columns: Mapping[str, frozenset[str]]) -> None:
    """Check that the tables are those of an MLflow store.

    Raises:
        SourceError: A table or column is missing; the message names it.
    """
    missing_tables = [table for table in _REQUIRED if table not in columns]
    if len(missing_tables) == len(_REQUIRED):
        raise SourceError(
            Reason.SCHEMA,
            "no MLflow tables found",
            hint="check which database it is, and with PostgreSQL the search_path; "
            "a new store gets its tables when MLflow first uses it",
        )
    missing = [f"table {table}" for table in missing_tables]
    if len(missing) > len(_REQUIRED) // 2:
        there = ", ".join(table for table in _REQUIRED if table in columns)
        raise SourceError(
            Reason.SCHEMA,
            f"no MLflow store: of its tables there is only {there}; it lacks {', '.join(missing)}",
            # MySQL shows nobody a table that he may not read.
            hint="check which database it is, with PostgreSQL the search_path, and what the user may read",
        )
    for table, names in _REQUIRED.items():
        missing += [f"column {table}.{name}" for name in names if name not in columns.get(table, names)]
    if missing:
        raise SourceError(
            Reason.SCHEMA,
            f"MLflow store lacks {', '.join(missing)}",
            hint="upgrade it with `mlflow db upgrade URI`; supported are stores of MLflow 2.x and 3.x",
        )


def build(
    dialect: Dialect,
    columns: Mapping[str, frozenset[str]],
    labels: Sequence[Sequence[LabelSource]],
    *,
    children: bool,
) -> Queries:
    """Put the queries together for a store.

    Args:
        dialect: Kind of database.
        columns: Columns of the tables that exist.
        labels: For each label the places to look at, first found counts.
        children: Whether to look which runs have a parent.
    """
    workspaces = "workspace" in columns["experiments"]
    runs = _runs(labels, children=children, dialect=dialect)
    tables = {source.table for sources in labels for source in sources} | ({"tags"} if children else set())
    # experiment_id, key, highest, lowest; finite values only
    best = f"""
        select r.experiment_id, m.key, max(m.value), min(m.value)
        from latest_metrics m join runs r on r.run_uuid = m.run_uuid
        where r.status = 'FINISHED' and r.lifecycle_stage = 'active' and not m.is_nan
          and m.value < {STORED_INFINITY!r} and m.value > -{STORED_INFINITY!r} {{}}
        group by r.experiment_id, m.key{exactly(dialect, "m.key")}"""
    late_metrics = """
        select run_uuid, key, age(%(since)s::xid) - age(xmin) from latest_metrics
        where age(xmin) between 0 and age(%(since)s::xid)"""
    return Queries(
        # experiment_id, name, lifecycle_stage, workspace
        experiments=f"""
            select experiment_id, name, lifecycle_stage, {"workspace" if workspaces else "'default'"}
            from experiments""",
        # run_uuid, start_time, end_time, experiment_id, status, lifecycle_stage, whether it has a parent, one value
        # for each label
        runs=runs,
        runs_by_id=f"{runs} where r.run_uuid = any(%(runs)s)",
        # run_uuid, experiment_id, status, lifecycle_stage, start_time, end_time; of a range of ids, to be filled in
        run_rows=f"""
            select run_uuid, coalesce(experiment_id, {NO_EXPERIMENT}), status, lifecycle_stage, start_time, end_time
            from runs where run_uuid >= {{first}} and run_uuid < {{last}}""",
        # runs, ids of those that a transaction wrote which was not over when `since` was the oldest one at work;
        # in these pages; PostgreSQL only. The age of the ids of long-gone transactions can be negative.
        changed_runs="""
            select count(*), array_agg(run_uuid) filter (where age(xmin) between 0 and age(%(since)s::xid))
            from runs where ctid >= %(first)s::tid and ctid < %(last)s::tid""",
        run_ids="select run_uuid from runs",
        # run_uuid; by the primary key
        run_ids_between="select run_uuid from runs where run_uuid >= %(first)s and run_uuid <= %(last)s",
        # beginning of ids, sum over the runs with it that changes with any of them; MySQL only. A sum alone, of numbers
        # that a change alters alike in two runs, could stay the same.
        run_sums="""
            select left(run_uuid, %(digits)s), sum(crc32(concat_ws(',', run_uuid, coalesce(experiment_id, ''),
                   coalesce(status, ''), coalesce(lifecycle_stage, ''), coalesce(start_time, ''),
                   coalesce(end_time, ''))) * crc32(run_uuid))
            from runs where run_uuid >= %(first)s and run_uuid < %(last)s group by 1""",
        # run_uuid, key, value; by the primary key of params and tags
        label_rows={
            table: f"""
            select t.run_uuid, t.key, t.value from {table} t
            where t.key = any(%({table})s) and t.run_uuid >= %(first)s and t.run_uuid <= %(last)s"""
            for table in sorted(tables)
        },
        # run_uuid, key; by the primary key of params alone, wherever its rows lie
        param_keys="""
            select t.run_uuid, t.key from params t
            where t.key = any(%(params)s) and t.run_uuid >= %(first)s and t.run_uuid <= %(last)s""",
        # run_uuid; PostgreSQL only
        late_params="""
            select run_uuid from params
            where ctid >= %(first)s::tid and ctid < %(last)s::tid and age(xmin) between 0 and age(%(since)s::xid)
              and key = any(%(params)s)""",
        # run_uuid, key, value, is_nan
        run_metrics="""
            select m.run_uuid, m.key, m.value, m.is_nan from latest_metrics m
            where m.run_uuid = any(%(runs)s)""",
        # run_uuid, key, value
        run_texts=tuple(
            f"""
            select t.run_uuid, t.key, t.value from {table} t
            where t.run_uuid = any(%(runs)s) and t.key = any(%(keys)s)"""
            for table in ("params", "tags")
        ),
        # run_uuid, key, age of the row relative to `since`; PostgreSQL only
        late_metrics=f"{late_metrics} and ctid >= %(first)s::tid and ctid < %(last)s::tid",
        # The same; by the index on the run.
        late_metrics_of_runs=f"{late_metrics} and run_uuid = any(%(runs)s)",
        best=best.format(""),
        best_of_experiments=best.format("and r.experiment_id = any(%(experiments)s)"),
        best_of_pairs=best.format("and r.experiment_id = any(%(experiments)s) and m.key = any(%(keys)s)"),
        best_between=best.format("and r.run_uuid >= %(first)s and r.run_uuid < %(last)s"),
        versions=_versions(columns, workspaces=workspaces),
        aliases=_aliases(workspaces=workspaces) if "registered_model_aliases" in columns else None,
        rows=_rows(columns, dialect),
    )


def exactly(dialect: Dialect, *columns: str) -> str:
    """Return what makes groups of texts that are equal to the letter, as MySQL counts accents and case for nothing."""
    return "".join(f", crc32({column})" for column in columns) if dialect == "mysql" else ""


def _runs(labels: Sequence[Sequence[LabelSource]], *, children: bool, dialect: Dialect) -> str:
    joins: list[str] = []
    child = "false"
    if children:
        joins.append(f"left join tags c on c.run_uuid = r.run_uuid and c.key = '{PARENT_TAG}'")
        child = "c.run_uuid is not null"
    values: list[str] = []
    number = 0
    for sources in labels:
        aliases = []
        for source in sources:
            number += 1
            alias = f"l{number}"
            joins.append(
                f"left join {source.table} {alias} on {alias}.run_uuid = r.run_uuid and {alias}.key = %({alias})s"
            )
            if dialect == "mysql":
                # Besides, as an index is of MySQL's own idea of what is equal.
                joins[-1] += f" and {alias}.key = %({alias})s collate utf8mb4_bin"
            aliases.append(f"{alias}.value")
        values.append(f"coalesce({', '.join([*aliases, repr('')])})")
    return f"""
        select r.run_uuid, r.start_time, r.end_time, coalesce(r.experiment_id, {NO_EXPERIMENT}), r.status,
               r.lifecycle_stage, {child}, {", ".join(values)}
        from runs r {" ".join(joins)}"""


def label_parameters(labels: Sequence[Sequence[LabelSource]]) -> dict[str, str]:
    """Return the parameters of `Queries.runs` and of `Queries.runs_by_id`."""
    keys = [source.key for sources in labels for source in sources]
    return {f"l{number}": key for number, key in enumerate(keys, start=1)}


def _versions(columns: Mapping[str, frozenset[str]], *, workspaces: bool) -> str:
    """Return SQL for rows of workspace, model, version, run id, stage and time of creation (ms), without prompts."""
    prompts = f"""
        and not exists (select 1 from registered_model_tags t where t.name = v.name and t.key = '{PROMPT_TAG}'
                        and t.value = 'true' {"and t.workspace = v.workspace" if workspaces else ""})"""
    return f"""
        select {"v.workspace" if workspaces else "'default'"}, v.name, v.version, v.run_id, v.current_stage,
               v.creation_time
        from model_versions v where coalesce(v.current_stage, '') <> 'Deleted_Internal'
        {prompts if "registered_model_tags" in columns else ""}"""


def _aliases(*, workspaces: bool) -> str:
    """Return SQL for rows of workspace, model and version, as `_versions` has them, and alias."""
    same_workspace = "and v.workspace = a.workspace" if workspaces else ""
    return f"""
        select {"v.workspace" if workspaces else "'default'"}, v.name, v.version, a.alias
        from registered_model_aliases a join model_versions v
          on v.name = a.name and v.version = a.version {same_workspace}"""


def rows_written(table: str) -> str:
    """Return SQL for the rows of a table's pages, and whether any was written since; PostgreSQL only."""
    return f"""
        select count(*), count(*) filter (where age(xmin) between 0 and age(%(since)s::xid)) > 0
        from {table} where ctid >= %(first)s::tid"""


def _rows(columns: Mapping[str, frozenset[str]], dialect: Dialect) -> str:
    """Return SQL for rows of table, estimated rows."""
    tables = [table for table in COUNTED_TABLES if table in columns]
    names = ", ".join(f"'{table}'" for table in tables)
    if dialect == "memory":
        # Of the others a tracking server does not tell.
        return " union all ".join(f"select '{table}', count(*) from {table}" for table in tables if table in _LISTED)
    if dialect == "mysql":
        return f"""
            select table_name, table_rows from information_schema.tables
            where table_schema = database() and table_name in ({names}) and table_rows is not null
            order by table_name"""
    if dialect == "postgresql":
        # -1: never vacuumed or analysed, so nothing is known.
        return f"""
            select relname, reltuples from pg_catalog.pg_class
            where relname in ({names}) and relkind in ('r', 'p') and pg_catalog.pg_table_is_visible(oid)
              and reltuples >= 0 order by relname"""
    return " union all ".join(f"select '{table}', coalesce(max(rowid), 0) from main.{table}" for table in tables)
