"""Variables have the values, and queries get the text, that Grafana would give them; asked of a real Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.intervals import TimeRange
from ml_monitoring.dashboards.render.model import Dashboard
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.variable_values import resolve_variables
from ml_monitoring.dashboards.render.variables import Value, Variables, parse_selected
from tests.support.panel_store import END, START

SPAN = TimeRange(START, END)


def dashboard(*variables: dict[str, Any]) -> Dashboard:
    return Dashboard("uid", "Title", Path("x.json"), {"templating": {"list": list(variables)}})


def query(name: str, text: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "query", "query": text, **more}


def chosen(prometheus: Prometheus, *variables: dict[str, Any], **wanted: list[str]) -> Variables:
    return resolve_variables(dashboard(*variables), prometheus, SPAN, wanted)


def test_a_query_variable_takes_its_first_value(prometheus: Prometheus) -> None:
    found = chosen(prometheus, query("room", "label_values(temperature_celsius, room)", sort=1))
    assert found.values["room"].values == ("attic",)


def test_a_stored_value_that_is_still_there_is_kept(prometheus: Prometheus) -> None:
    stored = {"current": {"value": "office"}}
    found = chosen(prometheus, query("room", "label_values(temperature_celsius, room)", **stored))
    assert found.values["room"].values == ("office",)


def test_all_is_a_regular_expression_of_every_value_or_the_custom_text(prometheus: Prometheus) -> None:
    more = {"includeAll": True, "multi": True, "sort": 1, "current": {"value": ["$__all"]}}
    plain = query("room", "label_values(temperature_celsius, room)", **more)
    custom = query("any", "label_values(temperature_celsius, room)", allValue=".+", **more)
    found = chosen(prometheus, plain, custom)
    assert found.query('{room=~"$room"}') == '{room=~"(attic|kitchen|office)"}'
    assert found.query('{room=~"$any"}') == '{room=~".+"}'
    assert found.title("Rooms: $room") == "Rooms: All"


def test_special_characters_match_themselves_only(prometheus: Prometheus) -> None:
    more = {"includeAll": True, "multi": True, "sort": 1, "current": {"value": "$__all"}}
    found = chosen(prometheus, query("name", "label_values(names, name)", **more))
    expr = found.query('count(names{name=~"$name"})')
    answer = prometheus.instant(expr, END).result()
    assert [point for series in answer.series for _, point in series.points] == [4.0]


def test_a_variable_may_use_another_whatever_their_order(prometheus: Prometheus) -> None:
    found = chosen(
        prometheus,
        query("status", 'label_values(http_requests_total{instance="$instance"}, status)', sort=2),
        query("instance", "label_values(http_requests_total, instance)", regex="/^(b):/", sort=1),
    )
    assert found.values["instance"].values == ("b",)
    # Nothing has instance="b", since the expression cut the port off.
    assert found.values["status"].values == ()


@pytest.mark.parametrize(
    ("text", "regex", "expected"),
    [
        ("metrics(temp.*)", "", ("temperature_celsius",)),
        ("label_values(status)", "", ("200", "500")),
        ("query_result(sum by (door) (door_open >= 0))", '/door="(?<value>\\w+)"/', ("back", "front")),
        ("label_values(http_requests_total, instance)", "/(?<text>\\w):(?<value>\\d+)/", ("80",)),
        ({"query": "label_values(door_open, door)", "refId": "x"}, "/FRONT/i", ("front",)),
    ],
)
def test_each_kind_of_query(prometheus: Prometheus, text: Any, regex: str, expected: tuple[str, ...]) -> None:
    more = {"includeAll": True, "current": {"value": "$__all"}, "regex": regex, "sort": 1}
    assert chosen(prometheus, query("x", text, **more)).values["x"].values == expected


def test_custom_interval_and_text_variables(prometheus: Prometheus) -> None:
    found = chosen(
        prometheus,
        {"name": "c", "type": "custom", "query": "one : 1, two : 2", "current": {"value": "2"}},
        {
            "name": "i",
            "type": "interval",
            "query": "1m,5m",
            "auto": True,
            "auto_count": 30,
            "current": {"value": "$__auto"},
        },
        {"name": "t", "type": "textbox", "query": "hello"},
        {"name": "d", "type": "datasource", "query": "prometheus"},
    )
    assert found.query("$c $i $t ${c:text} $missing $__range") == "2 2m hello two $missing 3600s"


def test_a_choice_overrides_by_value_or_by_text(prometheus: Prometheus) -> None:
    variable = {"name": "c", "type": "custom", "query": "one : 1, two : 2", "multi": True}
    assert chosen(prometheus, variable, c=["two", "1"]).values["c"].values == ("2", "1")


def test_choosing_a_variable_that_is_not_there_names_those_that_are(prometheus: Prometheus) -> None:
    with pytest.raises(RenderError, match="uid has no variable nope; it has room"):
        chosen(prometheus, query("room", "label_values(room)"), nope=["x"])


def test_a_variable_whose_query_fails_is_named(prometheus: Prometheus) -> None:
    with pytest.raises(RenderError, match=r"uid: variable bad: .*parse error"):
        chosen(prometheus, query("bad", "query_result(sum()"))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("csv", "a.b,c"),
        ("pipe", "a.b|c"),
        ("regex", r"(a\.b|c)"),
        ("glob", "{a.b,c}"),
        ("json", '["a.b", "c"]'),
        ("queryparam", "var-v=a.b&var-v=c"),
        ("singlequote", "'a.b','c'"),
        ("doublequote", '"a.b","c"'),
        ("percentencode", "%7Ba.b%2Cc%7D"),
        ("lucene", '("a.b" OR "c")'),
        ("distributed", "a.b,v=c"),
        ("text", "A + C"),
    ],
)
def test_formats(form: str, expected: str) -> None:
    variables = Variables({"v": Value(("a.b", "c"), ("A", "C"), listed=True)})
    assert variables.query(f"${{v:{form}}}") == expected
    assert variables.query(f"[[v:{form}]]") == expected


def test_choices_of_the_command_line() -> None:
    assert parse_selected(["a=1", "b=x=y", "a=2", "var-c=3"]) == {"a": ["1", "2"], "b": ["x=y"], "c": ["3"]}
    with pytest.raises(RenderError, match="--var oops: write it as NAME=VALUE"):
        parse_selected(["oops"])
