"""The queries of the `variants` source.

Habits that keep each of them under 50 ms at a million events, 100,000 variants and 1,000 personas:

* what is asked of a persona is a lateral probe of an index;
* personas are found by jumping through an index, and read in batches of a bounded number of variants;
* kills and events only grow, so they are counted once and then from the last counted id on (see `counters`).

Ids are cast to text only where they are given out, so that indexes apply whatever the type of the column.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from ml_monitoring.exporter.catalog import CATALOG
from ml_monitoring.exporter.errors import Reason, SourceError

CHANNEL = "variant_changes"
TRIGGER_FUNCTION = "variant_announce"

_REQUIRED = {
    "variants": ("id", "persona_id", "predicted_er", "pattern_used", "status", "posted_at"),
    "variant_monitoring": ("variant_id", "current_er", "interaction_count", "view_count", "last_updated"),
}
_OPTIONAL = {
    "variant_kills": ("id", "variant_id", "persona_id", "reason", "posted_at", "killed_at"),
    "dashboard_events": ("id", "event_type", "persona_id"),
}
TABLES = (*_REQUIRED, *_OPTIONAL)

# A label value this long is an accident, not a name.
LONGEST_LABEL = 200
NO_BUCKET = -1

# Begins each transaction. Times without a zone are read in this one; the snapshot says what is not visible yet.
BEGIN = """
    select set_config('TimeZone', %(zone)s, true), pg_snapshot_xmin(pg_current_snapshot())::text,
           pg_snapshot_xmax(pg_current_snapshot())::text, extract(epoch from now())::float8"""

# whether variants can be found by persona, and posts by persona and time
INDEXED = """
    select exists (
        select from pg_catalog.pg_index i
        join pg_catalog.pg_class c on c.oid = i.indrelid
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where c.relname = 'variants' and pg_catalog.pg_table_is_visible(c.oid) and i.indisvalid
          and i.indpred is null and a.attname = 'persona_id')"""

# persona, active variants, variants
SIZES = """
    select persona_id::text, count(*) filter (where status = any(%(statuses)s)), count(*)
    from variants where persona_id is not null group by persona_id"""

# rows that belong to nobody
WITHOUT_PERSONA = "select count(*) from variants where persona_id is null"

# persona, status, rows
STATUSES = f"""
    select persona_id::text, left(status::text, {LONGEST_LABEL}), sum(rows)::bigint
    from (select persona_id, status, count(*) as rows from variants
          where persona_id = any(%(personas)s) group by persona_id, status) s
    group by 1, 2"""

# status, rows: the most frequent ones
ALL_STATUSES = f"""
    select left(coalesce(status::text, 'NULL'), {LONGEST_LABEL}), count(*) from variants
    group by 1 order by 2 desc, 1"""

# The zone of the server, or of the database or role; not what somebody else left on a pooled connection.
SERVER_ZONE = "select reset_val from pg_catalog.pg_settings where name = 'TimeZone'"
USE_ZONE = "select set_config('TimeZone', %(zone)s, true)"

# table, column, type, of a domain the one below it
TYPES = """
    select c.relname, a.attname, coalesce(b.typname, t.typname)
    from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid
    join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_type b on b.oid = t.typbasetype and t.typtype = 'd'
    where c.relname = any(%(tables)s) and pg_catalog.pg_table_is_visible(c.oid) and a.attnum > 0"""

# persona, id, pattern, predicted, posted (epoch), current, interactions, views, active variants of the persona
_ACTIVE = """
    select p.id, a.* from unnest(%(personas)s::text[]) as p (id)
    cross join lateral (
        select v.id::text, v.pattern_used::text, {predicted},
               {posted_epoch}, {current}, {interactions}, {views}, count(*) over ()
        from variants v left join variant_monitoring m on m.variant_id = v.id
        where v.persona_id = p.id and v.status = any(%(statuses)s)
        order by {views} desc nulls last, v.id limit %(limit)s) a"""

_LATEST, _EARLIER = "h.number <= %(latest)s", "h.number > %(latest)s"


def _ratio_sums(period: str) -> str:
    """Return SQL for the columns of `RatioSums`."""
    v, i = "m.view_count", "m.interaction_count"
    which = f"filter (where {period} and m.sound)"
    sums = ", ".join(
        f"coalesce(sum({term}) {which}, 0)::float8" for term in (v, i, f"{v} * {v}", f"{v} * {i}", f"{i} * {i}")
    )
    return f"count(*) filter (where {period} and m.sound and {v} > 0), {sums}"


def _bias_sums() -> str:
    """Return SQL for the columns of `NumberSums`: of the differences of engagement and prediction."""
    difference = "m.interaction_count / m.view_count - h.predicted_er"
    which = "filter (where m.sound and m.view_count >= %(min_views)s and h.predicted_er between 0 and 1)"
    sums = ", ".join(f"coalesce(sum({term}) {which}, 0)::float8" for term in (difference, f"({difference}) ^ 2"))
    return f"count(*) {which}, {sums}"


# persona, pattern, recent posts, sums of the recent posts, of the earlier ones, and of the errors of prediction
_POSTS = f"""
    select p.id, left(h.pattern_used::text, {LONGEST_LABEL}), count(*) filter (where {_LATEST}),
           {_ratio_sums(_LATEST)},
           {_ratio_sums(_EARLIER)},
           {_bias_sums()}
    from unnest(%(personas)s::text[]) as p (id)
    cross join lateral (
        select v.id, v.pattern_used, nullif({{predicted}}, 'NaN') as predicted_er,
               row_number() over (order by {{posted_order}} desc, v.id) as number
        from variants v where v.persona_id = p.id and {{posted}} <= now()
        order by {{posted_order}} desc, v.id limit %(posts)s) h
    left join lateral (
        select n.*, n.interaction_count >= 0 and n.view_count >= n.interaction_count
                    and n.view_count < 1e15 as sound
        from (select {{views}} as view_count, {{interactions}} as interaction_count
              from variant_monitoring m where m.variant_id = h.id limit 1) n) m on true
    group by 1, 2"""

_UPDATED = """
    cross join lateral (
        select max({updated}) as updated from variant_monitoring m where m.persona_id = p.id) u"""
# Stores whose monitoring rows do not name the persona: a join, dearer.
_UPDATED_BY_JOIN = """
    cross join lateral (
        select max({updated}) as updated from variant_monitoring m join variants v on v.id = m.variant_id
        where v.persona_id = p.id) u"""

# persona, newest update (epoch), recent posts, those of them that were killed, recent kills
_RECENT = """
    select p.id, extract(epoch from u.updated)::float8, r.posts, {killed}, {kills}
    from unnest(%(personas)s::text[]) as p (id) {join_updated}
    cross join lateral (
        select count(*) as posts, {count_killed} as killed from variants v
        where v.persona_id = p.id and {posted} > now() - make_interval(secs => %(window)s)
          and {posted} <= now()) r
    {join_kills}"""
_COUNT_KILLED = "count(*) filter (where exists (select from variant_kills k where k.variant_id = v.id))"
_JOIN_KILLS = """
    cross join lateral (
        select count(*) as kills from variant_kills k where k.persona_id = p.id
          and {killed_at} > now() - make_interval(secs => %(window)s) and {killed_at} <= now()) k"""

# highest id, 0 for an empty table
NEWEST = "select coalesce(max(id), 0) from {table}"

# persona, event, bucket, rows, seconds, highest id
EVENTS = f"""
    select coalesce(c.persona_id::text, ''), left(c.event_type::text, {LONGEST_LABEL}), 0, count(*), 0::float8,
           max(c.id)
    from (select id, persona_id, event_type from dashboard_events
          where id > %(after)s and id <= %(upto)s order by id limit %(rows)s) c
    group by 1, 2"""


def _kill_buckets() -> str:
    bounds = CATALOG["variant_time_to_kill_seconds"].buckets
    cases = " ".join(f"when c.seconds <= {bound!r} then {index}" for index, bound in enumerate(bounds))
    valid = "c.seconds >= 0 and c.seconds < 'infinity'"
    return f"case when not coalesce({valid}, false) then {NO_BUCKET} {cases} else {len(bounds)} end"


# persona, reason, bucket of the time to the kill (NO_BUCKET: not known), rows, seconds, highest id
_KILLS = f"""
    select c.persona_id::text, left(c.reason::text, {LONGEST_LABEL}), {_kill_buckets()}, count(*),
           coalesce(sum(c.seconds) filter (where c.seconds >= 0 and c.seconds < 'infinity'), 0)::float8, max(c.id)
    from (select id, persona_id, reason, {{killed_epoch}} - {{kill_posted_epoch}} as seconds
          from variant_kills k where id > %(after)s and id <= %(upto)s order by id limit %(rows)s) c
    group by 1, 2, 3"""

# tables whose ids are whole numbers, so that new rows can be found by them
COUNTABLE = """
    select c.relname from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid
    where c.relname = any(%(tables)s) and pg_catalog.pg_table_is_visible(c.oid) and a.attname = 'id'
      and a.atttypid = any(array['int2', 'int4', 'int8']::regtype[])"""

# how many of the four tables announce inserts, updates and deletes
ANNOUNCED = f"""
    select count(*) from (
        select t.tgrelid from pg_catalog.pg_trigger t
        join pg_catalog.pg_class c on c.oid = t.tgrelid join pg_catalog.pg_proc f on f.oid = t.tgfoid
        where c.relname = any(%(tables)s) and pg_catalog.pg_table_is_visible(c.oid)
          and f.proname = '{TRIGGER_FUNCTION}' and t.tgenabled in ('O', 'A')
        -- Bits of tgtype: 4 insert, 8 delete, 16 update.
        group by t.tgrelid having bit_or(t.tgtype) & 28 = 28) announced"""


def require_schema(columns: Mapping[str, frozenset[str]]) -> None:
    """Check that the tables without which nothing can be said are there.

    Raises:
        SourceError: A table or column is missing; the message names it.
    """
    missing = _missing(_REQUIRED, columns)
    if not missing:
        return
    hint = "docker/postgres/variants holds the tables as this source expects them"
    if not any(table in columns for table in _REQUIRED):
        message = "no variant tables found"
        hint = f"check the database name and search_path; {hint}"
    else:
        message = f"the variant tables lack {', '.join(missing)}"
    raise SourceError(Reason.SCHEMA, message, hint=hint)


def missing_parts(columns: Mapping[str, frozenset[str]], countable: Container[str]) -> dict[str, list[str]]:
    """Return what is missing of each table that the source can do without.

    Args:
        columns: Columns of the tables that exist.
        countable: Tables whose ids are whole numbers.
    """
    found = {}
    for table, names in _OPTIONAL.items():
        missing = _missing({table: names}, columns)
        if not missing and table not in countable:
            missing = [f"column {table}.id of a whole number type"]
        if missing:
            found[table] = missing
    return found


def _missing(wanted: Mapping[str, tuple[str, ...]], columns: Mapping[str, frozenset[str]]) -> list[str]:
    missing = [f"table {table}" for table in wanted if table not in columns]
    for table, names in wanted.items():
        missing += [f"column {table}.{name}" for name in names if name not in columns.get(table, names)]
    return missing


# Types by name: what a value of another type comes to costs that value, not the query.
Types = Mapping[tuple[str, str], str]
_NAIVE_TYPES = ("timestamp", "date")
_TEXT_TYPES = ("text", "varchar", "bpchar", "name")
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?\s*$"
_LONGEST_NUMBER = 60
_NUMBER_COLUMNS = (
    ("variants", "predicted_er"),
    *(("variant_monitoring", column) for column in ("current_er", "interaction_count", "view_count")),
)
_TIME = (
    r"^\s*[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?)?\s*(Z|UTC|[+-](0\d|1[0-4])(:?[0-5]\d)?)?\s*$"
)
_TIME_COLUMNS = (
    ("variants", "posted_at"),
    ("variant_monitoring", "last_updated"),
    ("variant_kills", "posted_at"),
    ("variant_kills", "killed_at"),
)


@dataclass(frozen=True, slots=True)
class FittedQueries:
    """The queries whose form depends on the types of the columns."""

    active: str
    posts: str
    recent: str
    kills: str


def without_zone(types: Types) -> list[str]:
    """Return the columns of times that say no time zone, or need not."""
    kinds = (*_NAIVE_TYPES, *_TEXT_TYPES)
    return [f"{table}.{column}" for table, column in _TIME_COLUMNS if types.get((table, column)) in kinds]


def build(types: Types, *, with_kills: bool) -> FittedQueries:
    """Return the queries, fitted to the tables at hand.

    Args:
        types: Type of each column by table and column.
        with_kills: Whether kills can be read.
    """

    def number(alias: str, table: str, column: str) -> str:
        return _number(f"{alias}.{column}", types.get((table, column), ""))

    def time(alias: str, table: str, column: str) -> tuple[str, str]:
        return f"{alias}.{column}", types.get((table, column), "")

    posted, killed = time("v", "variants", "posted_at"), time("k", "variant_kills", "killed_at")
    numbers = {
        "predicted": number("v", "variants", "predicted_er"),
        "views": number("m", "variant_monitoring", "view_count"),
        "interactions": number("m", "variant_monitoring", "interaction_count"),
    }
    updated = _UPDATED if ("variant_monitoring", "persona_id") in types else _UPDATED_BY_JOIN
    return FittedQueries(
        active=_ACTIVE.format(
            current=number("m", "variant_monitoring", "current_er"), posted_epoch=_epoch(*posted), **numbers
        ),
        posts=_POSTS.format(
            posted=_moment(*posted),
            # As it is where that is the same order, for the sake of an index.
            posted_order=_moment(*posted) if posted[1] in _TEXT_TYPES else posted[0],
            **numbers,
        ),
        recent=_RECENT.format(
            posted=_moment(*posted),
            join_updated=updated.format(updated=_moment(*time("m", "variant_monitoring", "last_updated"))),
            killed="r.killed" if with_kills else "null",
            kills="k.kills" if with_kills else "null",
            count_killed=_COUNT_KILLED if with_kills else "0",
            join_kills=_JOIN_KILLS.format(killed_at=_moment(*killed)) if with_kills else "",
        ),
        kills=_KILLS.format(
            killed_epoch=_epoch(*killed), kill_posted_epoch=_epoch(*time("k", "variant_kills", "posted_at"))
        ),
    )


def unreadable(types: Types) -> dict[str, str]:
    """Return, by columns of numbers that hold text, the query that counts rows without a number and shows one.

    Args:
        types: Type of each column by table and column.
    """
    return {
        f"{table}.{column}": f"select count(*), left(min({column}::text), 40) from {table} where {number} = 'NaN'"
        for table, column in _NUMBER_COLUMNS
        if (kind := types.get((table, column), "")) in _TEXT_TYPES and (number := _number(column, kind))
    }


def _number(column: str, kind: str) -> str:
    """Return SQL for a column as a number; NaN for what is none, or beyond what a float can be."""
    if kind in ("int2", "int4", "int8", "float4", "float8"):
        return f"{column}::float8"
    if kind == "numeric":
        good = f"abs({column}) < 1e300 then round({column}, 30)::float8"
    elif kind in _TEXT_TYPES:
        good = (
            f"length({column}::text) < {_LONGEST_NUMBER} and {column}::text ~ '{_NUMBER}' then {column}::text::float8"
        )
    else:
        good = "false then null"
    return f"(case when {column} is null then null when {good} else 'NaN'::float8 end)"


def _moment(column: str, kind: str) -> str:
    """Return SQL for a column as a time with a zone, the transaction's where it says none; null for what is none."""
    if kind == "timestamptz":
        return column
    if kind in _NAIVE_TYPES:
        return f"{column}::timestamptz"
    if kind not in _TEXT_TYPES:
        return "null::timestamptz"
    text = f"ltrim({column}::text)"
    year, month, day = (f"substr({text}, {first}, {length})::int" for first, length in ((1, 4), (6, 2), (9, 2)))
    # One case in the other: the order of what `and` joins is not promised, and a cast that fails ends the query.
    exists = f"extract(month from make_date({year}, {month}, 1) + ({day} - 1)) = {month}"
    return f"(case when {column}::text ~ '{_TIME}' then case when {exists} then {column}::text::timestamptz end end)"


def _epoch(column: str, kind: str) -> str:
    """Return SQL for a column of times in seconds since the epoch; NaN for what is no time."""
    seconds = f"extract(epoch from {_moment(column, kind)})::float8"
    if kind in ("timestamptz", *_NAIVE_TYPES):
        return seconds
    return f"(case when {column} is not null then coalesce({seconds}, 'NaN'::float8) end)"
