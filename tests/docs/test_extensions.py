"""What docs/extensions.md shows works: its files as they stand there, its commands in their order."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from demo.mlflow import STORE_FILE, write_file
from ml_monitoring.alerting.extension_pages import OwnPage, OwnPanel, OwnQuery, OwnRow
from ml_monitoring.exporter.catalog import Unit
from tests.support.extensions import ALERT, QUERY, TEXT, write_example
from tests.support.files import ROOT
from tests.support.shell import COMMAND

BLOCKS = re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line.removeprefix("$ ").partition("  #")[0].strip() for block in BLOCKS for line in block.splitlines()]
# These need servers: tests/integration/test_extensions.py runs them.
ELSEWHERE = (
    "ml-monitoring serve",
    *(f"ml-monitoring dashboards {command}" for command in ("render", "prove", "push", "serve")),
)


@pytest.fixture
def environment(programs: dict[str, Path], tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "ml-monitoring"
    command.write_text(f'#!/bin/sh\nexec {COMMAND} "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ML_MONITORING_")}
    return {**kept, "PATH": f"{folder}:{programs['promtool'].parent}:{kept['PATH']}", "PYTHONPATH": str(ROOT)}


def run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_every_unit_and_every_key_is_explained() -> None:
    templates = ROOT / "dashboards" / "extensions" / "templates"
    for name in ("alert.yml.txt", "panel.yml.txt"):
        listed = (templates / name).read_text(encoding="utf-8").partition("# count, ")[2].partition("\nunit:")[0]
        assert [unit for unit in Unit if unit not in ("count", *re.findall(r"\w+", listed))] == []
    assert [unit for unit in Unit if f"`{unit}`" not in TEXT] == []
    keys = [key for model in (OwnPanel, OwnQuery, OwnRow, OwnPage) for key in model.model_fields]
    assert [key for key in keys if not re.search(rf"\b{key}:|`{key}`", TEXT)] == []


def test_the_commands_of_the_page_work_on_its_files(tmp_path: Path, environment: dict[str, str]) -> None:
    work = tmp_path / "work"
    work.mkdir()
    *blocks, refused = BLOCKS
    begins = [command for command in COMMANDS if command.startswith("ml-monitoring new ")]
    assert len(begins) == 6
    for command in begins:
        done = run(command, work, environment)
        assert done.returncode == 0, command + done.stderr
    # In place of what was written to be filled in.
    write_example(work)
    query = work / QUERY
    query.write_text(
        query.read_text(encoding="utf-8").replace("/data/shop.db", f"{tmp_path}/shop.db"), encoding="utf-8"
    )
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop, shop:
        shop.execute("CREATE TABLE orders (region TEXT, sent TEXT)")
        shop.execute("INSERT INTO orders VALUES ('eu', NULL)")
    write_file(tmp_path, seed=1)
    with (work / "ml-monitoring.yml").open("a") as file:
        file.write(f"sources: {{mlflow: {{uri: 'sqlite:///{tmp_path / STORE_FILE}'}}}}\n")
    shown = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    rest = [command for command in shown if not command.startswith((*ELSEWHERE, "ml-monitoring new "))]
    assert len(rest) == 4
    for command in rest:
        done = run(command, work, environment)
        assert done.returncode == 0, command + done.stdout + done.stderr
    alert = work / "monitoring" / "alerts" / f"{ALERT}.yml"
    alert.write_text(alert.read_text(encoding="utf-8").replace("threshold:", "treshold:"), encoding="utf-8")
    command, _, expected = refused.removeprefix("$ ").partition("\n")
    done = run(command, work, environment)
    assert (done.returncode, done.stderr) == (1, expected)
