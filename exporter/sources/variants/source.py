"""Metrics of competing content variants: performance, kills, worn-out patterns, and what is a real difference.

Reads `variants` and `variant_monitoring`, and `variant_kills` and `dashboard_events` where they exist, read-only; never
the content of a variant or of an event. With the triggers of docker/postgres/variants a change is read at once, and
only the personas that it touches. Without them everything is read again at each interval. With them an interval reads
a part of the personas again, one part after the other: for what depends on the clock, and in case that something was
missed. After each time that the connection was lost everything is read again.
"""

from __future__ import annotations

import heapq
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from typing_extensions import override

from ml_monitoring.exporter.catalog.variants import VARIANT_METRICS
from ml_monitoring.exporter.database import PostgresSession, Session
from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.base import Source, SourceSettings, require_match
from ml_monitoring.exporter.sources.variants import sql
from ml_monitoring.exporter.sources.variants.counters import Key, Moment, Ratchet, RowCounter, Sum
from ml_monitoring.exporter.sources.variants.history import VariantHistory
from ml_monitoring.exporter.sources.variants.listener import Changes, Listener
from ml_monitoring.exporter.sources.variants.persona import Persona, Problems, Rows, add_events, add_kills, build
from ml_monitoring.exporter.sources.variants.rules import RULES
from ml_monitoring.exporter.sources.variants.settings import VariantsSettings
from ml_monitoring.exporter.values import rereading

# Variants a query, summed over its personas, and personas a query: what takes a few milliseconds.
_BATCH_VARIANTS = 2000
_BATCH_PERSONAS = 200
# The runner's tick may come a little before the interval is over by this source's own clock.
_ALMOST = 0.9
_SHOWN_STATUSES = 8
# While changes are announced, an interval reads this many personas again, or as many as are read within 20 intervals.
_LEAST_AGAIN = 50
_ROUND = 20
# Counters remembered of what is no longer shown; about 20 MB at worst.
_REMEMBERED = 100_000


@dataclass(slots=True)
class _Schema:
    """What the database has.

    Attributes:
        queries: The queries that depend on the types of the columns.
        without_zone: Columns of times that say no time zone.
        missing: What is missing of the tables that the source can do without.
        announced: Whether every table that exists announces its changes.
        indexed: Whether variants can be found by their persona without reading all of them.
    """

    queries: sql.FittedQueries
    without_zone: list[str]
    missing: dict[str, list[str]]
    announced: bool
    indexed: bool


@dataclass(slots=True)
class _Read:
    """What one refresh read.

    Attributes:
        rows: By persona; those that were asked for but are gone are missing.
        kills: Counts of kills; None without the table.
        events: Counts of events; None without the table.
        left_out: Personas beyond the cap.
    """

    rows: dict[str, Rows]
    kills: dict[Key, Sum] | None = None
    events: dict[Key, Sum] | None = None
    left_out: int = 0
    problems: Problems = field(default_factory=Problems)


class VariantsSource(Source):
    """Reads one variant system."""

    name: ClassVar[str] = "variants"
    Settings: ClassVar[type[SourceSettings]] = VariantsSettings

    def __init__(self, settings: VariantsSettings) -> None:
        self._settings = settings
        self._session: Session = PostgresSession(
            settings.uri.get_secret_value(), timeout=settings.timeout, read_again=rereading(settings.uri)
        )
        self._changes = Changes()
        self._listener: Listener | None = None
        self._next_tick = 0.0
        self._last_again = ""
        self._schema: _Schema | None = None
        self._personas: dict[str, Persona] = {}
        self._known_statuses: set[str] = set()
        self._left_out = 0
        self._problems = Problems()
        self._ratchet = Ratchet(_REMEMBERED)
        self._history = VariantHistory(settings.history)
        self._kills = RowCounter("variant_kills")
        self._events = RowCounter("dashboard_events", sql.EVENTS)
        self._counters_noted = False
        self._zone = settings.timezone or "UTC"

    @override
    def start(self, wake: Callable[[], None]) -> None:
        if self._settings.listen:
            uri = self._settings.listen_uri or self._settings.uri
            session = PostgresSession(uri.get_secret_value(), timeout=self._settings.timeout, read_again=rereading(uri))
            self._listener = Listener(session, self._changes, wake)
            self._listener.start()

    @override
    def collect(self) -> FamilySet:
        """Read what changed, or everything when the interval is over."""
        changed = self._changes.take()
        now = time.monotonic()
        tick = now >= self._next_tick
        if tick and changed is not None:
            changed = changed.union(self._next_part()) if self._listening else None
        if changed is None:
            self._session.replaced.clear()
        try:
            read = self._read(changed, look_up=tick or changed is None)
        except BaseException:
            # What was announced must not be forgotten.
            self._changes.add(None)
            raise
        if tick:
            self._next_tick = now + _ALMOST * self._settings.interval
        if changed is None:
            self._personas = {}
            self._left_out = read.left_out
            self._problems = read.problems
        self._update(read, changed)
        return self._families(read)

    @override
    def check(self) -> str:
        """Count what there is, say how changes are found, and what `collect` leaves out."""
        # Nothing is changed by looking.
        self._history.freeze()
        if self._history.refused is not None:
            raise self._history.refused
        families = self.collect()
        schema = self._schema
        assert schema is not None  # noqa: S101  # looked up by `collect`
        with self._session.transaction():
            ((variants, personas),) = self._session.rows("select count(*), count(distinct persona_id) from variants")
            if personas and not self._personas:
                rows = self._session.rows("select distinct persona_id from variants where persona_id is not null")
                require_match("personas", self._settings.personas, {persona for (persona,) in rows}, "personas")
            notes = "".join(self._notes())
        how = "changes are announced" if schema.announced else "no triggers announce changes: they are found by polling"
        if not schema.indexed:
            how += "; no index finds variants by persona, see docker/postgres/variants/002_indexes.sql"
        if schema.without_zone:
            origin = "setting timezone" if self._settings.timezone else "the server's zone; setting timezone"
            how += f"; times in {', '.join(schema.without_zone)} that say no zone are read as {self._zone} ({origin})"
        lacking = "".join(f"; without {', '.join(missing)}" for missing in schema.missing.values())
        left_out = families.describe_problems(Reason.INVALID_VALUE)
        return f"PostgreSQL: {variants} variants of {personas} personas; {how}{lacking}{notes}{left_out}"

    def _notes(self) -> Iterator[str]:
        """Yield, for `check`, what is odd in the rows of all variants."""
        statuses: dict[str, int] = dict(self._session.rows(sql.ALL_STATUSES))
        wanted = self._settings.active_statuses
        if statuses and not statuses.keys() & set(wanted):
            shown = ", ".join([*statuses][:_SHOWN_STATUSES]) + (", ..." if len(statuses) > _SHOWN_STATUSES else "")
            yield f"; 0 of {sum(statuses.values())} rows have one of active_statuses ({', '.join(wanted)}); "
            yield f"there are: {shown}"
        found = self._session.rows(sql.TYPES, tables=list(sql.TABLES))
        for column, query in sql.unreadable({(table, name): kind for table, name, kind in found}).items():
            ((rows, shown),) = self._session.rows(query)
            if rows:
                yield f"; {column} is text, and no number in {rows} rows, such as {shown!r}"

    @override
    def abort(self) -> None:
        self._session.abort()

    @override
    def close(self) -> None:
        if self._listener is not None:
            self._listener.stop()
        self._history.save(time.monotonic(), at_once=True)
        self._session.close()

    @property
    def _listening(self) -> bool:
        """Tell whether every change is announced and heard."""
        connected = self._listener is not None and self._listener.connected
        return connected and self._schema is not None and self._schema.announced

    def _next_part(self) -> list[str]:
        """Return the personas whose turn it is to be read again."""
        names = sorted(self._personas)
        size = max(_LEAST_AGAIN, -(-len(names) // _ROUND))
        start = bisect_right(names, self._last_again)
        part = names[start : start + size] or names[:size]
        self._last_again = part[-1] if part else ""
        return part

    def _read(self, changed: set[str] | None, *, look_up: bool) -> _Read:
        if not self._counters_noted:
            # A transaction of its own, so that most rows are settled before they are first counted.
            with self._session.transaction():
                moment, _clock = self._begin()
                self._schema = self._look_up()
                for counter in self._counters(self._schema).values():
                    counter.note(self._session, moment)
            self._counters_noted = True
        with self._session.transaction():
            moment, clock = self._begin()
            if look_up or self._schema is None:
                self._schema = self._look_up()
            read = self._read_statuses(changed, clock)
            for batch in _batches({name: sum(rows.statuses.values()) for name, rows in sorted(read.rows.items())}):
                self._read_personas(self._schema, batch, read)
            # Those that are shown first: there is not room for everybody's rows.
            for counter in self._counters(self._schema).values():
                counter.prefer(list(read.rows))
            counters = {
                table: counter.read(self._session, moment) for table, counter in self._counters(self._schema).items()
            }
        read.kills = counters.get("variant_kills")
        read.events = counters.get("dashboard_events")
        return read

    def _counters(self, schema: _Schema) -> dict[str, RowCounter]:
        counters = {"variant_kills": self._kills, "dashboard_events": self._events}
        return {table: counter for table, counter in counters.items() if table not in schema.missing}

    def _begin(self) -> tuple[Moment, float]:
        ((_zone, xmin, xmax, clock),) = self._session.rows(sql.BEGIN, zone=self._zone)
        return Moment(int(xmin), int(xmax)), clock

    def _look_up(self) -> _Schema:
        tables = list(sql.TABLES)
        columns = self._session.columns(tables)
        sql.require_schema(columns)
        countable = {table for (table,) in self._session.rows(sql.COUNTABLE, tables=tables)}
        missing = sql.missing_parts(columns, countable)
        ((announced,),) = self._session.rows(sql.ANNOUNCED, tables=tables)
        types = {(table, column): kind for table, column, kind in self._session.rows(sql.TYPES, tables=tables)}
        without_zone = sql.without_zone(types)
        if without_zone and self._settings.timezone is None:
            ((self._zone,),) = self._session.rows(sql.SERVER_ZONE)
            self._session.rows(sql.USE_ZONE, zone=self._zone)
        queries = sql.build(types, with_kills="variant_kills" not in missing)
        self._kills.sql = queries.kills
        ((indexed,),) = self._session.rows(sql.INDEXED)
        return _Schema(queries, without_zone, missing, announced == len(columns), indexed)

    def _read_statuses(self, changed: set[str] | None, clock: float) -> _Read:
        """Read rows by status of the personas in question, or of all; choose those that are exposed."""
        read = _Read({})
        if changed is None:
            ((nobodys,),) = self._session.rows(sql.WITHOUT_PERSONA)
            if nobodys:
                read.problems.add(f"variants: {nobodys} rows without a persona")
            personas, read.left_out = self._largest(read.problems)
        else:
            personas = sorted(changed)
        for batch in _batches(dict.fromkeys(personas, 0)):
            for persona, status, count in self._session.rows(sql.STATUSES, personas=batch):
                if len(persona) <= sql.LONGEST_LABEL and self._settings.personas.matches(persona):
                    read.rows.setdefault(persona, Rows(clock, {})).statuses[status or ""] = count
        if changed is not None:
            room = self._settings.max_personas - len(self._personas)
            for name in [name for name in read.rows if name not in self._personas][max(0, room) :]:
                del read.rows[name]
        return read

    def _largest(self, problems: Problems) -> tuple[list[str], int]:
        """Return the personas with the most active variants, and how many others there are; most take no memory."""
        matching = 0

        def sizes() -> Iterator[tuple[int, str]]:
            nonlocal matching
            statuses = list(self._settings.active_statuses)
            for persona, active, count in self._session.stream(sql.SIZES, statuses=statuses):
                if len(persona) > sql.LONGEST_LABEL:
                    problems.add(f"variants: {count} rows of the persona {persona[:40]!r}...")
                elif self._settings.personas.matches(persona):
                    matching += 1
                    yield -active, persona

        largest = [persona for _active, persona in heapq.nsmallest(self._settings.max_personas, sizes())]
        return sorted(largest), matching - len(largest)

    def _read_personas(self, schema: _Schema, personas: list[str], read: _Read) -> None:
        settings = self._settings
        parameters: dict[str, Any] = {
            "personas": personas,
            "statuses": list(settings.active_statuses),
            "limit": settings.max_variants,
            "latest": settings.latest_posts,
            "posts": settings.latest_posts + settings.earlier_posts,
            "min_views": settings.rules.min_views,
            "window": settings.window,
        }
        for persona, *row in self._session.rows(schema.queries.active, **parameters):
            read.rows[persona].active.append(tuple(row))
        for persona, *row in self._session.rows(schema.queries.posts, **parameters):
            read.rows[persona].posts.append(tuple(row))
        for persona, *row in self._session.rows(schema.queries.recent, **parameters):
            read.rows[persona].recent = tuple(row)

    def _update(self, read: _Read, changed: set[str] | None) -> None:
        """Compute the samples of the personas that were read; forget those that are gone."""
        for rows in read.rows.values():
            self._known_statuses.update(rows.statuses)
        for name in changed or ():
            self._personas.pop(name, None)
        for name, rows in read.rows.items():
            self._personas[name] = build(name, rows, self._ratchet, self._settings, self._history)
        self._history.keep(self._personas)
        self._history.save(time.monotonic())

    def _families(self, read: _Read) -> FamilySet:
        families = FamilySet(self.name, max_series=self._settings.max_series)
        problems = Problems(list(self._problems.listed), self._problems.count)
        # Those with the most active variants first, so that the cap of a family takes the least.
        ordered = sorted(self._personas.items(), key=lambda item: (-item[1].active, item[0]))
        for name, persona in ordered:
            shown = {labels[1] for _value, labels in persona.samples.get("variants", ())}
            # A status without rows is 0, not unknown.
            persona.samples.setdefault("variants", []).extend(
                (0, (name, status)) for status in sorted(self._known_statuses - shown)
            )
        for metric in VARIANT_METRICS:
            for _name, persona in ordered:
                for value, labels in persona.samples.get(metric.name, ()):
                    families[metric.name].add(value, *labels)
        names = [name for name, _persona in ordered]
        if read.kills is not None:
            uncounted = frozenset(self._kills.prefer(names))
            families["variant_kills_total"].drop(len(uncounted))
            counted = [name for name in names if name not in uncounted]
            add_kills(read.kills, counted, self._ratchet, families, problems)
        if read.events is not None:
            uncounted = frozenset(self._events.prefer(names))
            families["variant_events_total"].drop(len(uncounted))
            add_events(read.events, [name for name in names if name not in uncounted], self._ratchet, families)
        for rule in RULES:
            labels = (rule.opportunity, rule.priority, rule.title, rule.action)
            families["variant_optimization_opportunity_info"].add(1, *labels)
        self._report(families, problems)
        return families

    def _report(self, families: FamilySet, problems: Problems) -> None:
        """Say what is left out and how changes are found."""
        untracked = sum(persona.untracked for persona in self._personas.values())
        if untracked:
            families["variant_views_total"].dropped += untracked
        if self._left_out:
            families["variants"].dropped += self._left_out
        for persona in self._personas.values():
            problems.merge(persona.problems)
        for text in self._session.replaced.problems:
            families.skip(Reason.INVALID_VALUE, text)
        problems.report(families)
        if self._history.error:
            families.skip(Reason.INVALID_VALUE, self._history.error)
        listener, schema = self._listener, self._schema
        if schema is None:
            return
        for table, missing in schema.missing.items():
            families.skip(Reason.SCHEMA, f"{table} is not read: it lacks {', '.join(missing)}")
        families["variant_notifications_active"].add(self._listening)
        if listener is not None and not listener.connected and listener.error:
            families.skip(Reason.CONNECT, f"not listening, changes are found by polling: {listener.error}")


def _batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield the names in groups of bounded number and summed size."""
    batch: list[str] = []
    total = 0
    for name, size in sizes.items():
        if batch and (len(batch) >= _BATCH_PERSONAS or total + size > _BATCH_VARIANTS):
            yield batch
            batch, total = [], 0
        batch.append(name)
        total += size
    if batch:
        yield batch
