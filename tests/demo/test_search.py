"""The search service answers, and exposes what its adapter reads."""

from __future__ import annotations

import asyncio

import httpx

from demo import search
from ml_monitoring.alerting.services.adapters import ADAPTERS


def test_it_finds_titles_and_counts_all_but_scrapes() -> None:
    async def asked() -> tuple[list[str], list[str], str]:
        transport = httpx.ASGITransport(app=search.build(0))
        async with httpx.AsyncClient(transport=transport, base_url="http://search") as client:
            found = (await client.get("/search", params={"text": "vote trees"})).json()
            suggested = (await client.get("/suggest", params={"begin": "we"})).json()
            return found, suggested, (await client.get("/metrics")).text

    found, suggested, exposed = asyncio.run(asked())
    assert found == ["Trees that vote"]
    assert suggested == ["Weather of the week"]
    counter = ADAPTERS["starlette-exporter"].signature[0]
    assert {line for line in exposed.splitlines() if line.startswith(f"{counter}{{")} == {
        f'{counter}{{app_name="search",method="GET",path="/{path}",status_code="200"}} 1.0'
        for path in ("search", "suggest")
    }
