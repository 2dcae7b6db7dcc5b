"""Keys and codes of Grafana's JSON are said in words."""

from __future__ import annotations

import pytest

from ml_monitoring.dashboards.publish.words import in_words, line_of
from ml_monitoring.exporter.differences import Change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("variable a", "hide changed", "2", "0"), "**variable a** changed: `hidden` → `shown`"),
        (("Heat, query A", "hide changed", "false", "true"), "**Heat, query A** changed: `shown` → `hidden`"),
        (
            ("Heat", "transformations.organize.options.excludeByName.store changed", "true", "nothing"),
            "**Heat** column store changed: `hidden` → `shown`",
        ),
        (
            ("Heat", "transformations.limit.options.limitField changed", "3", "5"),
            "**Heat** transformation limit, limitField changed: `3` → `5`",
        ),
        (
            ("Heat", "custom.scaleDistribution.log changed", "2", "10"),
            "**Heat** base of the logarithmic scale changed: `2` → `10`",
        ),
        (
            ("dashboard", "links.ML stack.url changed", "empty", "/d/other"),
            "**dashboard** address of link ML stack changed: `empty` → `/d/other`",
        ),
        (
            ("Heat", "options.reduceOptions.calcs changed", '["lastNotNull"]', '["max"]'),
            "**Heat** calculation changed: `last value` → `highest value`",
        ),
        (
            ("Heat", "custom.spanNulls of column A b changed", "false", "true"),
            "**Heat** line across gaps of column A b changed: `no` → `yes`",
        ),
        (
            ("Heat, query A", "instant changed", "true", "false"),
            "**Heat, query A** instant query changed: `yes` → `no`",
        ),
        (
            ("variable a", "sort changed", "0", "3"),
            "**variable a** order of its choices changed: `as they come` → `numbers upwards`",
        ),
        (
            ("Heat", "options.legend.calcs changed", "nothing", '["max", "mean"]'),
            "**Heat** values in the legend changed: `nothing` → `highest value, mean`",
        ),
        (("Heat", "decimals changed", "nothing", "0"), "**Heat** decimals changed: `auto` → `0`"),
        (("Heat", "interval changed", "nothing", "1h"), "**Heat** shortest step changed: `auto` → `1h`"),
    ],
)
def test_changes_are_said_in_words(change: tuple[str, str, str, str], line: str) -> None:
    assert in_words(Change(*change)).line() == f"- {line}"


def test_a_title_is_text_in_markdown_whatever_it_holds() -> None:
    change = Change("p99 <5m> *new*", "unit changed", "s", "ms")
    assert line_of(change) == "- **p99 \\<5m> \\*new\\*** unit changed: `s` → `ms`"
