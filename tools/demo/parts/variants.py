"""A running variant system on a PostgreSQL server of the demo's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from demo.variants_content import KILL_REASON, WINNER
from tools.demo.parts.base import Contribution, Look, Place, PortUse
from tools.postgres import PostgresServer
from tools.processes import Process

_DATABASE = "variants"
_START_TIMEOUT = 60.0
# Declared, so that a split that happens to be the suggested one is wrong too.
_EVEN = {"cleo-1": 1.0, "cleo-2": 1.0}


class VariantSystem:
    """The part; see `demo.variants_content` for the truth behind it."""

    name = "variants"
    doing = "starting PostgreSQL and a variant system on it"
    ports: Sequence[PortUse] = ()

    def prepare(self, place: Place) -> Contribution:
        """Start the database and the system that writes to it."""
        server = PostgresServer()
        place.run("PostgreSQL", "", server)
        uri = server.create_database(_DATABASE)
        ready = place.directory / "ready"
        # The password goes by file: a command line is for everyone to read.
        address = place.directory / "uri"
        address.touch(mode=0o600)
        address.write_text(uri, encoding="utf-8")
        command: list[str | Path] = [
            sys.executable, "-m", "demo", "variants",
            "--uri-file", address, "--live", "--ready-file", ready, *place.options,
        ]  # fmt: skip
        writer = Process(
            "the variant system",
            command,
            log=place.logs / "variant-system.log",
            healthy=ready.exists,
            start_timeout=_START_TIMEOUT,
        )
        place.run("Variant system", "", writer)
        return Contribution(
            settings={"sources": {"variants": {"uri": uri, "interval": "5s", "split": {"weights": _EVEN}}}},
            looks=(
                Look(
                    f"{WINNER} is the best variant of ada; after about a minute that is beyond chance:",
                    page=f"variant-detail?var-one_variant={WINNER}",
                ),
                Look(
                    "ben's variants are all the same, and nothing is found; cleo's split of views is wrong:",
                    page="variant-performance?var-persona=ben&var-persona=cleo",
                ),
                Look(
                    f"Variants of dan are killed early for {KILL_REASON}, as they are predicted too high:",
                    page="variant-performance?var-persona=dan",
                ),
            ),
        )
