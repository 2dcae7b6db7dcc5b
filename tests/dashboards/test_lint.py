from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards import lint
from ml_monitoring.dashboards.lib.style import Colour
from tests.support import display_lint, logql, queries_lint, style_lint

Json = dict[str, Any]
Rule = Callable[[list[Json]], Iterator[str]]

RULES: tuple[Rule, ...] = (
    lint.d1_identity,
    lint.d2_no_legacy,
    lint.d4_layout,
    lint.d5_panels,
    queries_lint.d6_parses,
    queries_lint.d6_names,
    queries_lint.d6_variables,
    queries_lint.d6_places,
    logql.d6_logql,
    logql.d6_logql_variables,
    lint.d7_variables_and_links,
    display_lint.tables_fit,
    display_lint.titles_fit,
    display_lint.words_fit,
    display_lint.timelines_keep_words,
    display_lint.axes_have_ends,
    display_lint.marks_are_round,
    display_lint.legends_leave_room,
    display_lint.bars_are_values_with_names,
    style_lint.numbers_are_rounded,
    style_lint.legends_begin_with_the_most,
    display_lint.empty_is_no_fact,
    display_lint.absent_is_neutral,
    style_lint.text_is_readable,
    style_lint.colours_mean_something,
    style_lint.limits_are_seen,
    display_lint.values_are_of_now,
    display_lint.zero_is_good,
    display_lint.marks_are_few,
    display_lint.marks_are_moments,
    display_lint.menus_fit_variables,
    display_lint.outcomes_have_their_colours,
    display_lint.all_versions_know_the_types,
    display_lint.order_is_stable,
    display_lint.rows_come_first,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_page_keeps_the_rule(rule: Rule, pages: list[Json]) -> None:
    assert list(rule(pages)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_panel_of_every_kind_keeps_the_rule(rule: Rule, with_specimen: list[Json]) -> None:
    assert list(rule(with_specimen)) == []


def test_prometheus_accepts_every_query(with_specimen: list[Json], tmp_path: Path) -> None:
    assert list(queries_lint.d6_promtool(with_specimen, tmp_path)) == []


def test_prometheus_refuses_a_query_of_the_wrong_type(pages: list[Json], tmp_path: Path) -> None:
    broken = copy.deepcopy(pages)
    first(broken[0], "stat")["targets"][0]["expr"] = "rate(sum(up))"
    assert "expected type range vector" in "".join(queries_lint.d6_promtool(broken, tmp_path))


def first(page: Json, kind: str) -> Json:
    return next(panel for panel in lint.panels(page) if panel["type"] == kind)


def with_unit(kind: str, unit: str | None) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        first(page, kind)["fieldConfig"]["defaults"]["unit"] = unit

    return spoil


def with_expr(expr: str) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        first(page, "stat")["targets"][0]["expr"] = expr

    return spoil


def with_steps(*steps: Json) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        first(page, "stat")["fieldConfig"]["defaults"]["thresholds"]["steps"] = list(steps)

    return spoil


def with_page(**changes: Any) -> Callable[[Json], None]:
    return lambda page: page.update(changes)


def with_panel(kind: str, **changes: Any) -> Callable[[Json], None]:
    return lambda page: first(page, kind).update(changes)


def with_place(**changes: int) -> Callable[[Json], None]:
    return lambda page: first(page, "timeseries")["gridPos"].update(changes)


def with_target(**changes: Any) -> Callable[[Json], None]:
    return lambda page: first(page, "timeseries")["targets"][0].update(changes)


def with_single_value(**changes: Any) -> Callable[[Json], None]:
    return lambda page: first(page, "stat")["targets"][0].update(changes)


WITHOUT_TIME = [
    {"id": "filterFieldsByName", "options": {"include": {"names": ["source"]}}},
    {"id": "merge", "options": {}},
]


def with_variable(**changes: Any) -> Callable[[Json], None]:
    return lambda page: page["templating"]["list"][1].update(changes)


def with_variables_query(query: str) -> Callable[[Json], None]:
    return lambda page: page["templating"]["list"][-1]["query"].update(query=query)


def with_logql(expr: str) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        source = {"type": "loki", "uid": "${loki_datasource}"}
        first(page, "timeseries")["targets"][0] = {"datasource": source, "expr": expr, "refId": "A"}

    return spoil


def with_link(url: str) -> Callable[[Json], None]:
    link = {"title": "there", "url": url}
    return lambda page: first(page, "table")["fieldConfig"]["defaults"].update({"links": [link]})


def with_same_id(page: Json) -> None:
    first(page, "table")["id"] = first(page, "stat")["id"]


def with_wrong_order(page: Json) -> None:
    page["panels"].reverse()


def with_defaults(kind: str, **changes: Any) -> Callable[[Json], None]:
    return lambda page: first(page, kind)["fieldConfig"]["defaults"].update(changes)


def without_end(page: Json) -> None:
    del first(page, "bargauge")["fieldConfig"]["defaults"]["max"]


def with_custom(kind: str, **changes: Any) -> Callable[[Json], None]:
    return lambda page: first(page, kind)["fieldConfig"]["defaults"]["custom"].update(changes)


def with_column(width: int) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        properties = first(page, "table")["fieldConfig"]["overrides"][0]["properties"]
        properties.append({"id": "custom.width", "value": width})

    return spoil


def with_column_property(name: str, value: Any) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        first(page, "table")["fieldConfig"]["overrides"][0]["properties"].append({"id": name, "value": value})

    return spoil


def with_yellow_column(page: Json) -> None:
    properties = first(page, "table")["fieldConfig"]["overrides"][0]["properties"]
    properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    properties.append({"id": "color", "value": {"mode": "fixed", "fixedColor": "yellow"}})


def with_yellow_text(page: Json) -> None:
    panel = first(page, "stat")
    panel["options"]["colorMode"] = "value"
    panel["fieldConfig"]["defaults"]["thresholds"]["steps"] = [{"color": "yellow", "value": None}]


def with_titled(kind: str, title: str, unit: str) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        panel = first(page, kind)
        panel["title"] = title
        panel["fieldConfig"]["defaults"].update(unit=unit, mappings=[])

    return spoil


def with_legend(**changes: Any) -> Callable[[Json], None]:
    return lambda page: first(page, "timeseries")["options"]["legend"].update({"displayMode": "table", **changes})


def with_hours_of_seconds(page: Json) -> None:
    defaults = first(page, "timeseries")["fieldConfig"]["defaults"]
    defaults["unit"] = "s"
    defaults["custom"]["axisSoftMax"] = 95_040


def with_low_legend(page: Json) -> None:
    panel = first(page, "timeseries")
    panel["gridPos"]["h"] = 5
    panel["targets"] *= 3
    panel["options"]["legend"].update(displayMode="table", placement="bottom")


def with_palette(page: Json) -> None:
    first(page, "timeseries")["fieldConfig"]["defaults"]["color"] = {"mode": "palette-classic"}


def with_blue_number(page: Json) -> None:
    panel = first(page, "stat")
    panel["options"]["colorMode"] = "value"
    panel["fieldConfig"]["defaults"].update(
        color={"mode": "thresholds"}, thresholds={"steps": [{"color": "blue", "value": None}]}
    )


def with_word(word: str, colour: Colour) -> Callable[[Json], None]:
    properties = [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]
    override = {"matcher": {"id": "byRegexp", "options": rf"/\b{word}\b/"}, "properties": properties}
    return lambda page: first(page, "timeseries")["fieldConfig"]["overrides"].append(override)


def with_limits(colour: str, value: float) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        defaults = first(page, "timeseries")["fieldConfig"]["defaults"]
        defaults["thresholds"]["steps"] = [{"color": Colour.FAILURE, "value": None}, {"color": colour, "value": value}]
        defaults.update(min=0)
        defaults["custom"]["thresholdsStyle"] = {"mode": "dashed"}

    return spoil


def with_options(kind: str, **changes: Any) -> Callable[[Json], None]:
    return lambda page: first(page, kind)["options"].update(changes)


def with_marks(count: int) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        page["annotations"]["list"] = [{"name": str(one), "enable": True} for one in range(count)]

    return spoil


def absent(colour: str, text: str = "no data") -> Json:
    return {"type": "special", "options": {"match": "null+nan", "result": {"text": text, "color": colour}}}


def with_state_timeline(mode: str, show: str) -> Callable[[Json], None]:
    def spoil(page: Json) -> None:
        panel = first(page, "timeseries")
        defaults = panel["fieldConfig"]["defaults"]
        defaults.update({"mappings": [{"type": "value", "options": {}}], "color": {"mode": mode}})
        panel.update({"type": "state-timeline", "options": {"showValue": show}})

    return spoil


def with_bars_of_loki(page: Json) -> None:
    panel = first(page, "bargauge")
    panel["datasource"] = {"type": "loki", "uid": "${loki_datasource}"}


def with_sparkline(page: Json) -> None:
    panel = first(page, "stat")
    panel["options"]["graphMode"] = "area"
    panel["fieldConfig"]["defaults"]["unit"] = "percentunit"


def with_unnamed_bars(page: Json) -> None:
    first(page, "bargauge").update(
        {
            "type": "barchart",
            "options": {"legend": {"showLegend": False}},
            "transformations": [
                {"id": "filterFieldsByName", "options": {"include": {"names": ["bin", "Value"]}}},
                {"id": "groupingToMatrix", "options": {}},
            ],
        }
    )


def with_annotation(expr: str) -> Callable[[Json], None]:
    return lambda page: page["annotations"]["list"][0].update(expr=expr)


GREEN, RED = {"color": "green", "value": None}, {"color": "red", "value": 5}

# One broken page for each thing that a rule looks at, and what the rule must say about it.
BROKEN: tuple[tuple[Rule, Callable[[Json], None], str], ...] = (
    (lint.d1_identity, with_page(title="Exporter health"), "title 'Exporter health' is used 2 times"),
    (
        lint.d1_identity,
        with_page(uid="ml-monitoring-exporter-health"),
        "uid 'ml-monitoring-exporter-health' is used 2 times",
    ),
    (lint.d1_identity, with_page(uid="x" * 41), "longer than 40"),
    (lint.d1_identity, with_page(schemaVersion=12), "schemaVersion is below 38"),
    (lint.d1_identity, with_page(id=7), "has an id"),
    (lint.d1_identity, with_page(editable=True), "is editable"),
    (lint.d1_identity, with_page(tags=["other"]), "lacks the tag"),
    (lint.d1_identity, with_page(description=""), "has no description"),
    (lint.d1_identity, with_page(timezone=""), "has no timezone"),
    (lint.d1_identity, with_page(refresh="7m"), "not in the picker"),
    (lint.d1_identity, with_page(refresh="5s"), "oftener than Prometheus scrapes"),
    (lint.d2_no_legacy, with_panel("timeseries", type="graph"), "type graph"),
    (lint.d2_no_legacy, with_panel("stat", span=6), "dead key panel.span"),
    (lint.d2_no_legacy, with_page(rows=[]), "dead key page.rows"),
    (lint.d2_no_legacy, with_variable(useTags=False), "dead key variable.useTags"),
    (lint.d2_no_legacy, with_page(timepicker={"nowDelay": None}), "dead key timepicker.nowDelay"),
    (lint.d2_no_legacy, with_panel("bargauge", options={"fieldOptions": {}}), "dead key options.fieldOptions"),
    (lint.d2_no_legacy, with_target(intervalFactor=2), "dead key target.intervalFactor"),
    (lint.d2_no_legacy, with_steps({"color": "green", "value": "null"}), "threshold steps are ['null']"),
    (lint.d2_no_legacy, with_steps(RED), "threshold steps are [5]"),
    (lint.d2_no_legacy, with_steps(GREEN, RED, RED), "do not rise"),
    (lint.d2_no_legacy, with_steps(GREEN | {"op": "gt"}), "keys other than color and value"),
    (lint.d4_layout, with_same_id, "is used 2 times"),
    (lint.d4_layout, with_panel("stat", id=2**31), "panel id 2147483648"),
    (lint.d4_layout, with_place(w=30), "outside of the grid"),
    (lint.d4_layout, with_place(w=24, x=0), "overlap"),
    (lint.d4_layout, with_wrong_order, "not in reading order"),
    (lint.d5_panels, with_panel("stat", title=""), "has no title"),
    (lint.d5_panels, with_panel("stat", description=""), "has no description"),
    (lint.d5_panels, with_panel("table", targets=[]), "has no query"),
    (lint.d5_panels, with_panel("stat", datasource={"type": "prometheus", "uid": "abc"}), "not the page's variable"),
    (lint.d5_panels, with_target(datasource=None), "not the page's variable"),
    (lint.d5_panels, with_target(refId=""), "refIds are ['']"),
    (lint.d5_panels, with_target(legendFormat=""), "without a legend"),
    (lint.d5_panels, with_panel("table", transformations=WITHOUT_TIME), "merges without the time"),
    (lint.d5_panels, with_unit("stat", None), "unit is None"),
    (lint.d5_panels, with_unit("stat", "apples"), "unit is 'apples'"),
    (lint.d5_panels, without_end, "is a ratio without max"),
    (display_lint.tables_fit, with_column(2000), "pixels in"),
    (display_lint.tables_fit, with_column(30), "is cut at 30"),
    (display_lint.tables_fit, with_custom("table", displayMode="auto"), "takes no notice of cellOptions"),
    (
        display_lint.tables_fit,
        with_custom("table", cellOptions={"type": "color-background"}),
        "colours no background whose mode is not given",
    ),
    (
        display_lint.titles_fit,
        with_panel("stat", title="A title that is too long for the panel below it"),
        "the title needs",
    ),
    (display_lint.words_fit, with_defaults("stat", noValue=f"no data from {40 * 'a'}"), "pixels high"),
    (display_lint.timelines_keep_words, with_state_timeline("thresholds", "auto"), "names of values are lost"),
    (display_lint.timelines_keep_words, with_state_timeline("palette-classic", "never"), "by colour alone"),
    (display_lint.axes_have_ends, with_defaults("timeseries", unit="percentunit", custom={}), "no end of its axis"),
    (display_lint.axes_have_ends, with_target(expr="variant_sequential_p_value"), "has an axis beyond 1"),
    (display_lint.axes_have_ends, with_custom("timeseries", axisSoftMax=1e-9), "beyond the axis' end"),
    (
        display_lint.axes_have_ends,
        with_defaults("timeseries", unit="locale", decimals=0, mappings=[], noValue="no data"),
        "marks between whole numbers are labelled 'no data'",
    ),
    (display_lint.marks_are_round, with_hours_of_seconds, "an axis of 26.4 hours has marks at round seconds"),
    (display_lint.legends_leave_room, with_low_legend, "a legend of 1 lines for 3 queries"),
    (display_lint.bars_are_values_with_names, with_bars_of_loki, "only one of Loki's rows"),
    (display_lint.bars_are_values_with_names, with_sparkline, "the sparkline of a ratio is flat"),
    (display_lint.bars_are_values_with_names, with_unnamed_bars, "without a legend"),
    (display_lint.bars_are_values_with_names, with_panel("timeseries", type="heatmap"), "buckets overlap"),
    (display_lint.empty_is_no_fact, with_defaults("stat", noValue="nothing fires"), "says 'nothing fires'"),
    (
        display_lint.empty_is_no_fact,
        with_defaults("stat", noValue="no firing alerts, or quiet"),
        "says 'no firing alerts, or quiet'",
    ),
    (display_lint.absent_is_neutral, with_defaults("stat", mappings=[]), "no data has the colour of a threshold"),
    (display_lint.absent_is_neutral, with_defaults("bargauge", mappings=[absent("green")]), "'no data' in green"),
    (display_lint.absent_is_neutral, with_defaults("stat", mappings=[absent("#8e8e8e", "fine")]), "no data is 'fine'"),
    (display_lint.absent_is_neutral, with_options("bargauge", showUnfilled=True), "shows an empty bar"),
    (display_lint.absent_is_neutral, with_column_property("thresholds", {"steps": []}), "the colour of a threshold"),
    (style_lint.text_is_readable, with_yellow_text, "text has a contrast of 1.6 to yellow in the light theme"),
    (style_lint.text_is_readable, with_yellow_column, "text has a contrast of 1.6 to yellow in the light theme"),
    (style_lint.numbers_are_rounded, with_defaults("stat", unit="locale", decimals=1), "counts with 1 decimals"),
    (
        style_lint.numbers_are_rounded,
        with_titled("timeseries", "Calls per minute", "locale"),
        "not say per which",
    ),
    (style_lint.numbers_are_rounded, with_titled("stat", "Split (p-value)", "short"), "digits of tiny probabilities"),
    (style_lint.legends_begin_with_the_most, with_legend(sortBy="Name"), "first in the alphabet"),
    (style_lint.legends_begin_with_the_most, with_custom("timeseries", drawStyle="bars"), "that never happened"),
    (style_lint.colours_mean_something, with_palette, "takes colours from palette-classic"),
    (
        style_lint.colours_mean_something,
        with_defaults("timeseries", color={"mode": "fixed"}),
        "not in a colour",
    ),
    (style_lint.colours_mean_something, with_blue_number, "what nothing judges is blue"),
    (style_lint.colours_mean_something, with_word("demo", Colour.FAILURE), "demo"),
    (style_lint.colours_mean_something, with_word("FAILED", Colour.GOOD), "FAILED"),
    (style_lint.limits_are_seen, with_limits(Colour.GOOD, 1), "a limit is in the colour of its good side"),
    (style_lint.limits_are_seen, with_limits(Colour.CLEAR, -1), "the limit -1 is below the axis, which begins at 0"),
    (display_lint.values_are_of_now, with_legend(calcs=["lastNotNull"]), "the last value of a series that ended"),
    (display_lint.values_are_of_now, with_single_value(range=True), "asks for a time range"),
    (display_lint.values_are_of_now, with_single_value(instant=False), "asks for a time range"),
    (display_lint.values_are_of_now, with_expr("last_over_time(up[1h])"), "looks back to the last value"),
    (display_lint.zero_is_good, with_steps(GREEN, {"color": Colour.FAILURE, "value": 0}), "a 0 has the colour"),
    (
        display_lint.zero_is_good,
        with_column_property("thresholds", {"steps": [GREEN, {"color": Colour.WARNING, "value": 0}]}),
        "a 0 has the colour",
    ),
    (
        display_lint.timelines_keep_words,
        with_state_timeline("palette-classic", "auto"),
        "a legend would show gaps as a state",
    ),
    (display_lint.marks_are_few, with_marks(3), "3 kinds of marks"),
    (display_lint.marks_are_moments, with_annotation("up == 0"), "would tint"),
    (display_lint.outcomes_have_their_colours, with_target(legendFormat="{{status}}"), "the colour of any series"),
    (display_lint.menus_fit_variables, with_variable(name="exporter"), "has other values on"),
    (display_lint.menus_fit_variables, with_variable(includeAll=False), "offers All"),
    (display_lint.all_versions_know_the_types, with_panel("stat", type="canvas"), "type canvas"),
    (
        display_lint.all_versions_know_the_types,
        with_target(datasource={"type": "grafana-postgresql-datasource"}),
        "data source",
    ),
    (
        display_lint.order_is_stable,
        with_panel("table", options={"sortBy": [{"displayName": "Other"}]}),
        "change places",
    ),
    (display_lint.rows_come_first, lambda page: page["panels"].pop(0), "begins without a row"),
    (display_lint.rows_come_first, with_panel("stat", type="text", options={"content": "| | |"}), "empty heading"),
    (queries_lint.d6_parses, with_expr("sum(up"), "unclosed left parenthesis"),
    (queries_lint.d6_names, with_expr("mlflow_runz"), "no exporter or rule gives mlflow_runz"),
    (queries_lint.d6_names, with_expr('mlflow_runs{state="x"}'), "mlflow_runs has no label state"),
    (queries_lint.d6_names, with_expr("ml_monitoring_source_errors_total"), "only grows"),
    (queries_lint.d6_names, with_expr("rate(ml_monitoring_source_errors_total[1m])"), "looks back 1m"),
    (queries_lint.d6_places, with_expr('up{cluster=~"$cluster"}'), "is not narrowed by namespace"),
    (queries_lint.d6_places, with_expr('up{cluster="a",namespace=~"$namespace"}'), "is not narrowed by cluster"),
    (queries_lint.d6_places, with_variable(name="place"), "has no variable cluster"),
    (queries_lint.d6_places, with_variables_query("label_values(up, x)"), "is not narrowed by namespace"),
    (queries_lint.d6_variables, with_expr('up{job="$job"}'), "variable job is not declared"),
    (queries_lint.d6_variables, with_variable(name="trial"), "variable trial is never used"),
    (lint.d5_panels, with_logql("{}"), "without a legend"),
    (logql.d6_logql, with_logql('sum by (service) (rate({service="a"} [5m])'), "no LogQL at"),
    (logql.d6_logql, with_logql('{service="a"} | json | '), "no LogQL at"),
    (logql.d6_logql, with_logql('{app="a"}'), "lines have no label app"),
    (logql.d6_logql_variables, with_logql('{service="$app"}'), "variable app is not declared"),
    (lint.d7_variables_and_links, with_variable(label=""), "variable cluster has no label"),
    (lint.d7_variables_and_links, with_variable(refresh=1), "is not read again"),
    (lint.d7_variables_and_links, with_variable(includeAll=False), "has no `All`"),
    (lint.d7_variables_and_links, with_variable(allValue=""), "has no `All`"),
    (lint.d7_variables_and_links, with_link("/d/nowhere?x=1"), "link to nowhere, which is no page"),
    (
        lint.d7_variables_and_links,
        with_page(links=[{"title": "Back", "type": "link", "url": "/d/nowhere"}]),
        "links: link to nowhere, which is no page",
    ),
    (
        lint.d7_variables_and_links,
        with_link("/d/ml-monitoring-exporter-health?var-model=1"),
        "ml-monitoring-exporter-health passes model",
    ),
)


@pytest.mark.parametrize(
    ("rule", "spoil", "message"), BROKEN, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_rule_finds_a_broken_page(
    rule: Rule, spoil: Callable[[Json], None], message: str, pages: list[Json]
) -> None:
    broken = copy.deepcopy(pages)
    for page in broken:
        # No page has panels of all kinds.
        with suppress(StopIteration):
            spoil(page)
            break
    found = list(rule(broken))
    assert any(message in problem for problem in found), found
