"""The Grafana of this machine is found, and given the dashboards and data sources of the deployment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.domains import load_thresholds
from tools.demo import dashboards
from tools.demo.dashboards import Grafana
from tools.processes import free_port

# Stands in for Grafana: notes what it was given, and answers who asks for its health.
PROGRAM = """#!/usr/bin/env python3
import http.server, json, os, sys
settings = {name: value for name, value in os.environ.items() if name.startswith(("GF_", "TRACES_"))}
with open(os.path.join(os.environ["GF_PATHS_DATA"] + ".json"), "w") as file:
    json.dump({"arguments": sys.argv[1:], "settings": settings}, file)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
address = (settings["GF_SERVER_HTTP_ADDR"], int(settings["GF_SERVER_HTTP_PORT"]))
http.server.HTTPServer(address, Handler).serve_forever()
"""


def install(directory: Path, name: str, *, home: bool = True) -> Path:
    program = directory / "bin" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(PROGRAM, encoding="utf-8")
    program.chmod(0o755)
    if home:
        (directory / "conf").mkdir(exist_ok=True)
        (directory / "conf" / "defaults.ini").touch()
        (directory / "public").mkdir(exist_ok=True)
    return program


@pytest.mark.parametrize(("name", "arguments"), [("grafana", ("server",)), ("grafana-server", ())])
def test_an_installed_grafana_is_found_by_either_name(
    name: str, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = install(tmp_path / "unpacked", name)
    monkeypatch.setenv("PATH", str(program.parent))
    assert dashboards.find_grafana() == Grafana((str(program), *arguments), tmp_path / "unpacked")
    # A package puts the program elsewhere.
    link = tmp_path / "usr" / "bin" / name
    link.parent.mkdir(parents=True)
    program.rename(link)
    monkeypatch.setenv("PATH", str(link.parent))
    monkeypatch.setattr(dashboards, "_HOMES", (str(tmp_path / "nowhere"), str(tmp_path / "unpacked")))
    assert dashboards.find_grafana() == Grafana((str(link), *arguments), tmp_path / "unpacked")


def test_a_program_without_its_home_is_no_grafana(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboards, "_HOMES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dashboards.find_grafana() is None
    monkeypatch.setenv("PATH", str(install(tmp_path, "grafana", home=False).parent))
    assert dashboards.find_grafana() is None


def test_grafana_is_given_the_deployed_files_with_the_demo_s_addresses(tmp_path: Path) -> None:
    program = install(tmp_path / "home", "grafana")
    pages, folder, port = tmp_path / "pages", tmp_path / "own", free_port()
    dashboards.write_dashboards(pages, load_thresholds())
    addresses = {"prometheus": "http://127.0.0.1:1", "alertmanager": "http://127.0.0.1:2"}
    process = dashboards.grafana(
        Grafana((str(program), "server"), tmp_path / "home"),
        folder, pages, port, addresses, scrape="5s", log=tmp_path / "log",
    )  # fmt: skip
    with process:
        given = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    assert given["arguments"] == ["server", "--homepath", str(tmp_path / "home")]
    settings = given["settings"]
    assert settings["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert settings["GF_PATHS_PROVISIONING"] == str(folder / "provisioning")
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert Path(settings["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).is_file()

    provisioning = folder / "provisioning"
    assert {path.name for path in provisioning.iterdir()} >= {
        "alerting",
        "dashboards",
        "datasources",
        "notifiers",
        "plugins",
    }
    sources = yaml.safe_load((provisioning / "datasources" / "datasources.yaml").read_text(encoding="utf-8"))
    assert {one["uid"]: one["url"] for one in sources["datasources"]} == addresses
    assert sources["datasources"][0]["jsonData"]["timeInterval"] == "5s"
    provider = yaml.safe_load((provisioning / "dashboards" / "dashboards.yaml").read_text(encoding="utf-8"))
    assert provider["providers"][0]["options"] == {"path": str(pages), "foldersFromFilesStructure": True}
    shown = [json.loads(path.read_text(encoding="utf-8")) for path in pages.rglob("*.json")]
    assert {page["time"]["from"] for page in shown} == {"now-15m"}
