"""The agent of the example sends what it scrapes to another Prometheus, which is what Grafana Cloud is to it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.support.files import ROOT
from tests.support.fleet_files import line, write_csv
from tests.support.serving import ExporterProcess
from tools.processes import Process, free_port, http_ok, wait_until

EXAMPLE = ROOT / "examples" / "grafana-cloud" / "agent.yml"


def query(url: str, expression: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{url}/api/v1/query", params={"query": expression}, timeout=10).json()
    result = answer["data"]["result"]
    assert isinstance(result, list)
    return result


def prometheus(programs: Mapping[str, Path], folder: Path, name: str, *flags: str) -> tuple[Process, str]:
    url = f"http://127.0.0.1:{free_port()}"
    address = url.removeprefix("http://")
    command: list[str | Path] = [
        programs["prometheus"],
        f"--config.file={folder / name}.yml",
        f"--web.listen-address={address}",
        *flags,
    ]
    return Process(
        name, command, log=folder / f"{name}.log", cwd=folder, healthy=lambda: http_ok(f"{url}/-/ready")
    ), url


def test_the_agents_tool_finds_no_fault(programs: Mapping[str, Path], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    config["remote_write"][0]["basic_auth"]["password_file"] = str(tmp_path / "token")
    (tmp_path / "agent.yml").write_text(yaml.safe_dump(config))
    command: list[str | Path] = [programs["promtool"], "check", "config", "--agent", tmp_path / "agent.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_the_agent_scrapes_arrives_under_the_names_that_rules_expect(
    programs: Mapping[str, Path], tmp_path: Path
) -> None:
    write_csv(tmp_path / "fleet.csv", line())
    settings = tmp_path / "ml-monitoring.yml"
    settings.write_text(f"web: {{port: 0}}\nsources: {{fleet: {{path: {tmp_path}/fleet.csv}}}}\n")
    (tmp_path / "token").write_text("s3cret")
    (tmp_path / "receiver.yml").write_text("{}")
    flags = ("--web.enable-remote-write-receiver", f"--storage.tsdb.path={tmp_path / 'data'}")
    receiver, url = prometheus(programs, tmp_path, "receiver", *flags)
    exporter = ExporterProcess(settings, tmp_path / "exporter.log")
    try:
        config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
        config["global"]["scrape_interval"] = "1s"
        config["global"]["scrape_timeout"] = "1s"
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [exporter.url.removeprefix("http://")]
        config["remote_write"][0]["url"] = f"{url}/api/v1/write"
        config["remote_write"][0]["basic_auth"]["password_file"] = str(tmp_path / "token")
        (tmp_path / "agent.yml").write_text(yaml.safe_dump(config))
        agent, _url = prometheus(
            programs, tmp_path, "agent", "--enable-feature=agent", f"--storage.agent.path={tmp_path / 'agent'}"
        )
        with receiver, agent:
            shown = 'ml_monitoring_source_up{job="ml-monitoring", source="fleet", cluster="ml"}'
            assert wait_until(lambda: bool(query(url, shown)), timeout=60), (tmp_path / "agent.log").read_text()
            assert wait_until(lambda: bool(query(url, 'up{job="ml-monitoring", cluster="ml"} == 1')), timeout=60)
    finally:
        exporter.stop()
    assert "s3cret" not in (tmp_path / "agent.log").read_text()
    shutil.rmtree(tmp_path / "data")
