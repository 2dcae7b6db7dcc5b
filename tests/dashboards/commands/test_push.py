"""Pushing to a Grafana that is there already. The Grafana is a double: see grafana_double.py for what that means."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.publish.grafana import Grafana, GrafanaError
from tests.support.grafana_double import DOCUMENTED, TOKEN, GrafanaDouble

Json = dict[str, Any]
Push = Callable[..., int]


def page(uid: str, *, expr: str = "up", title: str = "") -> Json:
    """Return a dashboard as the generator writes it, with one panel."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "uid": uid,
        "title": title or uid.capitalize(),
        "tags": ["ml-stack"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "annotations": {"list": []},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {"selected": True, "text": "default", "value": "default"},
                }
            ]
        },
        "panels": [
            {
                "id": 1,
                "type": "stat",
                "title": "Targets",
                "datasource": source,
                "gridPos": {"h": 4, "w": 6, "x": 0, "y": 0},
                "fieldConfig": {"defaults": {"unit": "locale"}, "overrides": []},
                "targets": [{"datasource": source, "expr": expr, "refId": "A"}],
            }
        ],
    }


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    write(tmp_path / "generated", "ML", page("runs"))
    write(tmp_path / "generated", "Platform", page("health"))
    return tmp_path / "generated"


@pytest.fixture
def push(grafana: GrafanaDouble, generated: Path, tmp_path: Path) -> Push:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")

    def run(*arguments: str) -> int:
        common = ["--url", grafana.url, "--token-file", str(token), "--dashboards", str(generated)]
        return main(["push", *common, *arguments])

    return run


def write(generated: Path, folder: str, dashboard: Json) -> None:
    (generated / folder).mkdir(parents=True, exist_ok=True)
    (generated / folder / f"{dashboard['uid']}.json").write_text(json.dumps(dashboard), encoding="utf-8")


def set_expr(expr: str) -> Callable[[Json], None]:
    def change(dashboard: Json) -> None:
        dashboard["panels"][0]["targets"][0]["expr"] = expr

    return change


def test_a_first_push_creates_folders_and_dashboards(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push() == 0
    assert capsys.readouterr().out == (
        "create     Health (health) in Platform\ncreate     Runs (runs) in ML\n2 created\n"
    )
    assert grafana.folders == {"ml-stack-platform": "Platform", "ml-stack-ml": "ML"}
    stored = grafana.dashboards["runs"]
    wanted = page("runs")
    del wanted["version"]
    wanted["templating"]["list"][0]["current"] = {"selected": True, "text": "Prometheus of the team", "value": "abc"}
    assert stored.current == wanted
    assert stored.folder == "ml-stack-ml"


def test_a_first_dry_run_has_a_line_for_each_page_and_a_summary(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push("--dry-run") == 0
    assert capsys.readouterr().out == (
        "create     Health (health) in Platform\n"
        "create     Runs (runs) in ML\n"
        "2 to create; nothing was changed (dry run)\n"
    )
    assert grafana.writes == []


def test_a_second_push_of_the_same_writes_nothing(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    capsys.readouterr()
    grafana.requests.clear()
    assert push() == 0
    assert capsys.readouterr().out == (
        "unchanged  Health (health) in Platform\nunchanged  Runs (runs) in ML\n2 unchanged\n"
    )
    assert grafana.writes == []


@pytest.mark.parametrize("old", [True, False], ids=["Grafana 9.4 to 10", "Grafana 11 to 13"])
def test_a_dry_run_shows_queries_thresholds_and_units_that_change_and_writes_nothing(
    push: Push, grafana: GrafanaDouble, generated: Path, capsys: pytest.CaptureFixture[str], old: bool
) -> None:
    grafana.old = old
    push()
    capsys.readouterr()
    grafana.requests.clear()
    changed = page("runs", expr="sum(up)")
    changed["panels"][0]["fieldConfig"]["defaults"] = {
        "unit": "percentunit",
        "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}, {"color": "red", "value": 1}]},
    }
    write(generated, "ML", changed)
    assert push("--dry-run") == 0
    assert capsys.readouterr().out == (
        "unchanged  Health (health) in Platform\n"
        "update     Runs (runs) in ML\n"
        "  changed by the push:\n"
        "    - Targets: query A changed: `up` → `sum(up)`\n"
        "    - Targets: thresholds changed: `green, red from 80` → `green, red from 100%`\n"
        "    - Targets: unit changed: `locale` → `percentunit`\n"
        "1 to update, 1 unchanged; nothing was changed (dry run)\n"
    )
    assert grafana.writes == []


def test_a_dry_run_lists_the_first_changes_of_a_page_and_all_where_that_is_asked_for(
    push: Push, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    changed = page("runs")
    panel = changed["panels"][0]
    changed["panels"] = [panel | {"id": number, "title": f"Targets {number}"} for number in range(100, 112)]
    write(generated, "ML", changed)
    capsys.readouterr()
    assert push("--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("    - ")]) == 10
    assert lines[-2:] == [
        "    and 3 more, which --all lists",
        "1 to update, 1 unchanged; nothing was changed (dry run)",
    ]
    assert push("--dry-run", "--all") == 0
    assert len([line for line in capsys.readouterr().out.splitlines() if line.startswith("    - ")]) == 13


def test_an_update_is_saved_as_the_next_version(push: Push, grafana: GrafanaDouble, generated: Path) -> None:
    push()
    write(generated, "ML", page("runs", expr="sum(up)"))
    assert push() == 0
    assert grafana.dashboards["runs"].version == 2
    assert grafana.dashboards["runs"].current["panels"][0]["targets"][0]["expr"] == "sum(up)"
    assert push() == 0
    assert grafana.dashboards["runs"].version == 2


def test_an_edit_by_hand_is_reported_with_what_was_edited_and_left_alone(
    push: Push, grafana: GrafanaDouble, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    grafana.edit("runs", set_expr("up == 0"), message="only what is down")
    write(generated, "ML", page("runs", expr="sum(up)"))
    write(generated, "Platform", page("health", expr="sum(up)"))
    capsys.readouterr()
    assert push() == 1
    assert capsys.readouterr().out == (
        "update     Health (health) in Platform\n"
        "conflict   Runs (runs) in ML: jane saved version 2 of it on 2017-06-08T17:24:33-04:00: only what is down\n"
        "  changed by hand:\n"
        "    - Targets: query A changed: `up` → `up == 0`\n"
        "  changed by the push:\n"
        "    - Targets: query A changed: `up == 0` → `sum(up)`\n"
        "1 updated, 1 in conflict\n"
    )
    assert grafana.dashboards["runs"].current["panels"][0]["targets"][0]["expr"] == "up == 0"
    assert grafana.dashboards["health"].version == 2


def test_force_overwrites_an_edit_by_hand_and_the_next_push_is_quiet(push: Push, grafana: GrafanaDouble) -> None:
    push()
    grafana.edit("runs", set_expr("up == 0"))
    assert push("--force") == 0
    assert grafana.dashboards["runs"].current["panels"][0]["targets"][0]["expr"] == "up"
    assert push() == 0
    assert grafana.dashboards["runs"].version == 3


def test_a_restored_version_counts_as_an_edit_by_hand(push: Push, grafana: GrafanaDouble, generated: Path) -> None:
    push()
    first = grafana.dashboards["runs"].current
    write(generated, "ML", page("runs", expr="sum(up)"))
    push()
    grafana.save(first, by="jane", message="Restored from version 1")
    assert push() == 1
    assert grafana.dashboards["runs"].version == 3


def test_a_save_between_the_look_and_the_push_is_a_conflict(
    push: Push, grafana: GrafanaDouble, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    write(generated, "ML", page("runs", expr="sum(up)"))
    capsys.readouterr()
    grafana.before_save = lambda: grafana.edit("runs", set_expr("up == 0"))
    assert push() == 1
    assert "conflict   Runs (runs) in ML: somebody saved it just now; push again\n" in capsys.readouterr().out
    assert grafana.dashboards["runs"].current["panels"][0]["targets"][0]["expr"] == "up == 0"


def test_a_dashboard_that_the_look_did_not_show_is_a_conflict(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = page("runs", expr="their_metric")
    grafana.before_save = lambda: grafana.save(theirs, by="joe")
    assert push() == 1
    assert (
        "conflict   Runs (runs) in ML: it is there already, in a folder that the token may not read, or somebody saved "
        "it just now\n"
    ) in capsys.readouterr().out
    assert grafana.dashboards["runs"].current == theirs


def test_a_dashboard_that_was_moved_by_hand_stays_where_it_is(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    grafana.folders["mine"] = "Mine"
    grafana.dashboards["runs"].folder = "mine"
    capsys.readouterr()
    assert push() == 1
    assert "conflict   Runs (runs) in ML: it was moved to the folder with the uid mine\n" in capsys.readouterr().out
    assert grafana.dashboards["runs"].folder == "mine"


@pytest.mark.parametrize("arguments", [[], ["--force"]], ids=["plain", "forced"])
def test_a_dashboard_of_somebody_else_with_our_uid_is_never_touched(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    theirs = page("runs", expr="their_metric") | {"tags": ["theirs"]}
    grafana.save(theirs, by="joe")
    assert push(*arguments) == 1
    assert grafana.dashboards["runs"].current == theirs
    assert "refused    Runs (runs): a dashboard with this uid is there without the tag ml-stack" in (
        capsys.readouterr().out
    )


def test_a_dashboard_that_grafana_reads_from_a_file_is_refused_before_grafana_refuses(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.save(page("runs"), by="")
    grafana.dashboards["runs"].provisioned = "ML/runs.json"
    assert push("--force") == 1
    assert "refused    Runs (runs): Grafana reads it from ML/runs.json" in capsys.readouterr().out
    assert grafana.dashboards["runs"].version == 1


def test_dashboards_without_the_tag_are_neither_read_nor_written(push: Push, grafana: GrafanaDouble) -> None:
    grafana.save(page("foreign") | {"tags": []}, by="joe")
    assert push("--force", "--prune") == 0
    assert grafana.dashboards["foreign"].version == 1
    assert not [request for request in grafana.requests if "foreign" in request]


def test_a_dashboard_that_is_no_longer_generated_is_deleted_only_with_prune(
    push: Push, grafana: GrafanaDouble, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    (generated / "ML" / "runs.json").unlink()
    capsys.readouterr()
    assert push() == 0
    assert "left over  Runs (runs): it is no longer generated; --prune deletes it\n" in capsys.readouterr().out
    assert push("--prune", "--dry-run") == 0
    assert "runs" in grafana.dashboards
    assert push("--prune") == 0
    assert sorted(grafana.dashboards) == ["health"]


def test_prune_keeps_what_was_edited_by_hand_or_never_pushed(
    push: Push, grafana: GrafanaDouble, generated: Path
) -> None:
    push()
    (generated / "ML" / "runs.json").unlink()
    grafana.edit("runs", set_expr("up == 0"))
    grafana.save(page("copy"), by="jane")
    assert push("--prune") == 1
    assert sorted(grafana.dashboards) == ["copy", "health", "runs"]


def test_a_folder_of_the_same_title_is_used_and_another_can_be_chosen(push: Push, grafana: GrafanaDouble) -> None:
    grafana.folders = {"f1": "ML", "f2": "Infrastructure"}
    assert push("--folder", "Platform=Infrastructure") == 0
    assert {uid: stored.folder for uid, stored in grafana.dashboards.items()} == {"runs": "f1", "health": "f2"}
    assert grafana.folders == {"f1": "ML", "f2": "Infrastructure"}


def test_a_folder_that_was_given_another_title_is_found_by_its_uid(push: Push, grafana: GrafanaDouble) -> None:
    push()
    grafana.folders["ml-stack-ml"] = "Data science"
    assert push() == 0
    assert sorted(grafana.folders) == ["ml-stack-ml", "ml-stack-platform"]


@pytest.mark.parametrize("wanted", ["xyz", "datasource=xyz", "Second", "datasource=Second"])
def test_a_data_source_is_chosen_by_name_or_uid(push: Push, grafana: GrafanaDouble, wanted: str) -> None:
    grafana.add_datasource("xyz", "Second", "prometheus")
    assert push("--datasource", wanted) == 0
    (variable,) = grafana.dashboards["runs"].current["templating"]["list"]
    assert variable["current"] == {"selected": True, "text": "Second", "value": "xyz"}


@pytest.mark.parametrize("theirs", ["postgres", "grafana-postgresql-datasource"])
@pytest.mark.parametrize("ours", ["postgres", "grafana-postgresql-datasource"])
def test_postgresql_is_one_type_whatever_a_version_calls_it(
    push: Push, grafana: GrafanaDouble, generated: Path, capsys: pytest.CaptureFixture[str], ours: str, theirs: str
) -> None:
    grafana.add_datasource("pg", "Variants", theirs)
    dashboard = page("runs")
    dashboard["templating"]["list"].append(
        {"name": "variants_datasource", "type": "datasource", "query": ours, "current": {}}
    )
    write(generated, "ML", dashboard)
    assert push() == 0
    assert "no data source of type" not in "".join(capsys.readouterr())
    variable = grafana.dashboards["runs"].current["templating"]["list"][1]
    assert variable["current"] == {"selected": True, "text": "Variants", "value": "pg"}


def test_problems_are_reported_with_the_way_out(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def problem(*arguments: str, code: int = 1) -> str:
        assert push(*arguments) == code
        return capsys.readouterr().err.replace(grafana.url, "URL")

    assert problem("--datasource", "nope") == (
        "error: --datasource datasource=nope: Grafana's data sources of type prometheus: Prometheus of the team\n"
    )
    assert problem("--datasource", "other=abc") == (
        "error: --datasource other=...: the data source variables are datasource\n"
    )
    assert (
        problem("--folder", "Other=x") == "error: --folder Other=...: the folders of the dashboards are ML, Platform\n"
    )
    assert problem("--folder", "ML=x") == "error: --folder: Grafana has no folder with the title or uid x\n"
    assert problem("--folder", "ML", code=2) == "error: --folder ML: expected NAME=VALUE\n"
    wrong = tmp_path / "wrong"
    wrong.write_text("something-else", encoding="utf-8")
    assert problem("--token-file", str(wrong)) == (
        "error: GET /api/org: 401 Unauthorized: Invalid API key: "
        "the token is wrong, or its service account is disabled\n"
    )
    assert problem("--url", grafana.url.removesuffix("/grafana") + "/other") == (
        f"error: GET /api/folders: 404 Not Found: Not found: "
        f"is {grafana.url.removesuffix('/grafana')}/other Grafana's address, with its path?\n"
    )
    grafana.forbidden = "POST /api/dashboards/db"
    assert problem() == (
        "note: URL, organisation 1 (Main Org.)\n"
        "error: POST /api/dashboards/db: 403 Forbidden: You'll need additional permissions to perform this action. "
        "Permissions needed: another: "
        "the token's service account needs the role Editor, or the permissions that the guide lists\n"
    )
    assert grafana.dashboards == {}


@contextmanager
def another_program(content: str, status: int = 200) -> Iterator[str]:
    """Give the address of a server that is not Grafana, and always answers the same."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "hint"), [(501, True), (405, True), (503, False)])
def test_an_answer_that_is_none_of_grafana_s_asks_for_the_address(
    push: Push, capsys: pytest.CaptureFixture[str], status: int, hint: bool
) -> None:
    with another_program("no Grafana", status) as url:
        assert push("--url", url) == 1
    said = capsys.readouterr().err
    assert f"GET /api/org: {status} " in said
    assert (f"is {url} Grafana's address?" in said) is hint


def test_what_is_no_grafana_is_reported_in_a_sentence(push: Push, capsys: pytest.CaptureFixture[str]) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response({"/gone": 502, "/moved": 302}.get(self.path.partition("/api")[0], 200))
            self.send_header("Location", "https://grafana.example.org/login")
            self.end_headers()
            self.wfile.write(b"<html>not Grafana</html>")

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert [push("--url", url + path) for path in ("", "/gone", "/moved")] == [1, 1, 1]
        server.shutdown()
        thread.join()
    assert push("--url", url) == 1
    assert push("--url", "grafana.example.org") == 2
    page, gone, moved, refused, no_address = capsys.readouterr().err.splitlines()
    assert page == f"error: GET /api/org: the answer is a page for people; is {url} Grafana's address?"
    assert gone == "error: GET /api/org: 502 Bad Gateway"
    assert moved == (
        "error: GET /api/org: 302 Found: a login stands before it (https://grafana.example.org/login), "
        "which must let requests with a token through"
    )
    assert refused == f"error: {url} cannot be reached: Connection refused: does it run there, and on this port?"
    assert no_address == "error: --url: has no scheme: put http:// or https:// in front"


def test_several_data_sources_without_a_default_must_be_chosen_from(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.datasources.clear()
    assert push("--dry-run") == 0
    assert capsys.readouterr().err.replace(grafana.url, "URL") == (
        "note: URL, organisation 1 (Main Org.)\n"
        "note: Grafana has no data source of type prometheus; panels that read ${datasource} stay empty\n"
    )
    grafana.add_datasource("a", "A", "prometheus")
    grafana.add_datasource("b", "B", "prometheus")
    assert push() == 1
    assert capsys.readouterr().err == (
        "error: which data source of type prometheus? choose with --datasource datasource=: A, B\n"
    )


def test_the_token_is_needed_and_never_printed(
    grafana: GrafanaDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("GRAFANA_TOKEN_FILE", "GRAFANA_TOKEN", "GRAFANA_URL"):
        monkeypatch.delenv(name, raising=False)
    assert main(["push"]) == 2
    assert capsys.readouterr().err == (
        "error: --url: not given, and GRAFANA_URL is not set\n"
        "error: --token-file: not given, and GRAFANA_TOKEN_FILE is not set\n"
    )
    monkeypatch.setenv("GRAFANA_TOKEN", "glsa_very_secret")
    assert main(["push", f"--url={grafana.url}"]) == 2
    assert capsys.readouterr().err == (
        "error: --token-file: not given, and GRAFANA_TOKEN_FILE is not set; GRAFANA_TOKEN, which is set, is not read\n"
    )
    token = tmp_path / "token"
    token.write_text("glsa_very_secret", encoding="utf-8")
    monkeypatch.setenv("GRAFANA_TOKEN_FILE", str(token))
    monkeypatch.setenv("GRAFANA_URL", grafana.url)
    assert main(["push"]) == 1
    out, err = capsys.readouterr()
    assert "401" in err
    assert "secret" not in out + err


def test_a_password_of_the_home_directory_does_not_replace_the_token(
    push: Push, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert push() == 0


@pytest.mark.parametrize("role", ["Editor", "Admin"])
@pytest.mark.parametrize("old", [True, False], ids=["Grafana 9.4 to 10", "Grafana 11 to 13"])
def test_each_role_that_may_save_pushes_into_an_empty_grafana_and_again(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str], role: str, old: bool
) -> None:
    grafana.role, grafana.old = role, old
    assert push("--dry-run") == 0
    assert grafana.writes == []
    assert push() == 0
    grafana.requests.clear()
    capsys.readouterr()
    assert push() == 0
    assert capsys.readouterr().out == (
        "unchanged  Health (health) in Platform\nunchanged  Runs (runs) in ML\n2 unchanged\n"
    )
    assert grafana.writes == []


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]], ids=["push", "dry run"])
def test_a_viewer_is_refused_at_once_with_the_right_that_is_missing(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    grafana.role = "Viewer"
    assert push(*arguments) == 1
    assert capsys.readouterr().err == (
        "error: the token may save no dashboard: its service account needs the role Editor, or the permissions "
        "dashboards:create and dashboards:write\n"
    )
    assert grafana.writes == []


def test_where_grafana_does_not_say_what_a_token_may_do_its_refusal_is_shown(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.without_rbac = True
    assert push() == 0
    grafana.role = "Viewer"
    assert push() == 1
    assert capsys.readouterr().out.splitlines()[-2] == "refused    Runs (runs): the token may see it and not save it"


@pytest.mark.parametrize("old", [True, False], ids=["Grafana 9.4 to 10", "Grafana 11 to 13"])
def test_a_conflict_names_the_user_where_the_list_of_versions_has_only_a_number(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str], old: bool
) -> None:
    grafana.old = old
    push()
    grafana.edit("runs", set_expr("up == 0"))
    capsys.readouterr()
    assert push() == 1
    assert "conflict   Runs (runs) in ML: jane saved version 2 of it" in capsys.readouterr().out


def test_a_push_says_which_organisation_it_is_for_and_refuses_another_than_the_one_that_is_meant(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.org = 2
    assert push("--org", "1") == 1
    assert capsys.readouterr().err == "error: organisation 1: the token belongs to 2 (Main Org.)\n"
    assert grafana.writes == []
    assert push("--org", "2") == 0
    assert capsys.readouterr().err == f"note: {grafana.url}, organisation 2 (Main Org.)\n"


@pytest.mark.parametrize("arguments", [[], ["--force"]], ids=["plain", "forced"])
def test_a_dashboard_of_the_same_title_is_never_replaced_and_the_others_are_pushed(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    grafana.old = True
    grafana.folders["f1"] = "ML"
    grafana.save(page("theirs", title="Runs") | {"tags": []}, by="joe", folder="f1")
    assert push(*arguments) == 1
    assert capsys.readouterr().out == (
        "create     Health (health) in Platform\n"
        "refused    Runs (runs) in ML: A dashboard with the same name in the folder already exists\n"
        "1 created, 1 refused\n"
    )
    assert grafana.dashboards["theirs"].version == 1
    assert sorted(grafana.dashboards) == ["health", "theirs"]


def test_a_dashboard_of_a_plugin_or_one_that_became_provisioned_meanwhile_is_refused_alone(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str], generated: Path
) -> None:
    push()
    write(generated, "ML", page("runs", expr="sum(up)"))
    write(generated, "Platform", page("health", expr="sum(up)"))
    grafana.plugin = "health"

    def provision() -> None:
        grafana.dashboards["runs"].provisioned = "runs.json"

    grafana.before_save = provision
    capsys.readouterr()
    assert push("--force") == 1
    refused = [line for line in capsys.readouterr().out.splitlines() if line.startswith("refused")]
    assert refused == [
        "refused    Health (health) in Platform: The dashboard belongs to plugin Example.",
        "refused    Runs (runs) in ML: Cannot save provisioned dashboard",
    ]


def test_a_quota_is_no_matter_of_roles(push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]) -> None:
    grafana.quota = 1
    assert push() == 1
    assert capsys.readouterr().err.endswith(
        "error: POST /api/dashboards/db: 403 Forbidden: Quota reached: the organisation may have no more of them\n"
    )
    assert sorted(grafana.dashboards) == ["health"]


def test_data_sources_are_found_where_only_administrators_may_list_them(push: Push, grafana: GrafanaDouble) -> None:
    grafana.licensed = True
    assert push() == 0
    (variable,) = grafana.dashboards["runs"].current["templating"]["list"]
    assert variable["current"]["value"] == "abc"


def test_folders_and_dashboards_beyond_the_first_page_are_found(
    push: Push, grafana: GrafanaDouble, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.folders = {f"a{number}": f"Team {number}" for number in range(1000)} | {"last": "ML"}
    push()
    assert grafana.dashboards["runs"].folder == "last"
    for number in range(1000):
        grafana.save(page(f"a{number}"), by="joe")
    (generated / "ML" / "runs.json").unlink()
    capsys.readouterr()
    push("--dry-run")
    assert "left over  Runs (runs)" in capsys.readouterr().out


def test_a_folder_that_the_token_may_not_see_is_reported_as_grafana_says_it(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.old = True
    grafana.folders["theirs"] = "ML"
    grafana.unseen = {"theirs"}
    assert push() == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: POST /api/folders: 409 Conflict: a folder or dashboard in the general folder with the same name "
        "already exists: the token may not see it; choose another with --folder"
    )


def test_the_generated_dashboards_are_pushed_as_they_are(grafana: GrafanaDouble, push: Push) -> None:
    directory = Path("dashboards/generated").resolve()
    assert push("--dashboards", str(directory)) == 0
    for path in directory.glob("*/*.json"):
        pushed = grafana.dashboards[path.stem].current
        file = json.loads(path.read_text(encoding="utf-8"))
        assert pushed["panels"] == file["panels"]
        assert pushed["annotations"] == file["annotations"]


def test_the_double_answers_with_the_fields_of_grafanas_documentation(grafana: GrafanaDouble, push: Push) -> None:
    push()

    def ask(target: str) -> Any:
        status, answer = grafana._dispatch("GET", target, f"Bearer {TOKEN}", {})
        assert status == 200
        return answer

    documented = DOCUMENTED["GET /api/dashboards/uid/:uid 200"]
    live = ask("/api/dashboards/uid/runs")
    assert live.keys() == documented.keys()
    assert live["meta"].keys() - {"canSave"} == documented["meta"].keys()
    assert {"id", "uid", "title", "tags", "schemaVersion", "version"} <= live["dashboard"].keys()
    for target, name in (
        ("/api/dashboards/uid/runs/versions", "GET /api/dashboards/uid/:uid/versions 200"),
        ("/api/dashboards/uid/runs/versions/1", "GET /api/dashboards/uid/:uid/versions/:version 200"),
        ("/api/folders/ml-stack-ml", "GET /api/folders/:uid 200"),
    ):
        assert ask(target).keys() == DOCUMENTED[name].keys(), target
    for target, name in (
        ("/api/folders", "GET /api/folders 200"),
        ("/api/search?tag=ml-stack&type=dash-db&limit=10&page=1", "GET /api/search 200"),
        ("/api/datasources", "GET /api/datasources 200"),
    ):
        assert ask(target)[0].keys() == DOCUMENTED[name][0].keys(), target


@pytest.mark.parametrize("content", ['{"status":"ok"}', "[]", '"ok"', "17", '{"id":"a","name":1}'])
def test_json_of_another_program_is_noticed(content: str, push: Push, capsys: pytest.CaptureFixture[str]) -> None:
    with another_program(content) as url:
        assert push("--url", url) == 1
        grafana = Grafana(url, "token")
        with pytest.raises(GrafanaError, match="Grafana's address"):
            grafana.existing_dashboard("a")
        grafana.close()
    assert f"is {url} Grafana's address?" in capsys.readouterr().err
