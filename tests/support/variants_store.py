r"""Fixed content for the variant tables, for golden tests.

Times are seconds after `EPOCH` (2026-11-01 00:00:00 UTC). `SETTINGS` go with it: small windows of posts, and a window
of time that holds everything until 2046.

Persona `alice`:

| variant | status | pattern | predicted | posted | views | interactions | current | what it is for |
|---|---|---|---|---|---|---|---|---|
| a1 | active | hook | 0.05 | +0 | 2000 | 96 | 0.048 | loses against a2 |
| a2 | active | story | 0.04 | +60 | 1900 | 190 | 0.1 | clear winner, not exploited; one split with a1 |
| a3 | active | story | none | +9000 | - | - | - | no monitoring row |
| a4 | active | none | 0.03 | +10000 | 0 | 0 | none | no views, no pattern |
| k1, k2 | killed | hook | 0.05 | +20, +30 | 300 | 3 | 0.01 | killed for `low_engagement` after 600 s and 45 s |
| k3 | killed | hook | 0.05 | +40 | 200 | 1 | 0.005 | killed for `negative "feedback"` after 8 days |
| d1 | draft | story | 0.05 | - | - | - | - | never posted |
| h1 .. h4 | ended | hook | 0.05 | -1000 .. -4000 | 1000 | 80 | 0.08 | history of the pattern |

Persona `Zoë "z"\<newline>🚀`: one active variant `ü "1"\<newline>🚀` of pattern `list\`, 500 views, 25 interactions.
Persona `idle`: one draft. Events: 3 `performance_update` and 1 `early_kill` of alice, 1 `deploy` of no persona.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final

import psycopg2
import psycopg2.extensions

from demo import variants_tables

EPOCH: Final = 1793491200
ZOE: Final = 'Zoë "z"\\\n🚀'
ZOE_VARIANT: Final = 'ü "1"\\\n🚀'
SETTINGS: Final[dict[str, Any]] = {
    "window": "1040w",
    "latest_posts": 6,
    "earlier_posts": 10,
    "rules": {"min_posts": 5},
    "split": {"together": "5m"},
}

# id, persona, pattern, predicted, status, posted, (views, interactions, current)
_VARIANTS: list[tuple[str, str, str | None, float | None, str, int | None, tuple[int, int, float | None] | None]] = [
    ("a1", "alice", "hook", 0.05, "active", 0, (2000, 96, 0.048)),
    ("a2", "alice", "story", 0.04, "active", 60, (1900, 190, 0.1)),
    ("a3", "alice", "story", None, "active", 9000, None),
    ("a4", "alice", None, 0.03, "active", 10000, (0, 0, None)),
    ("k1", "alice", "hook", 0.05, "killed", 20, (300, 3, 0.01)),
    ("k2", "alice", "hook", 0.05, "killed", 30, (300, 3, 0.01)),
    ("k3", "alice", "hook", 0.05, "killed", 40, (200, 1, 0.005)),
    ("d1", "alice", "story", 0.05, "draft", None, None),
    *((f"h{n}", "alice", "hook", 0.05, "ended", -1000 * n, (1000, 80, 0.08)) for n in range(1, 5)),
    (ZOE_VARIANT, ZOE, "list\\", 0.06, "active", 100, (500, 25, 0.05)),
    ("i1", "idle", "hook", 0.05, "draft", None, None),
]
_KILLS = [
    ("k1", "low_engagement", 20, 620),
    ("k2", "low_engagement", 30, 75),
    ("k3", 'negative "feedback"', 40, 40 + 8 * 86400),
]
_EVENTS = [
    *(("performance_update", "alice", "a1", '{"views": 10}'),) * 3,
    ("early_kill", "alice", "k1", '{"reason": "low_engagement"}'),
    ("deploy", None, None, '["not", "an", "object"]'),
]


def create_tables(uri: str, *, notify: bool = True) -> None:
    """Apply the migrations."""
    variants_tables.apply(uri, without=() if notify else (variants_tables.NOTIFY_FILE,))


@contextlib.contextmanager
def connected(uri: str) -> Any:
    """Give a cursor in which each statement commits by itself."""
    with contextlib.closing(psycopg2.connect(uri, connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def write_reference_content(uri: str) -> None:
    """Fill empty tables."""
    with connected(uri) as cursor:
        for identifier, persona, pattern, predicted, status, posted, figures in _VARIANTS:
            cursor.execute(
                "insert into variants values (%s, %s, 'some text', %s, %s, %s, to_timestamp(%s), to_timestamp(%s))",
                (identifier, persona, predicted, pattern, status, None if posted is None else EPOCH + posted, EPOCH),
            )
            if figures is not None:
                views, interactions, current = figures
                cursor.execute(
                    "insert into variant_monitoring (variant_id, persona_id, current_er, interaction_count,"
                    " view_count, status, last_updated) values (%s, %s, %s, %s, %s, %s, to_timestamp(%s))",
                    (identifier, persona, current, interactions, views, status, EPOCH + 20000 + views),
                )
        for variant, reason, posted_at, killed in _KILLS:
            cursor.execute(
                "insert into variant_kills (variant_id, persona_id, reason, final_engagement_rate, sample_size,"
                " posted_at, killed_at) values (%s, 'alice', %s, 0.01, 300, to_timestamp(%s), to_timestamp(%s))",
                (variant, reason, EPOCH + posted_at, EPOCH + killed),
            )
        for event, persona_or_none, variant_or_none, data in _EVENTS:
            cursor.execute(
                "insert into dashboard_events (event_type, persona_id, variant_id, event_data) values (%s, %s, %s, %s)",
                (event, persona_or_none, variant_or_none, data),
            )


def add_active(
    cursor: psycopg2.extensions.cursor, identifier: str, persona: str, views: int, interactions: int
) -> None:
    """Add an active variant with its figures."""
    cursor.execute(
        "insert into variants (id, persona_id, content, predicted_er, pattern_used, status, posted_at)"
        " values (%s, %s, '', 0.05, 'hook', 'active', to_timestamp(%s))",
        (identifier, persona, EPOCH),
    )
    cursor.execute(
        "insert into variant_monitoring (variant_id, persona_id, current_er, interaction_count, view_count)"
        " values (%s, %s, %s, %s, %s)",
        (identifier, persona, interactions / views if views else None, interactions, views),
    )
