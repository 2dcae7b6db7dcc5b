"""The report of an experiment as HTML and on paper, read from a real Prometheus by the command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.exporter.sources.experiments import ExperimentsSettings, ExperimentsSource
from ml_monitoring.exporter.sources.experiments.paper import write_pdf
from ml_monitoring.exporter.sources.experiments.report import OPEN, ExperimentReport, ResultRow, report_of
from tests.support.experiment_series import START, declared


@pytest.fixture(scope="module")
def config(experiments_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    experiments: dict[str, Any] = {name: declared(name) for name in ("winner", "harmful", "nobody")}
    metrics = experiments["winner"]["metrics"]
    experiments["winner"] |= {
        "title": 'Does "new" sell more & <better>?',
        "team": "growth",
        "link": "https://wiki.example.org/winner",
        "metrics": {**metrics, "success": {**metrics["success"], "value": 2}},
    }
    config = tmp_path_factory.mktemp("reports") / "ml-monitoring.yml"
    settings = {"sources": {"experiments": {"url": experiments_url, "declared": experiments}}}
    config.write_text(json.dumps(settings), encoding="utf-8")
    return config


def run(config: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ml_monitoring", "experiments", "report", *arguments, "--config", str(config)]
    # Written where it is called, from a checkout that is not installed.
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def texts(page: str) -> list[str]:
    """Return what a reader sees, piece by piece."""
    body = page.partition("<body>")[2]
    return [text for piece in re.split(r"<[^>]+>", body) if (text := unescape(piece).strip())]


def test_the_page_says_question_decision_results_and_design(config: Path, tmp_path: Path) -> None:
    done = run(config, tmp_path, "winner")
    assert (done.returncode, done.stderr) == (0, "")
    reason = "go on with treatment: better by success"
    assert done.stdout == f"winner.html: winner: better: treatment: {reason}\n"
    page = (tmp_path / "winner.html").read_text(encoding="utf-8")
    seen = texts(page)
    assert seen[:3] == ['Does "new" sell more & <better>?', "better: treatment", reason]
    row = seen.index("treatment", 3)
    assert seen[row - 1] == "success"
    trials, value, difference, interval, verdict = seen[row + 1 : row + 6]
    assert abs(float(trials.replace(",", "")) / 19_200 - 1) < 0.05
    assert abs(float(value.rstrip("%")) - 15) < 1
    lower, upper = (float(end.rstrip("%")) for end in interval.split(" to "))
    assert 0 < lower < float(difference.rstrip("%")) < upper
    assert verdict == "better"
    assert "errors (guardrail)" in seen
    assert "Worth of treatment by success" in seen
    assert '<a href="https://wiki.example.org/winner">' in page
    # Nothing is loaded from anywhere, and nothing in it is a program.
    assert not re.search(r"<script|<link|<img|url\(", page)


@pytest.mark.parametrize(("name", "decision"), [("harmful", "guardrail breached: treatment"), ("nobody", "no data")])
def test_what_must_not_go_on_or_is_not_known_is_reported_too(
    config: Path, tmp_path: Path, name: str, decision: str
) -> None:
    done = run(config, tmp_path, name, "-o", "out.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert texts((tmp_path / "out.html").read_text(encoding="utf-8"))[1] == decision


def test_paper_is_a_pdf_with_the_title(config: Path, tmp_path: Path) -> None:
    done = run(config, tmp_path, "winner", "--output", "winner.pdf")
    assert (done.returncode, done.stderr) == (0, "")
    content = (tmp_path / "winner.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/Count 1" in content
    assert len(content) < 1_000_000


@pytest.mark.parametrize(("arms", "caveats", "sheets"), [(2, 0, 1), (4, 8, 1), (4, 100, 4)])
def test_paper_is_one_sheet_as_long_as_it_can_be_read(tmp_path: Path, arms: int, caveats: int, sheets: int) -> None:
    cells = ("a metric", "an arm", "1,234", "5.000%", "+1.0%", "-1.0% to +3.0%", "open")
    report = ExperimentReport(
        title="Does the new ranking sell more?",
        decision="collecting",
        tone=OPEN,
        reason="still open",
        facts=(("Arm", "one of several"),) * 12,
        rows=(ResultRow(cells, (-0.01, 0.01, 0.03), OPEN),) * 6 * arms,
        caveats=(
            "a metric, an arm: something that the data cannot tell, said in words that take more than a line " * 2,
        )
        * caveats,
        notes=("How it was made.",),
    )
    write_pdf(report, tmp_path / "report.pdf")
    assert f"/Count {sheets}".encode() in (tmp_path / "report.pdf").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing",), "error: there is no experiment missing; there are: harmful, nobody, winner"),
        (("winner", "-o", "winner.doc"), "winner.doc: neither .html nor .pdf"),
    ],
)
def test_errors_name_what_is_wrong(config: Path, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(config, tmp_path, *arguments)
    assert done.returncode != 0
    assert done.stderr.strip().endswith(said)
    assert list(tmp_path.iterdir()) == []


def test_goals_come_first_and_what_has_no_data_says_so(experiments_url: str) -> None:
    given = declared("winner")
    refunds = {"kind": "rate", "numerator": "refunds_total", "denominator": "orders_total", "role": "guardrail"}
    absolute = {**given["metrics"]["errors"], "margin": 0.0, "absolute_margin": 0.02}
    given["metrics"] = {"refunds": refunds, "errors": absolute, "success": given["metrics"]["success"]}
    settings = ExperimentsSettings.model_validate({"url": experiments_url, "declared": {"winner": given}})
    now = START + 4 * 3600 + 60.0
    source = ExperimentsSource(settings, lambda: now)
    source.collect()
    gate = source.gate("winner")
    assert gate is not None
    report = report_of(source.tracked["winner"], gate, now)
    assert [(row.cells[0], row.cells[1], row.cells[-1]) for row in report.rows] == [
        ("success", "control", "-"),
        ("success", "treatment", "better"),
        ("refunds (guardrail)", "control", "-"),
        ("refunds (guardrail)", "treatment", "no data"),
        ("errors (guardrail)", "control", "-"),
        ("errors (guardrail)", "treatment", "holds"),
    ]
    assert report.facts[-3:] == (
        ("Guardrail refunds", "may be worse by up to 0.0%"),
        ("Guardrail errors", "may be worse by up to 0.02 in its unit"),
        ("Goal success", "smallest effect of interest 20.0%"),
    )
