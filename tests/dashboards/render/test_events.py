"""Annotations: asked as Grafana asks, joined to regions as it joins them, and seen where they go wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.render.colours import LIGHT
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.engine import DashboardData
from ml_monitoring.dashboards.render.events import regions
from ml_monitoring.dashboards.render.model import Dashboard, load_dashboard
from ml_monitoring.dashboards.render.page import draw_dashboard
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.prove import prove
from ml_monitoring.dashboards.render.query_options import QueryOptions
from tests.dashboards.render.test_pictures import panel, range_of, words, write
from tests.support.panel_store import END, START, Store

Json = dict[str, Any]


def page(folder: Path, *annotations: Json) -> Dashboard:
    path = write(folder, panel(1, "timeseries", "T", "door_open"), annotations={"list": list(annotations)})
    return load_dashboard(path)


def annotation(name: str, expr: str, **more: Any) -> Json:
    return {"name": name, "expr": expr, "enable": True, "iconColor": "red", **more}


def marked(data: DashboardData) -> list[tuple[str, float, float]]:
    return [(one.title, (one.start / 1000 - START) / 60, (one.end / 1000 - START) / 60) for one in data.annotations]


@pytest.mark.parametrize(
    ("moments", "wanted"),
    [
        ([], []),
        ([0], [(0, 0)]),
        ([0, 60, 120], [(0, 120)]),
        ([0, 60, 121, 300, 360], [(0, 60), (121, 121), (300, 360)]),
        # Values as times come in the order of the samples, and the same again is the same event.
        ([500, 500, 500, 900], [(500, 500), (900, 900)]),
    ],
)
def test_moments_no_further_apart_than_the_step_are_one_region(moments: list[float], wanted: list[Any]) -> None:
    assert regions(moments, 60) == wanted


def test_a_query_that_is_true_all_the_time_is_one_region(queries: QueryOptions, tmp_path: Path) -> None:
    data = queries.load(page(tmp_path, annotation("Always", "vector(1)")))
    assert marked(data) == [("Always", 0, 60)]


def test_over_a_long_range_the_points_are_too_far_apart_to_be_joined(prometheus: Prometheus, tmp_path: Path) -> None:
    # Grafana asks for a hundred points: 24 hours in steps of 15 minutes, which is more than the minute that joins.
    queries = QueryOptions(prometheus, str(END - 86_400), str(END), {}, 15.0, float(END))
    data = queries.load(page(tmp_path, annotation("Always", "vector(1)"), annotation("Wide", "vector(1)", step="15m")))
    ours = [one for one in data.annotations if one.title == "Always"]
    assert len(ours) == 97
    assert all(one.start == one.end for one in ours)
    assert [one.end - one.start for one in data.annotations if one.title == "Wide"] == [86_400_000]


def test_zero_negative_and_missing_values_mark_nothing(queries: QueryOptions, tmp_path: Path) -> None:
    data = queries.load(
        page(
            tmp_path,
            annotation("Zero", "vector(0)"),
            annotation("Below", "vector(-1)"),
            annotation("NaN", "vector(NaN)"),
            annotation("Door", 'door_open{door="front"}', step="30s", titleFormat="{{door}} open"),
        )
    )
    assert {title for title, _, _ in marked(data)} == {"front open"}
    assert marked(data)[0] == ("front open", 0, 4.5)


def test_intervals_of_the_query_are_replaced(queries: QueryOptions, tmp_path: Path) -> None:
    expr = "sum(increase(http_requests_total[$__rate_interval])) > 0 and vector($__interval_ms) == 60000"
    data = queries.load(
        page(tmp_path, annotation("Traffic", expr), annotation("Range", "vector(${__range_s}) == 3600"))
    )
    assert data.problems == ()
    assert {title for title, _, _ in marked(data)} == {"Traffic", "Range"}


def test_the_rate_of_an_annotation_keeps_to_the_scrape_interval(tmp_path: Path) -> None:
    asked: list[str] = []

    class Asked(Prometheus):
        def get(self, path: str, arguments: Json) -> Json:
            asked.append(str(arguments.get("query")))
            return {"data": {"resultType": "matrix", "result": []}}

    with Asked("http://127.0.0.1:9") as prometheus:
        queries = QueryOptions(prometheus, str(START), str(END), {}, 15.0, float(END))
        queries.load(
            page(tmp_path, annotation("A", "rate(x[$__rate_interval])"), annotation("B", "y[$__interval]", step="120"))
        )
    # The step is 60 s unless the annotation says otherwise; a rate takes a scrape interval more.
    assert {"rate(x[75s])", "y[2m]"} <= set(asked)


def test_what_is_wrong_with_an_annotation_is_seen(
    store: Store, prometheus: Prometheus, queries: QueryOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dashboard = page(tmp_path, annotation("Kill", "sum("), annotation("Odd", "vector(1)", step="often"))
    data = queries.load(dashboard)
    assert [problem.split(":")[0] for problem in data.problems] == ["annotation Kill", "annotation Odd"]
    assert "parse error" in data.problems[0]
    assert "'often' is no duration" in data.problems[1]
    (shown,) = [word for word in words(draw_dashboard(data, Style(LIGHT))) if word.startswith("annotation Kill")]
    assert "parse error" in shown

    arguments = ["render", str(dashboard.path), *range_of(store), "--dpi", "48", "--out", str(tmp_path)]
    assert main(arguments) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0].endswith("(1 panel, 2 failed)")
    assert re.fullmatch(r"  failed: annotation Kill: .*parse error: unclosed left parenthesis", output[1])
    assert main([*arguments, "--strict"]) == 1
    assert main([*arguments, "--format", "html"]) == 0
    assert "annotation Kill: " in (tmp_path / "page.html").read_text(encoding="utf-8")

    proofs, _ = prove([dashboard], queries, {}, slow=10_000)
    assert [(proof.title, proof.state) for proof in proofs] == [
        ("T", "ok"),
        ("annotation Kill", "error"),
        ("annotation Odd", "error"),
    ]
