from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.commands.serve import unknown_teams
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.viewer.library import Library
from tests.support.panel_store import SPECIMEN
from tools.backfilled_prometheus import backfilled_prometheus


def test_a_port_that_is_taken_is_named_and_no_address_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert main(["serve", "--prometheus", "http://127.0.0.1:9", "--listen", address]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"error: --listen: cannot listen on {address}: Address already in use: " + (
        "another program has the port; choose another with --listen\n"
    )


@pytest.fixture(scope="module")
def prometheus(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prometheus in which alerts of two teams of ours fire, and one of somebody else's."""
    now = int(time.time())
    alerts = (("MlflowRunHanging", "mlops"), ("MlApiLatencyHigh", "search"), ("InvoiceLate", "billing"))
    lines = ["# TYPE ALERTS gauge"]
    lines += [f'ALERTS{{alertname="{name}",alertstate="firing",team="{team}"}} 1 {now - 60}' for name, team in alerts]
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("prometheus"), lines) as url:
        yield url


def test_teams_that_the_pages_do_not_know_are_named(prometheus: str, tmp_path: Path) -> None:
    own = tmp_path / "own.yml"
    own.write_text("teams: [platform, mlops, growth, search]\n")
    assert main(["generate", "--settings", str(own), "--output-dir", str(tmp_path / "pages")]) == 0
    with Prometheus(prometheus) as asked, Prometheus("http://127.0.0.1:9") as nobody:
        ours = Library([str(OUTPUT_DIR)], OUTPUT_DIR)
        assert unknown_teams(ours, asked) == {"search"}
        with pytest.raises(RenderError, match="Connection refused"):
            unknown_teams(ours, nobody)
        assert unknown_teams(Library([str(tmp_path / "pages")], OUTPUT_DIR), asked) == set()
        # Of somebody's own page, which asks for no team, nothing is known.
        assert unknown_teams(Library([str(SPECIMEN)], OUTPUT_DIR), asked) == set()
