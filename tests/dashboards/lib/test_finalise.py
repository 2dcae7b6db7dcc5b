from __future__ import annotations

import copy
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.dashboards import lint
from ml_monitoring.dashboards.lib import page
from ml_monitoring.dashboards.lib.finalise import finalise
from tests.support.specimen import specimen

Json = dict[str, Any]


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Json:
    """Return the specimen as grafanalib alone writes it."""
    monkeypatch.setattr(page, "finalise", lambda dashboard: dashboard)
    return specimen().to_json(load_alerts(), load_thresholds().scope())


def nulls(value: object, place: str = "") -> list[str]:
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in nulls(item, f"{place}.{key}")]
    if isinstance(value, list):
        return [found for item in value for found in nulls(item, place)]
    return [place] if value is None else []


def test_it_removes_what_grafanalib_leaves_behind(raw: Json) -> None:
    dead = list(lint.d2_no_legacy([raw]))
    assert len({problem.rpartition(" ")[2] for problem in dead}) > 15
    assert list(lint.d2_no_legacy([finalise(raw)])) == []


def test_null_remains_only_as_the_beginning_of_thresholds(raw: Json) -> None:
    assert ".panels.gridPos" not in nulls(raw)
    assert len(set(nulls(raw))) > 10
    assert all(place.endswith((".steps.value", ".value.steps.value")) for place in nulls(finalise(raw)))


def test_what_it_is_given_stays_as_it_is(raw: Json) -> None:
    before = copy.deepcopy(raw)
    finalise(raw)
    assert raw == before


def test_a_query_is_either_of_a_range_or_of_an_instant() -> None:
    targets = [
        target
        for panel in lint.panels(specimen().to_json(load_alerts(), load_thresholds().scope()))
        for target in panel.get("targets", [])
        if "instant" in target
    ]
    assert {(target["instant"], target["range"]) for target in targets} == {(True, False), (False, True)}
