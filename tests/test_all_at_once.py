"""No mistake in settings or in a folder of extensions hides another: each pair of them is reported in one run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ml_monitoring.exporter import cli
from ml_monitoring.exporter.config import read_all
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.values import merge
from tests.support import extensions

_METRIC: Final = {"value": "n", "help": "Orders."}
# What is right, so that one mistake in it is reported alone.
_SETTINGS: Final[dict[str, Any]] = {
    "sources": {
        "mlflow": {"prod": {"uri": "sqlite:////srv/mlflow.db"}, "other": {"uri": "https://mlflow.example"}},
        "queries": {
            "orders": {"store": "mlflow/prod", "sql": "SELECT 1 AS n", "metrics": {"shop_orders": _METRIC}},
            "more": {"store": "mlflow/prod", "sql": "SELECT 1 AS n", "metrics": {"shop_more": _METRIC}},
        },
        "experiments": {
            "url": "http://127.0.0.1:9",
            "database": "sqlite:////srv/shop.db",
            "declared": {
                "checkout": {
                    "start": "2026-01-31",
                    "arms": {"old": 1, "new": 1},
                    "baseline": "old",
                    "metrics": {"sales": {"kind": "proportion", "query": "SELECT 1"}},
                }
            },
        },
    }
}
_CHECKOUT: Final = ("sources", "experiments", "declared", "checkout")
# Where a mistake is, what stands there, and what is said of it.
_MISTAKES: Final[tuple[tuple[tuple[str, ...], Any, str], ...]] = (
    (("web", "port"), "abc", "web.port: is no whole number"),
    (("web", "telemetry_path"), "/-/x", "web.telemetry_path: paths below /-/"),
    (("log",), {"level": "loud"}, "log.level: must be"),
    (("bogus",), 1, "bogus: unknown key"),
    (("prometheus",), {"url": "nothing"}, "prometheus.url: is not an http:// or https:// address"),
    (("sources", "mlflow", "prod", "interval"), 5, "sources.mlflow.prod.interval: is not a duration"),
    (("sources", "mlflow", "prod", "shard"), {"index": 3, "count": 2}, "index 3 is none of 2 shards"),
    (("sources", "mlflow", "prod", "username"), "bob", "username: is for a tracking server"),
    (("sources", "mlflow", "other", "username"), "bob", "other: password: is missing: username and password"),
    (("sources", "queries", "orders", "store"), "variants", "there is no source 'variants' with a database"),
    (("sources", "queries", "orders", "metrics", "9x"), _METRIC, "metrics.9x: a name has letters"),
    (("sources", "queries", "more", "metrics", "a_total"), _METRIC, "metrics.a_total: the name of a gauge"),
    (("sources", "queries", "more", "metrics", "shop_orders"), _METRIC, "queries/orders has a metric of this name"),
    ((*_CHECKOUT, "baseline"), "older", "baseline: 'older' is none of the arms old, new"),
    ((*_CHECKOUT, "end"), "2026-01-01", "end: not after start"),
    ((*_CHECKOUT, "link"), 5, "checkout.link: must be a text"),
    ((*_CHECKOUT, "metrics", "sales", "margin"), 0.1, "metrics.sales.margin: only a guardrail has one"),
    ((*_CHECKOUT, "database"), "nowhere", "database: 'nowhere' is not in sources.experiments.databases"),
)
# Pairs of which the second is reported once the first is corrected: a declaration or a query whose own settings do not
# fit each other is not compared with others.
_OF_ONE_THING: Final = frozenset(
    {
        *((fragment, _MISTAKES[-1][2]) for _, _, fragment in _MISTAKES[13:15]),
        (_MISTAKES[11][2], _MISTAKES[12][2]),
    }
)


def _settings(*mistakes: tuple[tuple[str, ...], Any, str]) -> dict[str, Any]:
    settings = _SETTINGS
    for place, value, _ in mistakes:
        given: Any = value
        for key in reversed(place):
            given = {key: given}
        settings = merge(settings, given)
    return settings


def _said(path: Path, settings: object) -> list[str]:
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return read_all(path, environ={}).problems


def test_two_mistakes_in_settings_of_the_exporter_are_both_reported_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ml-monitoring.yml"
    assert _said(path, _SETTINGS) == []
    for mistake in _MISTAKES:
        (problem,) = _said(path, _settings(mistake))
        assert mistake[2] in problem
    hidden = []
    for one, other in itertools.combinations(_MISTAKES, 2):
        said = _said(path, _settings(one, other))
        fragments = [fragment for *_, fragment in (one, other) if not any(fragment in problem for problem in said)]
        hidden += [(one[2], other[2], said)] if fragments else []
        assert len(said) <= 2, said
    assert {(one, other) for one, other, _ in hidden} == _OF_ONE_THING


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Write the example of the docs, and return its folder."""
    extensions.write_example(tmp_path)
    return tmp_path


_ALERT: Final = f"monitoring/alerts/{extensions.ALERT}.yml"
_OWN: Final[tuple[tuple[str, tuple[str, ...], Any, str], ...]] = (
    (extensions.SETTINGS, ("business", "baseline"), "a/b", "business.baseline: "),
    (extensions.SETTINGS, ("bogus",), 1, "bogus: unknown key"),
    (extensions.SETTINGS, ("alerts", "MlServiceDow"), {"team": "mlops"}, "MlServiceDow: no alert has this name"),
    (extensions.SETTINGS, ("alerts", "MlServiceDown"), {"team": "nobody"}, "'nobody'"),
    (extensions.SETTINGS, ("alerts", "MlflowRunHanging"), {"threshold": "lots"}, "threshold: not a duration"),
    (extensions.SETTINGS, ("slos", "latency_threshold"), 0.33, "is not a bucket of the response times"),
    (
        extensions.SETTINGS,
        ("notifications", "channels", "x"),
        {"kind": "webhook", "url": "nope"},
        "channels.x.url: is not an http",
    ),
    (_ALERT, ("unit",), "bogus", "unit: 'bogus' is no unit"),
    (_ALERT, ("page",), "nope", "page: no page is called 'nope'"),
    (_ALERT, ("team",), "growht", "'growht'"),
    (_ALERT, ("summary",), "No stop", "summary: ends without a full stop"),
    (_ALERT, ("description",), "{{ $labels.foo }} waits.", "description: the series have no label foo"),
    ("monitoring/panels/orders.yml", ("page",), "nowhere", "page: no page is called 'nowhere'"),
    ("monitoring/panels/orders.yml", ("kind",), "chart", "kind: must be"),
    ("monitoring/pages/shop.yml", ("folder",), "/", "folder: "),
    ("monitoring/rules/shop_orders.yml", ("bogus",), 1, "rules/shop_orders.yml:"),
)


def _broken(folder: Path, *mistakes: tuple[str, tuple[str, ...], Any, str]) -> Iterator[str]:
    before = {name: (folder / name).read_text(encoding="utf-8") for name in {name for name, *_ in mistakes}}
    for name, place, value, _ in mistakes:
        given: Any = value
        for key in reversed(place):
            given = {key: given}
        path = folder / name
        text = yaml.safe_dump(merge(yaml.safe_load(path.read_text(encoding="utf-8")) or {}, given), sort_keys=False)
        path.write_text(text, encoding="utf-8")
    try:
        extensions.load(folder / extensions.SETTINGS)
    except ConfigError as error:
        yield from error.problems
    finally:
        for name, text in before.items():
            (folder / name).write_text(text, encoding="utf-8")


def test_all_mistakes_in_alerting_settings_and_extensions_are_reported_and_nothing_else(shop: Path) -> None:
    said = list(_broken(shop, *_OWN))
    assert len(said) == len(_OWN), said
    for *_, fragment in _OWN:
        assert any(fragment in problem for problem in said), (fragment, said)
    assert list(_broken(shop)) == []


def test_all_that_check_tries_is_tried_beside_a_mistake_in_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ml-monitoring.yml"
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users: {ada: plain, bob: text}\n", encoding="utf-8")
    settings = {
        "web": {"port": 0, "config_file": str(web), "runbooks_dir": str(tmp_path / "none")},
        "prometheus": {"url": "nothing"},
        "sources": {"fleet": {"path": str(tmp_path / "none.csv")}, "mlflow": {"uri": "sqlite:////x", "top": 0}},
    }
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    assert cli.main(["check", "--config", str(path)]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed] == [
        *([["FAIL", "settings"]] * 2),
        *([["FAIL", "web"]] * 3),
        ["FAIL", "fleet"],
    ]
    for line, said in zip(
        printed,
        ("prometheus.url: ", "mlflow.top: ", "users.ada: ", "users.bob: ", "runbooks_dir: ", "none.csv cannot be read"),
        strict=True,
    ):
        assert said in line


def test_mistakes_in_each_of_several_files_are_reported_and_so_are_those_of_the_environment(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.yml", "b.yml", "c.yml")]
    for path, text in zip(files, ("a: [", "b: {", "log: {level: loud}"), strict=True):
        path.write_text(text, encoding="utf-8")
    said = read_all(files, environ={"ML_MONITORING_WEB__PORT": "x", "ML_MONITORING_WEB__PROT": "x"}).problems
    assert len(said) == 5, said
