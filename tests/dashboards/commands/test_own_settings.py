"""Commands that show the generated pages show those of one's own settings where there are some."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.model.signal import UID_PREFIX
from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.commands.options import generated
from tests.support.panel_store import Store
from tools.processes import Process, free_port, http_ok
from tools.stack import ROOT

PAGE = f"{UID_PREFIX}operations-overview"
OURS, WITH_OWN = 'team=~"platform|mlops|growth"', 'team=~"platform|mlops|growth|search"'
OWN = """
teams: [platform, mlops, growth, search]
alerts:
  MlflowFailedRunRatioHigh: {team: search}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ML_MONITORING_ALERTING_SETTINGS", raising=False)
    path = tmp_path / "own.yml"
    path.write_text(OWN, encoding="utf-8")
    return path


def exported(*arguments: str) -> str:
    assert main(["export", "--output-dir", "exported", *arguments]) == 0
    return (Path("exported") / f"{PAGE}.json").read_text(encoding="utf-8")


def asks_for(page: str) -> tuple[bool, bool]:
    """Return whether a page asks for alerts of our teams, and whether for those of the own team too."""
    return json.dumps(OURS)[1:-1] in page, json.dumps(WITH_OWN)[1:-1] in page


def test_own_settings_are_found_as_by_the_commands_of_alerts(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asks_for(exported("--settings", "own.yml")) == (False, True)
    assert asks_for(exported()) == (True, False)
    monkeypatch.setenv("ML_MONITORING_ALERTING_SETTINGS", "own.yml")
    assert asks_for(exported()) == (False, True)
    # What is named goes before.
    assert asks_for(exported("--settings", "/dev/null")) == (True, False)
    assert asks_for(exported("--dashboards", str(OUTPUT_DIR))) == (True, False)
    monkeypatch.delenv("ML_MONITORING_ALERTING_SETTINGS")
    own.rename("ml-monitoring-alerting.yml")
    assert asks_for(exported()) == (False, True)


def test_nothing_is_made_where_only_files_are_shown(own: Path) -> None:
    class Options:
        settings = (own,)

    options: Any = Options()
    with generated(options, [str(own)]) as pages:
        assert pages.folder == OUTPUT_DIR
    with generated(options, [str(own), PAGE]) as pages:
        assert pages.folder != OUTPUT_DIR
        assert (pages.folder / "Platform" / f"{PAGE}.json").exists()
    assert not pages.folder.exists()


@pytest.mark.parametrize("command", ["render", "prove", "serve", "data"])
def test_settings_that_cannot_be_used_are_named(command: str, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.write_text("alerts: {NoSuchAlert: null}\n", encoding="utf-8")
    name = [f"{PAGE}/1"] if command == "data" else []
    assert main([command, *name, "--settings", "own.yml", "--prometheus", "http://127.0.0.1:9"]) == 1
    assert "own.yml" in capsys.readouterr().err


def test_the_viewer_shows_alerts_of_own_teams(own: Path, store: Store) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "ml_monitoring", "dashboards", "serve", "--settings", str(own),
        "--prometheus", store.url, "--listen", f"127.0.0.1:{port}",
    ]  # fmt: skip
    log = own.parent / "log"
    # The settings are named in full, so that it need not start where they are.
    server = Process(
        "the viewer", command, log=log, cwd=ROOT, healthy=lambda: http_ok(f"{url}/-/healthy"), start_timeout=120
    )
    server.start()
    try:
        page = json.loads((OUTPUT_DIR / "Platform" / f"{PAGE}.json").read_text(encoding="utf-8"))
        (panel,) = [one for one in page["panels"] if one["title"] == "Firing alerts"]
        with urllib.request.urlopen(f"{url}/d/{PAGE}/panels.json?viewPanel={panel['id']}", timeout=60) as answer:
            shown = json.load(answer)["panels"][0]["html"]
    finally:
        server.stop()
    assert "platform|mlops|growth|search" in shown
    assert f"Pages by the settings of {own}" in log.read_text(encoding="utf-8")
