"""A running variant system on a PostgreSQL server of the demo's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from exporter.demo.variants_content import KILL_REASON, WINNER
from tools.demo.parts.base import Contribution, Look, Place, PortUse
from tools.postgres import PostgresServer
from tools.processes import Process

_DATABASE = "variants"
_START_TIMEOUT = 60.0


class VariantSystem:
    """The part; see `exporter.demo.variants_content` for the truth behind it."""

    name = "variants"
    ports: Sequence[PortUse] = (PortUse("postgres", "PostgreSQL with the variant tables", 9432),)

    def prepare(self, place: Place) -> Contribution:
        """Start the database and the system that writes to it."""
        place.say("starting PostgreSQL and a variant system on it")
        server = PostgresServer(port=place.ports["postgres"])
        place.run("PostgreSQL", "", server)
        uri = server.create_database(_DATABASE)
        ready = place.directory / "ready"
        writer = Process(
            "the variant system",
            # The address goes by file: a command line is for everyone to read.
            [sys.executable, "-m", "exporter", "demo", "variants", "--uri", uri, "--live", "--ready-file", str(ready)],
            log=place.logs / "variant-system.log",
            healthy=ready.exists,
            start_timeout=_START_TIMEOUT,
        )
        place.run("Variant system", "", writer)
        return Contribution(
            settings={"sources": {"variants": {"uri": uri, "interval": "5s"}}},
            looks=(
                Look(
                    f"{WINNER} is the best variant of ada; after about a minute that is beyond chance:",
                    expr="variant_sequential_p_value < 0.05",
                ),
                Look("ben's variants are all the same, and nothing is found; cleo's split of views is wrong:",
                     expr="variant_sample_ratio_p_value"),
                Look(f"Variants of dan are killed early for {KILL_REASON}, as they are predicted too high:",
                     expr="variant_early_kill_ratio"),
            ),
        )  # fmt: skip
