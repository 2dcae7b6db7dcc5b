from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ml_monitoring.dashboards.commands import OUTPUT_DIR

ROOT = Path(__file__).resolve().parents[3]


def generated(directory: Path, **environment: str) -> dict[str, bytes]:
    command = [sys.executable, "-m", "dashboards", "generate", "--output-dir", str(directory)]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True, capture_output=True)
    return files(directory)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_committed_files_are_the_generated_ones_whatever_the_hash_seed(tmp_path: Path) -> None:
    committed = files(OUTPUT_DIR)
    assert set(committed) >= {"ML/ml-monitoring-mlflow-experiments.json", "Platform/ml-monitoring-exporter-health.json"}
    assert generated(tmp_path / "one", PYTHONHASHSEED="1") == committed
    assert generated(tmp_path / "two", PYTHONHASHSEED="2") == committed


def test_a_page_that_no_longer_exists_is_removed_and_other_files_stay(tmp_path: Path) -> None:
    old, readme = tmp_path / "ML" / "old.json", tmp_path / "README"
    old.parent.mkdir()
    old.write_text('{"uid": "old", "tags": ["ml-stack"]}')
    readme.write_text("mine")
    assert set(generated(tmp_path)) == {"README", *files(OUTPUT_DIR)}


def test_runbook_links_lead_where_the_environment_says(tmp_path: Path) -> None:
    pages = generated(tmp_path, RUNBOOKS_URL="https://runbooks.example/x")
    # Not every page lists alerts; those that do link them.
    linking = [page for page in pages.values() if b"Open the runbook" in page]
    assert linking
    assert all(b"https://runbooks.example/x/${__value.raw}" in page for page in linking)
