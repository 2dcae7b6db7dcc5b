"""What the pages of the documentation say to type works as it stands there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from demo.mlflow import open_store
from ml_monitoring.alerting.domains import load_thresholds
from tests.support import alert_log
from tests.support.doc_blocks import blocks
from tests.support.doc_pages import ALERT_LOG, ALERTMANAGER, EXPORTER, PROMETHEUS, Reader, is_run, runnable
from tests.support.variants_store import connected
from tests.support.wheels import build
from tools.processes import wait_until
from tools.stack import ROOT, LocalStack, Ports, hurried

Programs = Mapping[str, Path]


class Read(Protocol):
    """Somebody who reads a page, and does what it says."""

    def __call__(self, page: str, wheels: Path | None = None) -> Reader: ...


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store that the real MLflow client wrote."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    client = open_store(f"sqlite:///{path}")
    run = client.create_run(client.create_experiment("churn")).info.run_id
    client.log_metric(run, "accuracy", 0.9)
    client.set_terminated(run)
    return path


@contextmanager
def a_night(reader: Reader, folder: Path, programs: Programs) -> Iterator[None]:
    """Run a stack whose store cannot be read, until the alert log has been notified of that."""
    log = alert_log.Server(folder / "log")
    reader.ports[ALERT_LOG] = int(log.url.rpartition(":")[2])
    reader.served |= {EXPORTER, PROMETHEUS, ALERTMANAGER, ALERT_LOG}
    stack = LocalStack(
        {"sources": {"mlflow": {"uri": f"sqlite:///{folder}/missing.db", "interval": "1s"}}},
        folder,
        Ports(reader.ports[EXPORTER], reader.ports[PROMETHEUS], reader.ports[ALERTMANAGER]),
        programs,
        thresholds=hurried(load_thresholds(), wait="0s"),
        alert_log_url=f"{log.url}/alerts",
    )
    with log.process, stack:
        assert wait_until(lambda: "MlMonitoringSourceDown" in reader.get(ALERT_LOG, "/api/alerts?since=1d"), timeout=90)
        yield


# What has happened before somebody comes to a page.
BEFORE: Mapping[str, Callable[[Reader, Path, Programs], AbstractContextManager[None]]] = {"docs/last-night.md": a_night}


@pytest.fixture
def read(request: pytest.FixtureRequest, tmp_path: Path, programs: dict[str, Path], store: Path) -> Iterator[Read]:
    """Return what reads a page; everything that it started ends with the test."""
    with ExitStack() as stack:

        def of(page: str, wheels: Path | None = None) -> Reader:
            typed = " ".join(block.commands for block in blocks() if block.page == page and is_run(block, wide=True))
            missing = [name for name in ("curl", "psql") if name in typed.split() and shutil.which(name) is None]
            if missing:
                pytest.skip(f"{page} is for machines with {' and '.join(missing)}")
            # A server is started for pages that speak of it.
            database = request.getfixturevalue("postgres_database") if page == "docs/variants.md" else ""
            if database:
                with connected(database) as cursor:
                    # Roles are the server's, and another test may have made the page's.
                    cursor.execute("drop role if exists watcher")
            environ = {"DATABASE_URL": database}
            somebody = Reader(page, tmp_path / "reader", programs, store, wheels=wheels, environ=environ)
            if page in BEFORE:
                stack.enter_context(BEFORE[page](somebody, tmp_path, programs))
            return stack.enter_context(somebody).read()

        yield of


# Left to `make test-wide`: what they show is tried piece by piece elsewhere, too.
LONG = {"docs/viewer.md", "docs/render.md", "docs/upgrade.md", "docs/grafana-alerts.md", "docs/getting-started.md"}
# Pages of which more is asked than that everything works.
ASKED = {"docs/prometheus.md", "docs/service.md", "docs/grafana.md"}


def test_there_are_pages_to_run() -> None:
    assert set(runnable()) > ASKED | set(BEFORE)
    assert len(runnable()) > 15


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.wide] if page in LONG else []) for page in runnable() if page not in ASKED],
)
def test_what_a_page_says_to_type_works(page: str, read: Read) -> None:
    read(page)


def test_in_somebodys_prometheus_all_is_up_and_links_lead_to_his_grafana(read: Read) -> None:
    reader = read("docs/prometheus.md")
    assert reader.sees('up{job="ml-monitoring"} == 1')
    assert reader.sees('sum(mlflow_runs{experiment="churn"}) == 1')
    assert reader.sees('ALERTS{alertname="MlMonitoringWatchdog", alertstate="firing"}')
    # Nobody else's job is watched, nor what is switched off.
    alerts = reader.get(PROMETHEUS, "/api/v1/rules?type=alert")
    # It is pending until the first scrape.
    assert wait_until(lambda: reader.query('ALERTS{alertname="MlMonitoringDown"}') == [], timeout=60)
    assert "MlMonitoringDown" in alerts
    assert not re.search(r'"name":"(Host|Database|Prometheus|Gpu)\w+"', alerts)
    assert f'"dashboard_url":"{reader.grafana.url}/d/' in alerts


def test_a_service_counts_whatever_it_is_made_with(read: Read) -> None:
    # Prints what the page shows, which is what is asked.
    reader = read("docs/service.md")
    assert "TypeError" not in reader.output


def test_the_dashboards_are_in_somebodys_grafana(read: Read) -> None:
    reader = read("docs/grafana.md")
    assert len(reader.grafana.dashboards) > 15
    provisioned = reader.root / "var" / "lib" / "grafana" / "ml-monitoring"
    assert {path.stem for path in provisioned.glob("*/*.json")} == set(reader.grafana.dashboards)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both distributions, in which pip looks beside its index."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in (ROOT, ROOT / "instrument"):
        build(source, folder)
    return folder


@pytest.mark.wide
@pytest.mark.parametrize("page", sorted({block.page for block in blocks() if "wide" in block.marks}))
def test_a_page_works_with_nothing_but_what_it_installs(page: str, read: Read, wheels: Path) -> None:
    read(page, wheels)
