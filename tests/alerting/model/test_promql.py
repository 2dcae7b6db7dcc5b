"""Expressions that mean the same are the same text."""

from __future__ import annotations

import promql_parser
import pytest
import yaml

from ml_monitoring.alerting.generate import files
from ml_monitoring.alerting.model.promql import matchers_changed, normalised


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        ('x{b="1, }", a=~"c|b" ,}', 'x{a=~"b|c",b="1, }"}'),
        ("a > on (d , c)  group_left() y", "a > on (c, d) group_left () y"),
        ("sum( rate(x[ 90s ]) )  by (b, a)\n+ 1", "sum by (a, b) (rate(x[1m30s])) + 1"),
        ("x[3600s:60s] offset 120s", "x[1h:1m] offset 2m"),
        ("level:x:rate5m > 60 # why\n and up", "level:x:rate5m > 60 and up"),
        ("x:60s", "x:60s"),
        ('{b="1",a="2"} |~ `(?i)  $text, 60s` [${x}]', '{a="2",b="1"} |~ "(?i)  $text, 60s" [${x}]'),
        ("x[5s1m]", "x[5s1m]"),
        ('up { job = "x" } [ 5m ]', 'up{job="x"}[5m]'),
        ("sum (rate (x [5m]))*100>=-1e-5 and(-1<y)", "sum(rate(x[5m])) * 100 >= -0.00001 and (-1 < y)"),
        ("a-b/ -c or -1 > a unless on(x)(b)", "a - b / -c or -1 > a unless on (x) (b)"),
        ("sum by(a)(x) > bool - 1", "sum by (a) (x) > bool - 1"),
        ("label_replace(x ,'a-b','$1' , \"c\",  '')", 'label_replace(x, "a-b", "$1", "c", "")'),
        ("SUM (x{}) BY(b) / (count without(a)(y)) + NaN", "sum by (b) (x) / count without (a) (y) + nan"),
        ("(sum(max by(a)((x))) by (b, a) > 5e-2)", "sum by (a, b) (max by (a) (x)) > 0.05"),
        ("topk(3, (x{a='1'})) by (c) and on(b) ((y))", 'topk by (c) (3, x{a="1"}) and on (b) (y)'),
        ("(a + b) * c - (-d) * (e)", "(a + b) * c - (-d) * e"),
        ("sum_total > (sum)", "sum_total > sum"),
        ("x{a='\\\\d \"', b='(sum(y) by (c))'} + 1.50e3", 'x{a=\'\\\\d "\',b="(sum(y) by (c))"} + 1500'),
        ("(x)[5m:1m] + 1e300", "(x)[5m:1m] + 1e300"),
    ],
)
def test_matchers_labels_durations_and_white_space_have_one_form(expr: str, text: str) -> None:
    assert normalised(expr) == normalised(text) == text


def test_the_expressions_of_all_rules_keep_their_meaning() -> None:
    groups = yaml.safe_load((files.DEFAULT_DIRECTORY / "alerts.yml").read_text("utf-8"))["groups"]
    groups += yaml.safe_load((files.DEFAULT_DIRECTORY / "rules.yml").read_text("utf-8"))["groups"]
    exprs = [rule["expr"] for group in groups for rule in group["rules"]]
    assert len(exprs) > 200
    for expr in exprs:
        parsed = (promql_parser.parse(one).prettify() for one in (expr, normalised(expr)))
        assert len({normalised(one) for one in parsed}) == 1


@pytest.mark.parametrize(
    ("old", "new", "gained", "lost"),
    [
        ("rate(a[5m]) / b", 'rate(a{job="x"}[5m]) / b{job="x"}', {'job="x"'}, set()),
        ('a{b="1"}', 'a { c="2", b="1" }', {'c="2"'}, set()),
        ('a{b="{1}"} or c{b="1"}', 'a{b="2"} or c{b="1"}', {'b="2"'}, {'b="{1}"'}),
        ("a", 'b{job="x"}', set(), set()),
        ("a[5m]", 'a{job="x"}[9m]', set(), set()),
    ],
)
def test_the_matchers_that_alone_changed_are_found(old: str, new: str, gained: set[str], lost: set[str]) -> None:
    assert [{*one} for one in matchers_changed(old, new)] == [gained, lost]
