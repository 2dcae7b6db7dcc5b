"""All servers that are compared give the same answers."""

from __future__ import annotations

import gzip
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tools.bench.servers import body
from tools.bench.servers_contenders import CONTENDERS
from tools.bench.usage import answers
from tools.processes import Process, free_port

_BODY = body(20)


def test_the_body_is_one_that_prometheus_reads() -> None:
    (family,) = text_string_to_metric_families(_BODY.decode())
    assert (family.name, len(family.samples)) == ("mlflow_metric_latest", 20)


@pytest.mark.parametrize("name", CONTENDERS)
def test_each_server_answers_as_the_exporter_does(tmp_path: Path, name: str) -> None:
    file = tmp_path / "body.txt"
    file.write_bytes(_BODY)
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    command = [sys.executable, "-m", "tools.bench.servers_contenders", name, str(port), str(file)]
    with Process(name, command, log=tmp_path / "log", healthy=lambda: bool(answers(url))):
        request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=30) as response:
            assert gzip.decompress(response.read()) == _BODY
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert response.headers["Vary"] == "Accept, Accept-Encoding"
        assert answers(url).encode() == _BODY
