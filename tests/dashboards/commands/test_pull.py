"""Pulling from a Grafana. The Grafana is a double: see grafana_double.py for what that means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ml_monitoring.dashboards.cli import main
from tests.dashboards.commands.test_push import page, set_expr
from tests.support.grafana_double import TOKEN, GrafanaDouble

Pull = Callable[..., int]


@pytest.fixture
def grafana() -> Iterator[GrafanaDouble]:
    with GrafanaDouble() as double:
        double.role = "Viewer"
        double.folders |= {"f1": "Team A", "f2": "SRE/On call"}
        double.save(page("errors") | {"tags": ["team-a"]}, by="jane", folder="f1")
        double.save(page("latency") | {"tags": ["team-a", "slo"]}, by="jane", folder="f2")
        double.save(page("loose") | {"tags": []}, by="jane")
        yield double


@pytest.fixture
def pull(grafana: GrafanaDouble, tmp_path: Path) -> Pull:
    token = tmp_path / "token"
    token.write_text(TOKEN, encoding="utf-8")

    def run(*arguments: str) -> int:
        return main(["pull", "--url", grafana.url, "--token-file", str(token), *arguments])

    return run


def pulled(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["--uid", "errors"], {"Team A/errors.json"}),
        (["--uid", "loose", "--uid", "latency"], {"General/loose.json", "SRE-On call/latency.json"}),
        (["--tag", "team-a"], {"Team A/errors.json", "SRE-On call/latency.json"}),
        (["--folder", "Team A"], {"Team A/errors.json"}),
        (["--folder", "f2"], {"SRE-On call/latency.json"}),
        (["--folder", "General"], {"General/loose.json"}),
        (["--tag", "slo", "--folder", "Team A"], {"Team A/errors.json", "SRE-On call/latency.json"}),
    ],
    # Sorted: workers of one run must agree on the names.
    ids=lambda value: " ".join(sorted(value)),
)
def test_dashboards_are_chosen_by_uid_tag_or_folder(
    pull: Pull, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], files: set[str]
) -> None:
    out = tmp_path / "out"
    assert pull("--output-dir", str(out), *arguments) == 0
    assert pulled(out) == files
    assert set(capsys.readouterr().out.splitlines()) == {str(out / name) for name in files}


def test_a_file_shows_what_somebody_edited_and_nothing_else(pull: Pull, grafana: GrafanaDouble, tmp_path: Path) -> None:
    arguments = ("--output-dir", str(tmp_path / "out"), "--uid", "errors")
    path = tmp_path / "out" / "Team A" / "errors.json"
    assert pull(*arguments) == 0
    before = path.read_text(encoding="utf-8")
    wanted = page("errors") | {"tags": ["team-a"]}
    del wanted["version"]
    assert before == json.dumps(wanted, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    # Saved again, unchanged but for the order of its keys.
    grafana.save(dict(reversed(grafana.dashboards["errors"].current.items())), by="joe", folder="f1")
    assert pull(*arguments) == 0
    assert path.read_text(encoding="utf-8") == before
    grafana.edit("errors", set_expr("sum(up)"))
    assert pull(*arguments) == 0
    assert path.read_text(encoding="utf-8") == before.replace('"expr": "up"', '"expr": "sum(up)"')


def test_what_was_pulled_can_be_pushed(pull: Pull, grafana: GrafanaDouble, tmp_path: Path) -> None:
    grafana.save(page("ours"), by="jane", folder="f1")
    assert pull("--output-dir", str(tmp_path / "out"), "--tag", "ml-stack") == 0
    grafana.add_datasource("abc", "Prometheus", "prometheus", default=True)
    grafana.role = "Editor"
    del grafana.dashboards["ours"]
    token = ["--url", grafana.url, "--token-file", str(tmp_path / "token")]
    assert main(["push", *token, "--dashboards", str(tmp_path / "out")]) == 0
    assert grafana.dashboards["ours"].folder == "f1"


def test_a_dashboard_that_cannot_be_read_is_named_and_the_others_are_written(
    pull: Pull, grafana: GrafanaDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.forbidden = "GET /api/dashboards/uid/latency"
    out = tmp_path / "out"
    assert pull("--output-dir", str(out), "--tag", "team-a", "--uid", "nowhere") == 1
    assert pulled(out) == {"Team A/errors.json"}
    assert capsys.readouterr().err.splitlines() == [
        "error: dashboard Latency (latency): GET /api/dashboards/uid/latency: 403 Forbidden: You'll need additional "
        "permissions to perform this action. Permissions needed: another: the token's service account needs the role "
        "Viewer, or the permissions that the guide lists",
        "error: dashboard nowhere: GET /api/dashboards/uid/nowhere: 404 Not Found: Dashboard not found",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which dashboards? choose them with --uid, --tag or --folder"),
        (["--tag", "none"], "--tag none: the token sees no dashboard with this tag"),
        (
            ["--folder", "None"],
            "--folder None: the token sees no dashboard in it; there are some in General, SRE/On call, Team A",
        ),
        (["--uid", "../../etc/x"], "dashboard ../../etc/x: its uid cannot be the name of a file"),
    ],
)
def test_a_choice_of_nothing_is_refused(
    pull: Pull, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert pull("--output-dir", str(tmp_path / "out"), *arguments) == 1
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "out").exists()


def test_a_folder_that_the_token_may_not_see_is_called_by_its_uid(
    pull: Pull, grafana: GrafanaDouble, tmp_path: Path
) -> None:
    grafana.forbidden = "GET /api/folders/f1"
    assert pull("--output-dir", str(tmp_path / "out"), "--uid", "errors") == 0
    assert pulled(tmp_path / "out") == {"f1/errors.json"}


@pytest.mark.parametrize("title", ["..", ".", " "])
def test_a_folder_cannot_lead_out_of_the_directory(
    pull: Pull, grafana: GrafanaDouble, tmp_path: Path, title: str
) -> None:
    grafana.folders["f1"] = title
    assert pull("--output-dir", str(tmp_path / "out"), "--uid", "errors") == 0
    assert pulled(tmp_path / "out") == {"General/errors.json"}


def test_a_file_that_was_not_pulled_is_written_over_only_by_force(
    pull: Pull, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--output-dir", str(tmp_path / "out"), "--tag", "team-a")
    path = tmp_path / "out" / "Team A" / "errors.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"mine": true}', encoding="utf-8")
    assert pull(*arguments) == 1
    assert capsys.readouterr().err == (
        f"error: {path}: is there already and was not pulled, so nothing is written: "
        "give another --output-dir, or --force to write over it\n"
    )
    assert pulled(tmp_path / "out") == {"Team A/errors.json"}
    assert path.read_text(encoding="utf-8") == '{"mine": true}'
    assert pull(*arguments, "--force") == 0
    assert json.loads(path.read_text(encoding="utf-8"))["uid"] == "errors"
