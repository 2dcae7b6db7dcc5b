"""The queries of the `variants` source.

Habits that keep each of them under 50 ms at a million events, 100,000 variants and 1,000 personas:

* what is asked of a persona is a lateral probe of an index;
* personas are found by jumping through an index, and read in batches of a bounded number of variants;
* kills and events only grow, so they are counted once and then from the last counted id on (see `counters`).

Ids are cast to text only where they are given out, so that indexes apply whatever the type of the column.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

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

# Begins each transaction. Columns without a time zone hold UTC; what is not visible yet is known from the snapshot.
BEGIN = """
    select set_config('TimeZone', 'UTC', true), pg_snapshot_xmin(pg_current_snapshot())::text,
           pg_snapshot_xmax(pg_current_snapshot())::text, extract(epoch from now())::float8"""

# Each persona, by jumping from one to the next in the index: a thousandth of the rows are touched.
PERSONAS = """
    with recursive persona (id) as (
        (select persona_id from variants order by persona_id limit 1)
        union all
        select (select v.persona_id from variants v where v.persona_id > p.id order by v.persona_id limit 1)
        from persona p where p.id is not null
    )
    select id::text from persona where id is not null"""
# The same where there is no such index, and each jump would read the whole table.
PERSONAS_WITHOUT_INDEX = "select distinct persona_id::text from variants where persona_id is not null"

# whether variants can be found by persona, and posts by persona and time
INDEXED = """
    select exists (
        select from pg_catalog.pg_index i
        join pg_catalog.pg_class c on c.oid = i.indrelid
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where c.relname = 'variants' and pg_catalog.pg_table_is_visible(c.oid) and i.indisvalid
          and i.indpred is null and a.attname = 'persona_id')"""

# rows that belong to nobody
WITHOUT_PERSONA = "select count(*) from variants where persona_id is null"

# persona, status, rows
STATUSES = f"""
    select persona_id::text, left(status::text, {LONGEST_LABEL}), sum(rows)::bigint
    from (select persona_id, status, count(*) as rows from variants
          where persona_id = any(%(personas)s) group by persona_id, status) s
    group by 1, 2"""

# persona, id, pattern, predicted, posted (epoch), current, interactions, views, active variants of the persona
ACTIVE = """
    select p.id, a.* from unnest(%(personas)s::text[]) as p (id)
    cross join lateral (
        select v.id::text, v.pattern_used::text, v.predicted_er::float8,
               extract(epoch from v.posted_at)::float8, m.current_er::float8,
               m.interaction_count::float8, m.view_count::float8, count(*) over ()
        from variants v left join variant_monitoring m on m.variant_id = v.id
        where v.persona_id = p.id and v.status = any(%(statuses)s)
        order by m.view_count desc nulls last, v.id limit %(limit)s) a"""

# persona, pattern, recent posts, recent views and interactions, earlier views and interactions, posts whose
# engagement is below and above the prediction
POSTS = f"""
    select p.id, left(h.pattern_used::text, {LONGEST_LABEL}), count(*) filter (where h.number <= %(latest)s),
           coalesce(sum(m.view_count) filter (where h.number <= %(latest)s and m.sound), 0)::float8,
           coalesce(sum(m.interaction_count) filter (where h.number <= %(latest)s and m.sound), 0)::float8,
           coalesce(sum(m.view_count) filter (where h.number > %(latest)s and m.sound), 0)::float8,
           coalesce(sum(m.interaction_count) filter (where h.number > %(latest)s and m.sound), 0)::float8,
           count(*) filter (where m.sound and m.view_count >= %(min_views)s
                            and m.interaction_count < h.predicted_er * m.view_count),
           count(*) filter (where m.sound and m.view_count >= %(min_views)s
                            and m.interaction_count > h.predicted_er * m.view_count)
    from unnest(%(personas)s::text[]) as p (id)
    cross join lateral (
        select v.id, v.pattern_used, v.predicted_er, row_number() over (order by v.posted_at desc, v.id) as number
        from variants v where v.persona_id = p.id and v.posted_at <= now()
        order by v.posted_at desc, v.id limit %(posts)s) h
    left join lateral (
        select m.view_count, m.interaction_count,
               m.interaction_count >= 0 and m.view_count >= m.interaction_count as sound
        from variant_monitoring m where m.variant_id = h.id limit 1) m on true
    group by 1, 2"""

_UPDATED = """
    cross join lateral (
        select max(m.last_updated) as updated from variant_monitoring m where m.persona_id = p.id) u"""
# Stores whose monitoring rows do not name the persona: a join, dearer.
_UPDATED_BY_JOIN = """
    cross join lateral (
        select max(m.last_updated) as updated from variant_monitoring m join variants v on v.id = m.variant_id
        where v.persona_id = p.id) u"""

# persona, newest update (epoch), recent posts, those of them that were killed, recent kills
_RECENT = """
    select p.id, extract(epoch from u.updated)::float8, r.posts, {killed}, {kills}
    from unnest(%(personas)s::text[]) as p (id) {updated}
    cross join lateral (
        select count(*) as posts, {count_killed} as killed from variants v
        where v.persona_id = p.id and v.posted_at > now() - make_interval(secs => %(window)s)
          and v.posted_at <= now()) r
    {join_kills}"""
_COUNT_KILLED = "count(*) filter (where exists (select from variant_kills k where k.variant_id = v.id))"
_JOIN_KILLS = """
    cross join lateral (
        select count(*) as kills from variant_kills k where k.persona_id = p.id
          and k.killed_at > now() - make_interval(secs => %(window)s) and k.killed_at <= now()) k"""

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
KILLS = f"""
    select c.persona_id::text, left(c.reason::text, {LONGEST_LABEL}), {_kill_buckets()}, count(*),
           coalesce(sum(c.seconds) filter (where c.seconds >= 0 and c.seconds < 'infinity'), 0)::float8, max(c.id)
    from (select id, persona_id, reason,
                 extract(epoch from killed_at)::float8 - extract(epoch from posted_at)::float8 as seconds
          from variant_kills where id > %(after)s and id <= %(upto)s order by id limit %(rows)s) c
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


def recent(columns: Mapping[str, frozenset[str]], *, with_kills: bool) -> str:
    """Return the query of what happened lately, fitted to the tables at hand."""
    return _RECENT.format(
        updated=_UPDATED if "persona_id" in columns["variant_monitoring"] else _UPDATED_BY_JOIN,
        killed="r.killed" if with_kills else "null",
        kills="k.kills" if with_kills else "null",
        count_killed=_COUNT_KILLED if with_kills else "0",
        join_kills=_JOIN_KILLS if with_kills else "",
    )
