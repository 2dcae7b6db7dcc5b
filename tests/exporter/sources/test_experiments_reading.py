"""Counters are read exactly, from real servers that hold the same samples.

A Prometheus, one that reads from it, and VictoriaMetrics.
"""

from __future__ import annotations

import gzip
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.sources.experiments.cache import ReadingCache
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration
from ml_monitoring.exporter.sources.experiments.prometheus import ExperimentError, PrometheusApi
from ml_monitoring.exporter.sources.experiments.tracked import Stores, TrackedExperiment
from tests.support.experiment_series import START, ScrapedSamples, eventful_hours
from tools.backfilled_prometheus import backfilled_prometheus, prometheus_on
from tools.packages import ensure_programs
from tools.processes import Process, free_port, http_ok

DECLARATION = ExperimentDeclaration.model_validate(
    {
        "start": START,
        "arms": {"control": 1, "treatment": 1},
        "baseline": "control",
        "selector": {"job": "shop"},
        "batch": "15m",
        "metrics": {"success": {"kind": "proportion", "numerator": "successes_total", "denominator": "requests_total"}},
    }
)
# The two hours, and what a store may take to show the last samples.
END = START + 7200.0
SAMPLES = eventful_hours()


@pytest.fixture(scope="module")
def prometheus(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("prometheus"), SAMPLES.lines()) as url:
        yield url


@pytest.fixture(scope="module")
def reading_on(programs: dict[str, Path], prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = json.dumps({"remote_read": [{"url": f"{prometheus}/api/v1/read", "read_recent": True}]})
    with prometheus_on(programs, tmp_path_factory.mktemp("reading_on"), config=config) as url:
        yield url


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("victoria")
    url = f"http://127.0.0.1:{free_port()}"
    process = Process(
        "victoria-metrics",
        [
            ensure_programs(["victoria-metrics"])["victoria-metrics"],
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr={url.removeprefix('http://')}",
            "-retentionPeriod=100y",
        ],
        log=folder / "victoria.log",
        healthy=lambda: http_ok(f"{url}/health"),
    )
    with process:
        _import(url, SAMPLES)
        yield url


def _import(url: str, samples: ScrapedSamples) -> None:
    lines = [
        f"{name}{{{labels}}} {value:.0f} {moment * 1000:.0f}\n"
        for (name, labels), each in samples.series.items()
        for moment, value in each
    ]
    for path, data in (("api/v1/import/prometheus", "".join(lines).encode()), ("internal/force_flush", None)):
        urllib.request.urlopen(f"{url}/{path}", data).read()


@pytest.fixture(params=["prometheus", "reading_on", "victoria"])
def api(request: pytest.FixtureRequest) -> PrometheusApi:
    api = PrometheusApi(request.getfixturevalue(request.param))
    api.begin(60.0)
    return api


def _read(tracked: TrackedExperiment, api: PrometheusApi, until: float = END) -> TrackedExperiment:
    stores = Stores(api, {}, settle=1.0, late=1.0)
    assert not tracked.read(stores, until + 1.0, float("inf"))
    return tracked


def _followed(declaration: ExperimentDeclaration = DECLARATION) -> TrackedExperiment:
    return TrackedExperiment.of("checkout", declaration)


def test_restarts_new_processes_and_gaps_lose_and_invent_nothing(api: PrometheusApi) -> None:
    assert _read(_followed(), api).history.totals == SAMPLES.truth


def test_pieces_give_the_same_as_the_whole_at_once(api: PrometheusApi) -> None:
    tracked = _followed()
    for minutes in range(20, 125, 5):
        _read(tracked, api, START + 60.0 * minutes)
    assert tracked.history.totals == SAMPLES.truth
    assert tracked.evidence.dump() == _read(_followed(), api).evidence.dump()


def test_a_cache_goes_on_where_the_last_process_ended(api: PrometheusApi, tmp_path: Path) -> None:
    cache = ReadingCache(tmp_path / "cache")
    cache.save(_read(_followed(), api, START + 2700.0))
    found = cache.load("checkout", DECLARATION)
    assert found is not None
    assert found.history.end == START + 2700.0
    assert _read(found, api).history.totals == SAMPLES.truth
    assert found.evidence.dump() == _read(_followed(), api).evidence.dump()


def test_a_cache_of_another_declaration_is_not_used(tmp_path: Path) -> None:
    cache = ReadingCache(tmp_path)
    cache.save(_followed())
    assert cache.load("checkout", DECLARATION.model_copy(update={"title": "Another title"})) is not None
    assert cache.load("checkout", DECLARATION.model_copy(update={"label": "arm"})) is None


@pytest.mark.parametrize("content", [b"torn", gzip.compress(b"{}", mtime=0), b"precious: true\n"])
def test_a_file_that_is_no_cache_is_named_not_overwritten(tmp_path: Path, content: bytes) -> None:
    file, cache = tmp_path / "checkout.json.gz", ReadingCache(tmp_path)
    file.write_bytes(content)
    assert cache.load("checkout", DECLARATION) is None
    with pytest.raises(SourceError, match=r"checkout\.json\.gz: not what was read of an experiment"):
        cache.save(_followed())
    assert file.read_bytes() == content


def test_metrics_without_a_series_are_found(api: PrometheusApi) -> None:
    assert api.missing(["a_total", "requests_total", "b_total"], END) == ["a_total", "b_total"]


@pytest.mark.parametrize("page", ["graph", "query", "api/v1"])
def test_the_address_of_a_page_is_said_to_be_one(prometheus: str, page: str) -> None:
    api = PrometheusApi(f"{prometheus}/{page}")
    api.begin(60.0)
    with pytest.raises(SourceError, match=f"{page} is a page: url is the address without /{page.rpartition('/')[2]}$"):
        api.range("up", START, START, 1.0)


def test_a_query_that_is_refused_is_the_experiments_own_error(api: PrometheusApi) -> None:
    with pytest.raises(ExperimentError):
        api.range("sum by (", START, START, 1.0)


def test_a_server_that_is_not_there_is_everybodys_error() -> None:
    api = PrometheusApi(f"http://user:hidden@127.0.0.1:{free_port()}")
    api.begin(5.0)
    with pytest.raises(SourceError) as caught:
        api.range("up", START, START, 1.0)
    assert not isinstance(caught.value, ExperimentError)
    assert "hidden" not in str(caught.value)
