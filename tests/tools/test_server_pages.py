"""The table of servers and panels is what adapters, rules and pages make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.services.adapters import ADAPTERS
from tools import server_pages


def test_the_document_has_the_table() -> None:
    assert server_pages.main(["--check"]) == 0


def test_a_document_with_another_table_is_found_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = server_pages.DOCUMENT.read_text(encoding="utf-8")
    document = tmp_path / "model-servers.md"
    document.write_text(text.replace("| ML API | Mean latency |", "| ML API | Slow latency |"), encoding="utf-8")
    monkeypatch.setattr(server_pages, "DOCUMENT", document)
    assert server_pages.main(["--check"]) == 1
    assert capsys.readouterr().err == "model-servers.md is not up to date: make generate\n"
    assert server_pages.main([]) == 0
    assert document.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("expr", "missing"),
    [
        ("rate(ml_http_requests_total[5m])", set()),
        ("ml_cache_size_bytes", {"ml_cache_size_bytes"}),
        # One of two is enough, and what is left out need not be there.
        ("ml_cache_size_bytes or ml_http_requests_total", set()),
        ("ml_http_requests_total unless ml_cache_size_bytes", set()),
        ("ml_http_requests_total * ml_cache_size_bytes", {"ml_cache_size_bytes"}),
        # What is recorded is asked for what it is made of.
        ('origin:ml_http_requests:rate{job=~"$job"}', set()),
        ("max_over_time(cache_origin:ml_cache_requests:count[$__range])", {"ml_cache_requests_total"}),
        # Other programs are taken to be there.
        ("mlflow_runs and ml_http_requests_total", set()),
    ],
)
def test_an_expression_needs_its_series(expr: str, missing: set[str]) -> None:
    assert server_pages.missing(expr, frozenset({"ml_http_requests_total"})) == missing


def test_a_server_that_fills_less_has_fewer_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        "| LLM serving | Fullest KV cache, KV cache used | vLLM | does not expose its cache |" in server_pages.table()
    )
    server_pages.filled.cache_clear()
    monkeypatch.setattr(server_pages, "ADAPTERS", {"tgi": ADAPTERS["tgi"]})
    assert (
        "| LLM serving | Fullest KV cache, KV cache used | none | does not expose its cache |" in server_pages.table()
    )
