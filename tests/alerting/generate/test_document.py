from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate.document import DocumentError, alerts_table, filled, metrics_table
from ml_monitoring.exporter.catalog import METRICS

FOLDER = Path(__file__).parents[3] / "docs"
TEXT = "# Title\n\n<!-- generated:alerts -->\nold\n<!-- /generated:alerts -->\n\nMore.\n"


def test_every_metric_and_alert_is_in_its_table() -> None:
    rows = [
        line.split("`")[1] for line in metrics_table(FOLDER, load_thresholds()).splitlines() if line.startswith("| `")
    ]
    assert sorted(rows) == sorted(metric.name for metric in METRICS)
    alerts = [
        line.split("]")[0] for line in alerts_table(FOLDER, load_thresholds()).splitlines() if line.startswith("| [")
    ]
    assert sorted(alerts) == sorted(f"| [{alert.name}" for alert in load_alerts())


def test_rows_tell_what_a_reader_needs() -> None:
    assert (
        "| `mlflow_runs` | gauge | `experiment`, `status` | Active runs of active experiments by status. |"
        in metrics_table(FOLDER, load_thresholds()).splitlines()
    )
    assert (
        "| [MlMonitoringSourceStale](../alerting/exporter/runbooks/MlMonitoringSourceStale.md) | A source was last "
        "read more than 3 of its refresh intervals ago, without having failed. | 1m | warning | platform | "
        "MlMonitoringDown |"
    ) in alerts_table(FOLDER, load_thresholds()).splitlines()


def test_alerts_are_grouped_by_domain() -> None:
    before, _, after = alerts_table(FOLDER, load_thresholds()).partition("\n## Hosts\n")
    assert "| [MlflowRunHanging]" in before
    assert "| [HostDiskFull]" not in before
    assert "| [HostDiskFull]" in after.partition("\n## ")[0]


def test_a_table_has_one_width() -> None:
    for table in (metrics_table(FOLDER, load_thresholds()), alerts_table(FOLDER, load_thresholds())):
        for block in table.split("\n\n"):
            rows = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
            assert len({row.count("|") for row in rows}) <= 1, block


def test_only_what_is_between_the_markers_changes() -> None:
    new = filled(TEXT, FOLDER, load_thresholds())
    table = alerts_table(FOLDER, load_thresholds())
    assert new == f"# Title\n\n<!-- generated:alerts -->\n\n{table}\n<!-- /generated:alerts -->\n\nMore.\n"
    assert filled(new, FOLDER, load_thresholds()) == new


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n<!-- generated:dogs -->\n", "2: nothing is generated under the name dogs; known: metrics, alerts"),
        ("<!-- generated:alerts -->\n", "1: the block alerts does not end; write <!-- /generated:alerts -->"),
        ("<!-- /generated:alerts -->\n", "1: a block alerts ends that did not begin"),
        (
            "<!-- generated:alerts -->\n<!-- generated:metrics -->\n",
            "2: the block alerts of line 1 has not ended",
        ),
        ("", "1: has no <!-- generated:NAME --> marker; known: metrics, alerts"),
        ("# Alerts\n", "1: has no <!-- generated:NAME --> marker; known: metrics, alerts"),
    ],
)
def test_markers_that_cannot_be_understood_are_named_by_line(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        filled(text, FOLDER, load_thresholds())
    assert str(caught.value) == message


def test_the_command_checks_then_regenerates_then_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "README.md"
    path.write_text(TEXT)
    assert main(["document", "--check", str(path)]) == 1
    assert capsys.readouterr().err == f"Tables are out of date in {path}. Regenerate them with: make generate\n"
    assert path.read_text() == TEXT
    assert main(["document", str(path)]) == 0
    assert main(["document", "--check", str(path)]) == 0


def test_the_command_names_the_file_of_a_bad_marker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "README.md"
    path.write_text("<!-- /generated:alerts -->\n")
    assert main(["document", str(path)]) == 1
    assert capsys.readouterr().err == f"error: {path}:1: a block alerts ends that did not begin\n"
    path.write_bytes(b"\x89PNG\r\n")
    assert main(["document", str(path)]) == 1
    assert capsys.readouterr().err == f"error: {path}: is not UTF-8, so no Markdown\n"
