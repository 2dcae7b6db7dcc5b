"""Pages of a deployment with numbers of its own."""

from __future__ import annotations

from typing import Any

from ml_monitoring.alerting.domains import ALERTS, load_thresholds
from ml_monitoring.alerting.mlflow.model_signals import CHAMPION_AGE, CHAMPIONS, OLDEST_CHAMPION
from ml_monitoring.alerting.mlflow.model_signals import PAGE as MODELS_PAGE
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lint import panels
from ml_monitoring.dashboards.pages import build_all


def built(changes: dict[str, object]) -> dict[str, dict[str, Any]]:
    context = PageContext.of(load_thresholds().changed({"alerts": changes}))
    return {page.uid: page.to_json(context.alerts, context.selectors) for page in build_all(context)}


def test_the_page_of_models_takes_the_aliases_of_versions_that_serve_from_the_alert() -> None:
    page = built({"MlflowChampionOld": {"parameters": {"aliases": r"live\.eu"}}})[MODELS_PAGE]
    queries = [target["expr"] for panel in panels(page) for target in panel.get("targets", [])]
    of_champions = [expr for expr in queries if r'alias=~"live\\.eu"' in expr]
    assert len(of_champions) == len([CHAMPIONS, CHAMPION_AGE, OLDEST_CHAMPION])
    assert not [expr for expr in queries if "production" in expr]


def test_pages_do_without_alerts_that_are_switched_off() -> None:
    assert built({alert.name: {"enabled": False} for alert in ALERTS}).keys() == built({}).keys()
