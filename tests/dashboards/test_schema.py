from __future__ import annotations

import copy
import json
import warnings
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tests.support import typescript
from tests.support.round_trip import lost

with warnings.catch_warnings():
    # It recommends its class for schema v2, which Grafana 9 to 11 do not read.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.models.dashboard import Dashboard

Json = dict[str, Any]

# Grafana's Prometheus annotations have these keys, its schema does not know them.
ANNOTATION_KEYS = {"expr", "step", "tagKeys", "textFormat", "titleFormat"}


@pytest.fixture(scope="session", autouse=True)
def _sdk_knows_all_panels() -> None:
    plugins.register_default_plugins()


def round_trip(dashboard: Json) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        back = json.loads(json.dumps(Dashboard.from_json(copy.deepcopy(dashboard)), cls=JSONEncoder))
    return list(lost(dashboard, back))


def for_typescript(dashboard: Json) -> Json:
    clean = copy.deepcopy(dashboard)
    for annotation in clean["annotations"]["list"]:
        for key in ANNOTATION_KEYS:
            annotation.pop(key, None)
    return clean


def test_grafanas_own_sdk_reads_every_page_and_loses_nothing(with_specimen: list[Json]) -> None:
    assert {page["uid"]: round_trip(page) for page in with_specimen} == {page["uid"]: [] for page in with_specimen}


def test_the_round_trip_shows_a_key_that_grafana_does_not_know(pages: list[Json]) -> None:
    broken = copy.deepcopy(pages[0])
    broken["panels"][1]["options"]["fieldOptions"] = {"calcs": ["mean"]}
    assert round_trip(broken) == [".panels[1].options.fieldOptions"]


@pytest.mark.parametrize("version", typescript.VERSIONS)
def test_every_page_fits_grafanas_types(version: str, with_specimen: list[Json]) -> None:
    assert typescript.type_errors(version, [for_typescript(page) for page in with_specimen]) == []


def test_the_type_check_shows_a_wrong_key_a_wrong_type_and_a_wrong_word(pages: list[Json]) -> None:
    broken = for_typescript(pages[0])
    stat, table = (next(panel for panel in broken["panels"] if panel["type"] == kind) for kind in ("stat", "table"))
    stat["span"] = 6
    stat["options"]["graphMode"] = "hill"
    table["options"]["showHeader"] = "yes"
    errors = typescript.type_errors(typescript.VERSIONS[-1], [broken])
    assert len(errors) == 3
    assert "Object literal may only specify known properties, and '\"span\"' does not exist" in errors[0]
    assert '"hill"' in errors[1]
    assert "'string' is not assignable to type 'boolean | undefined'" in errors[2]
