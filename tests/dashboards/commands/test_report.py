"""Reports are PDFs with a cover that says what they rest on; they leave by Alertmanager's mail settings."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.commands.report import REPORTS
from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw import axes, legend, stat, table
from ml_monitoring.dashboards.render.draw.single import count_of
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.intervals import TimeRange
from ml_monitoring.dashboards.render.layout import GAP
from ml_monitoring.dashboards.render.model import load_dashboard
from ml_monitoring.dashboards.render.paper import (
    BOTTOM,
    FRAME,
    HEIGHT,
    INCHES,
    INNER,
    TOP,
    WIDTH,
    left_out,
    paginate,
)
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.render.units import Clock
from ml_monitoring.dashboards.reports.mail import read_mail
from ml_monitoring.dashboards.reports.report import begin_of, filled, panel_lines, read_reports, write
from ml_monitoring.exporter.errors import ConfigError
from tests.support.panel_store import END, SPECIMEN, START, Store
from tools.sinks import SmtpSink


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    path = tmp_path / "reports.yml"
    entry = {
        "title": "The house",
        "dashboards": [str(SPECIMEN)],
        "from": str(START),
        "to": str(END),
        "data_mode": "vector(2)",
        "modes": {2: {"name": "SIMULATED", "means": "made up"}},
        "assumptions_panel": "About",
        "assumptions": ['The kitchen has {{ max(temperature_celsius{room="kitchen"}) }} degrees.', "$5 is no formula."],
        "variables": {"room": ["kitchen", "attic"]},
    }
    path.write_text(yaml.safe_dump({"house": entry}), encoding="utf-8")
    return path


def test_a_report_is_a_pdf_of_a_cover_and_sheets(
    store: Store, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = reports.parent / "out"
    assert main(["report", "--reports", str(reports), "--prometheus", store.url, "--out", str(out)]) == 0
    (path,) = out.iterdir()
    assert re.fullmatch(r"house-\d{4}-\d\d-\d\d\.pdf", path.name)
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    # The cover and two sheets or more, each A4 across.
    assert len(re.findall(rb"/MediaBox \[ 0 0 841\.68 595\.1\d+ \]", content)) >= 3
    assert b"The house" in content
    assert capsys.readouterr().out == f"{path}  (19 panels)\n"


def test_no_panel_is_cut_and_no_heading_is_left_behind(every_panel_data: DashboardData) -> None:
    sheets = paginate(every_panel_data.panels)
    drawn = {id(one) for sheet in sheets for _, one in sheet}
    missing = {id(one) for one in left_out(every_panel_data.panels)}
    assert drawn | missing == {id(one) for one in every_panel_data.panels}
    assert not drawn & missing
    for sheet in sheets:
        assert all(box.y >= TOP - 1 and box.y + box.h <= HEIGHT - BOTTOM + 1 for box, _ in sheet)
        assert sheet[-1][1].panel.type != "row"


def test_the_smallest_letters_of_a_sheet_have_eight_points() -> None:
    smallest = min(legend.SIZE, axes.SIZE, table.SIZE, 11)
    assert smallest * INCHES * 72 / WIDTH >= 8


@pytest.mark.parametrize("count", [1, 3, 5, 9, 20])
def test_so_have_those_of_numbers_however_many_there_are(count: int, every_panel_data: DashboardData) -> None:
    one = next(one for one in every_panel_data.panels if one.panel.type == "stat" and one.frames)
    frame = one.frames[0]
    (value, *_) = frame.value_fields
    named = (value.copy(config={**value.config, "displayName": f"experiment number {n}"}) for n in range(count))
    many = [frame.with_fields([*([frame.time] if frame.time else []), field]) for field in named]
    ((box, shown),) = paginate([replace(one, frames=many)])[0]
    style = Style(THEMES["light"], Clock())
    assert stat.letters(shown, box.inset(*FRAME), style) * INCHES * 72 / WIDTH >= 8


def test_charts_stand_in_two_columns_and_numbers_in_four(every_panel_data: DashboardData) -> None:
    places = [(box, one) for sheet in paginate(every_panel_data.panels) for box, one in sheet]
    charts = {round(box.w) for box, one in places if one.panel.type == "timeseries"}
    assert charts <= {round((INNER - GAP) / 2), round(INNER)}
    numbers = [box.w for box, one in places if one.panel.type == "stat" and count_of(one) == 1]
    assert max(numbers) <= INNER * 2 / 3 + GAP


def test_a_long_table_is_whole_in_parts(every_panel_data: DashboardData) -> None:
    one = next(one for one in every_panel_data.panels if one.panel.type == "table" and one.frames)
    frame = one.frames[0]
    long = frame.with_fields([field.copy(values=[field.values[0]] * 100) for field in frame.fields])
    parts = [part for sheet in paginate([replace(one, frames=[long])]) for _, part in sheet]
    assert sum(part.frames[0].length for part in parts) == 100
    assert parts[0].title.startswith(f"{one.title} (1 to ")
    assert all(table.line_height(one) * (part.frames[0].length + 1) < HEIGHT - TOP - BOTTOM for part in parts)


def test_a_table_fills_what_is_left_of_a_sheet(every_panel_data: DashboardData) -> None:
    one = next(one for one in every_panel_data.panels if one.panel.type == "table" and one.frames)
    chart = next(one for one in every_panel_data.panels if one.panel.type == "timeseries")
    frame = one.frames[0]
    long = frame.with_fields([field.copy(values=[field.values[0]] * 30) for field in frame.fields])
    first, *_ = paginate([chart, replace(one, frames=[long])])
    assert [data.panel.type for _, data in first] == ["timeseries", "table"]
    assert first[1][1].title.startswith(f"{one.title} (1 to ")


def test_as_html_it_is_one_small_file_that_says_what_is_on_each_sheet(store: Store, reports: Path) -> None:
    out = reports.parent / "out"
    arguments = ["report", "--reports", str(reports), "--prometheus", store.url, "--out", str(out)]
    assert main([*arguments, "--format", "html"]) == 0
    (path,) = out.iterdir()
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>The house</title>" in page
    assert re.findall(r'<svg role="img" aria-label="([^"]*)"', page)[0] == "The house"
    assert not re.search(r'(src|href)="(?!#)', page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert len(page) < 1_000_000


def test_a_few_charts_with_a_longer_history_do_not_make_the_others_strokes(every_panel_data: DashboardData) -> None:
    span = TimeRange(0, 1000)

    def chart(title: str, begins: float) -> PanelData:
        one = next(one for one in every_panel_data.panels if one.panel.type == "timeseries" and one.frames)
        frame = one.frames[0]
        fields = [
            field.copy(values=[begins * 1000] * frame.length if field is frame.time else field.values)
            for field in frame.fields
        ]
        raw = {**one.panel.raw, "title": title}
        return replace(one, frames=[frame.with_fields(fields)], panel=replace(one.panel, raw=raw))

    # The copies of a panel count as one.
    old = [chart("$metric: latest", 0) for _ in range(9)]
    new = [chart(title, 800) for title in ("Runs", "Failed", "Duration")]
    data = replace(every_panel_data, span=span, panels=(*old, *new))
    assert begin_of([data]) == 700
    assert begin_of([replace(data, panels=(*old, chart("Runs", 10), chart("Failed", 800)))]) is None


def test_a_report_begins_where_its_data_begin(store: Store, reports: Path) -> None:
    entry = yaml.safe_load(reports.read_text(encoding="utf-8"))
    entry["house"]["from"] = str(START - 7 * 86_400)
    reports.write_text(yaml.safe_dump(entry), encoding="utf-8")
    (one,) = read_reports(reports)
    with Prometheus(store.url) as asked:
        queries = QueryOptions(asked, None, None, {}, 15.0, float(END))
        dashboard = load_dashboard(SPECIMEN)
        _, (data,) = write(one, [dashboard], queries, Style(THEMES["light"]), reports.parent)
    assert START - 86_400 < data.span.start <= START
    assert data.span.end == END


def test_panels_for_screens_only_are_left_out(store: Store, reports: Path) -> None:
    entry = yaml.safe_load(reports.read_text(encoding="utf-8"))
    entry["house"]["leave_out"] = ["Temperature"]
    reports.write_text(yaml.safe_dump(entry), encoding="utf-8")
    (one,) = read_reports(reports)
    with Prometheus(store.url) as asked:
        queries = QueryOptions(asked, None, None, {}, 15.0, float(END))
        _, (data,) = write(one, [load_dashboard(SPECIMEN)], queries, Style(THEMES["light"]), reports.parent)
    titles = [panel.title for panel in data.panels]
    assert "Temperature" not in titles
    assert len(titles) > 10


def test_marks_of_a_time_axis_say_the_day_where_it_begins() -> None:
    # 2026-01-15 22:00 UTC to the next day.
    marks = [(1_768_514_400_000.0 + hours * 3_600_000, f"{(22 + hours) % 24:02d}:00") for hours in range(4)]
    assert [label for _, label in axes.with_dates(marks, "utc")] == ["01/15 22:00", "23:00", "01/16 00:00", "01:00"]


def test_a_report_goes_to_its_readers(store: Store, reports: Path, tmp_path: Path) -> None:
    with SmtpSink() as sink:
        alertmanager = tmp_path / "alertmanager.yml"
        settings = {
            "smtp_smarthost": f"127.0.0.1:{sink.port}",
            "smtp_from": "stack@example.org",
            "smtp_require_tls": False,
        }
        alertmanager.write_text(yaml.safe_dump({"global": settings}), encoding="utf-8")
        arguments = ["report", "--reports", str(reports), "--prometheus", store.url, "--out", str(tmp_path / "out")]
        readers = ["--mail-to", "a@example.org", "--mail-to", "b@example.org"]
        assert main([*arguments, *readers, "--smtp-from", str(alertmanager)]) == 0
    (mail,) = sink.mails
    assert mail.recipients == ("a@example.org", "b@example.org")
    assert (mail.message["Subject"], mail.message["From"]) == ("The house", "stack@example.org")
    (attached,) = mail.message.iter_attachments()
    assert attached.get_content_type() == "application/pdf"
    (written,) = (tmp_path / "out").iterdir()
    assert attached.get_content() == written.read_bytes()


def test_by_default_mail_leaves_as_that_of_the_channel_of_ones_settings(
    store: Store, reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["report", "--reports", str(reports), "--prometheus", store.url, "--out", str(tmp_path / "out")]
    settings = tmp_path / "own.yml"
    arguments += ["--mail-to", "a@example.org", "--settings", str(settings)]
    settings.write_text("{}\n", encoding="utf-8")
    assert main(arguments) == 1
    assert "--mail-to: no mail server is known: give your alerting settings a channel of kind email" in (
        capsys.readouterr().err
    )
    with SmtpSink() as sink:
        channel = {
            "kind": "email",
            "teams": ["platform"],
            "to": "others@example.org",
            "from": "stack@example.org",
            "smarthost": f"127.0.0.1:{sink.port}",
            "require_tls": False,
        }
        settings.write_text(yaml.safe_dump({"notifications": {"channels": {"post": channel}}}), encoding="utf-8")
        assert main(arguments) == 0
        (mail,) = sink.mails
        assert (mail.recipients, mail.message["From"]) == (("a@example.org",), "stack@example.org")
        channel["username"] = "stack"
        channel["password_file"] = str(tmp_path / "nowhere")
        settings.write_text(yaml.safe_dump({"notifications": {"channels": {"post": channel}}}), encoding="utf-8")
        assert main(arguments) == 1
        said = capsys.readouterr().err
        assert said.endswith(f"post.password_file: {tmp_path}/nowhere cannot be read: No such file or directory\n")


def test_the_password_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n", encoding="utf-8")
    settings = {
        "smtp_smarthost": "mail.example.org:587",
        "smtp_from": "a@example.org",
        "smtp_auth_username": "a",
        "smtp_auth_password_file": str(tmp_path / "secret"),
    }
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump({"global": settings}), encoding="utf-8")
    mail = read_mail(path)
    assert (mail.host, mail.port, mail.user, mail.password, mail.encrypted) == (
        "mail.example.org",
        587,
        "a",
        "hunter2",
        True,
    )


def test_without_mail_settings_nothing_is_made(store: Store, reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = reports.parent / "empty.yml"
    empty.write_text("route: {}\n", encoding="utf-8")
    arguments = ["report", "--reports", str(reports), "--prometheus", store.url, "--out", str(reports.parent / "out")]
    assert main([*arguments, "--mail-to", "a@example.org", "--smtp-from", str(empty)]) == 1
    assert "has no smtp_smarthost and smtp_from under global" in capsys.readouterr().err
    assert not (reports.parent / "out").exists()


def test_assumptions_say_values_or_that_there_are_none(prometheus: Prometheus) -> None:
    assert filled("{{ count(door_open) }} doors, {{ nothing }}", prometheus, END) == "2 doors, no data"
    with pytest.raises(RenderError, match=r"assumption '{{ sum"):
        filled("{{ sum( }}", prometheus, END)


def test_the_lines_of_a_text_panel_are_assumptions(every_panel_data: DashboardData) -> None:
    assert panel_lines("About", [every_panel_data]) == [
        "House",
        "The rooms of All and their doors.",
        "warm: see limits",
        "cold: 0 and below",
        "1: 2",
    ]
    with pytest.raises(RenderError, match="no page of the report has a text panel called 'Nothing'"):
        panel_lines("Nothing", [every_panel_data])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("house: {}", "house: needs a list of dashboards"),
        ("house: {dashboards: [a], colour: red}", r"reports\.yml:1: house\.colour: unknown key"),
        ("house: red", "house: must hold settings like `title: text`"),
        ("[house]", "must hold settings like `key: value`, not a list"),
        ("house: {dashboards: [a]}\nhouse: {dashboards: [b]}", r"reports\.yml:2: .*key 'house' is given twice"),
    ],
)
def test_a_bad_list_of_reports_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "reports.yml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_reports(path)


def test_an_unknown_report_names_those_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nothing"]) == 1
    known = ", ".join(report.name for report in read_reports(REPORTS))
    assert f"no report nothing; there are: {known}" in capsys.readouterr().err


def test_the_projects_own_reports_name_generated_pages() -> None:
    uids = {load_dashboard(path).uid for path in OUTPUT_DIR.rglob("*.json")}
    assert {uid for report in read_reports(REPORTS) for uid in report.dashboards} <= uids


def test_a_dashboards_own_range_is_taken_when_none_is_given(prometheus: Prometheus) -> None:
    queries = QueryOptions(prometheus, None, None, {}, 15.0, float(END))
    assert queries.span(load_dashboard(SPECIMEN)) == TimeRange(START, END)
