"""A key that exists elsewhere is said to belong there."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter.config import Settings
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.settings_places import elsewhere


@pytest.mark.parametrize(
    ("model", "location", "said"),
    [
        (
            Thresholds,
            ("notifications", "repeat_interval"),
            "notifications.critical, notifications.warning, notifications.info, notifications.watchdog or 2 more",
        ),
        (Thresholds, ("severity",), "alerts.NAME"),
        (Thresholds, ("slos", "page_fast", "channel"), "notifications.channels.NAME"),
        # One store, or several with names.
        (Settings, ("experiments", "url"), "prometheus, alertmanager, sources.containers, sources.experiments"),
        (Settings, ("sources", "queries", "a", "help"), "sources.queries.a.metrics.NAME"),
        (Settings, ("sources", "queries", "a", "metrics", "b", "sql"), "sources.queries.a"),
    ],
)
def test_the_nearest_places_of_a_key_are_named(model: type[BaseModel], location: Location, said: str) -> None:
    assert elsewhere(model, location) == f"; it belongs below {said}"


def test_a_key_of_the_top_level_is_said_to_belong_there() -> None:
    assert elsewhere(Settings, ("web", "log")) == "; it belongs on the top level"


def test_of_a_key_that_there_is_not_nothing_is_said() -> None:
    assert elsewhere(Settings, ("web", "bogus")) == ""
