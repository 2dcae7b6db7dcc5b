from __future__ import annotations

import argparse

import pytest
from pytest_httpserver import HTTPServer

from ml_monitoring.dashboards.commands.options import add_source, query_options


def test_a_token_of_the_environment_is_sent_to_prometheus(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request("/api/v1/status/buildinfo", headers={"Authorization": "Bearer t0ken"}).respond_with_json(
        {"status": "success", "data": {"version": "3.5.0"}}
    )
    monkeypatch.setenv("PROMETHEUS_TOKEN", "t0ken")
    parser = argparse.ArgumentParser()
    add_source(parser)
    with query_options(parser.parse_args(["--prometheus", httpserver.url_for("")])).prometheus as prometheus:
        assert prometheus.version() == "3.5.0"
