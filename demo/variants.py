"""Run the demo's variant system on PostgreSQL: tables, a past, and with `--live` a present.

The same seed gives the same posts, views, interactions and kills, step by step; times are counted from the beginning of
the demo. What is true, and so has to be found, stands in `demo.variants_content`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from demo import variants_tables
from demo.variants_content import KILL_REASON, PERSONAS, System, Variant, calm_personas
from ml_monitoring.exporter.command_line import duration
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.values import read_secret

_RETRY = 2.0
_PAGE = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m demo variants`."""
    address = parser.add_mutually_exclusive_group(required=True)
    address.add_argument("--uri", metavar="URI", help="database, and a user that may write: postgresql://")
    address.add_argument("--uri-file", type=Path, metavar="FILE", help="read the URI from here, as it holds a password")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same content (default: 0)")
    parser.add_argument("--live", action="store_true", help="then go on posting, showing and killing")
    parser.add_argument(
        "--every", type=duration, default="500ms", metavar="DURATION", help="one step of it (default: 500ms)"
    )
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="make this file when the past is written")
    parser.add_argument("--calm", action="store_true", help="every post as good as the others and as predicted")


def run(options: argparse.Namespace) -> int:
    """Backfill, then go on if asked to.

    Raises:
        ConfigError: The database cannot be written, or its tables hold something else.
    """
    try:
        uri = options.uri or read_secret(options.uri_file)
    except ValueError as error:
        raise ConfigError([f"demo variants: --uri-file: {error}"]) from None
    system = System(options.seed, time.time(), calm_personas() if options.calm else PERSONAS)
    system.begin()
    try:
        connection = open_tables(uri)
        write_all(connection, system)
    except psycopg2.Error as error:
        raise ConfigError([f"demo variants: the database cannot be written: {_message(error)}"]) from None
    _say(f"{len(system.variants)} variants of {', '.join(spec.name for spec in PERSONAS)}")
    if options.ready_file is not None:
        options.ready_file.touch()
    if options.live:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: stop.set())
        _say(f"live: one step every {options.every:g} s; stop with Ctrl-C")
        live(uri, connection, system, every=options.every, stop=stop, say=_say)
    connection.close()
    return 0


def open_tables(uri: str) -> psycopg2.extensions.connection:
    """Connect, and make the tables where there are none.

    Raises:
        ConfigError: The tables hold variants of others.
        psycopg2.Error: The database cannot be used.
    """
    connection = psycopg2.connect(uri, connect_timeout=10)
    with connection, connection.cursor() as cursor:
        cursor.execute("select to_regclass('variants') is null")
        (missing,) = cursor.fetchone() or (True,)
    if missing:
        variants_tables.apply(uri)
    with connection, connection.cursor() as cursor:
        names = [spec.name for spec in PERSONAS]
        cursor.execute("select distinct persona_id from variants where persona_id <> all(%s) limit 1", (names,))
        other = cursor.fetchone()
    if other is not None:
        connection.close()
        raise ConfigError([f"demo variants: the tables hold variants of {other[0]!r}; give the demo its own database"])
    return connection


def write_all(connection: psycopg2.extensions.connection, system: System) -> None:
    """Replace what the demo wrote before by its beginning."""
    with connection, connection.cursor() as cursor:
        cursor.execute("delete from variants; delete from variant_kills; delete from dashboard_events")
        write_changes(cursor, system.variants)
        _write_kills(cursor, [variant for variant in system.variants if variant.killed])
        _write_event(cursor, "demo_started", None, None, {"seed": system.seed})
    _written(system)


def live(
    uri: str,
    connection: psycopg2.extensions.connection,
    system: System,
    *,
    every: float,
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Go on until stopped; a database that is away is waited for."""
    due = time.monotonic()
    while not stop.is_set():
        known = len(system.variants)
        killed = system.step(every)
        try:
            with connection, connection.cursor() as cursor:
                write_changes(cursor, [variant for variant in system.variants if variant.changed])
                _write_kills(cursor, killed)
                for variant in system.variants[known:]:
                    _write_event(cursor, "variant_posted", variant.persona, variant.name, {})
                for variant in killed:
                    data = {"reason": KILL_REASON, "engagement": round(variant.engagement, 4)}
                    _write_event(cursor, "early_kill", variant.persona, variant.name, data)
        except psycopg2.Error as error:
            say(f"waiting for the database: {_message(error)}")
            connection = _reconnect(uri, connection, stop)
            due = time.monotonic()
        else:
            _written(system)
        due += every
        stop.wait(max(0.0, due - time.monotonic()))


def write_changes(cursor: psycopg2.extensions.cursor, variants: Sequence[Variant]) -> None:
    """Write variants and their figures, new ones and changed ones alike."""
    psycopg2.extras.execute_values(
        cursor,
        "insert into variants (id, persona_id, content, predicted_er, pattern_used, status, posted_at) values %s"
        " on conflict (id) do update set status = excluded.status where variants.status <> excluded.status",
        [
            (
                *(item.name, item.persona, f"A {item.truth.pattern}.", item.truth.predicted, item.truth.pattern),
                *(item.status, item.posted),
            )
            for item in variants
        ],
        template="(%s, %s, %s, %s, %s, %s, to_timestamp(%s))",
        page_size=_PAGE,
    )
    psycopg2.extras.execute_values(
        cursor,
        "insert into variant_monitoring (variant_id, persona_id, current_er, interaction_count, view_count, status)"
        " values %s on conflict (variant_id) do update set current_er = excluded.current_er,"
        " interaction_count = excluded.interaction_count, view_count = excluded.view_count, status = excluded.status,"
        " last_updated = now()",
        [
            (
                item.name,
                item.persona,
                item.engagement if item.views else None,
                item.interactions,
                item.views,
                item.status,
            )
            for item in variants
        ],
        page_size=_PAGE,
    )


def _written(system: System) -> None:
    for variant in system.variants:
        variant.changed = False


def _write_kills(cursor: psycopg2.extensions.cursor, killed: Sequence[Variant]) -> None:
    psycopg2.extras.execute_values(
        cursor,
        "insert into variant_kills"
        " (variant_id, persona_id, reason, final_engagement_rate, sample_size, posted_at, killed_at) values %s",
        [
            (item.name, item.persona, KILL_REASON, item.engagement, item.views, item.posted, item.killed)
            for item in killed
        ],
        template="(%s, %s, %s, %s, %s, to_timestamp(%s), to_timestamp(%s))",
        page_size=_PAGE,
    )


def _write_event(
    cursor: psycopg2.extensions.cursor, event: str, persona: str | None, variant: str | None, data: dict[str, Any]
) -> None:
    cursor.execute(
        "insert into dashboard_events (event_type, persona_id, variant_id, event_data) values (%s, %s, %s, %s)",
        (event, persona, variant, json.dumps(data)),
    )


def _reconnect(
    uri: str, connection: psycopg2.extensions.connection, stop: threading.Event
) -> psycopg2.extensions.connection:
    with contextlib.suppress(psycopg2.Error):
        connection.close()
    while not stop.wait(_RETRY):
        with contextlib.suppress(psycopg2.Error):
            return psycopg2.connect(uri, connect_timeout=10)
    return connection


def _message(error: psycopg2.Error) -> str:
    return redact(" ".join(str(error).split()) or type(error).__name__)


def _say(text: str) -> None:
    sys.stderr.write(f"demo variants: {text}\n")
    sys.stderr.flush()
