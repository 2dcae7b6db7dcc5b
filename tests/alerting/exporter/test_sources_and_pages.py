"""Each source is called by the pages that it feeds, one of the user's own by its name."""

from __future__ import annotations

from pathlib import Path

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.exporter.signals import SOURCES_AND_PAGES
from tests.support.rules import check_rules

PAGES = {
    "mlflow": "MLflow pages",
    "mlflow/prod": "MLflow pages",
    "containers": "System infrastructure",
    "queries/shop_orders": "queries/shop_orders",
    "weather": "weather",
}


def test_every_source_has_a_name_on_its_tile(programs: dict[str, Path], tmp_path: Path) -> None:
    expr = SOURCES_AND_PAGES.promql(load_thresholds().scope())
    for number, (source, pages) in enumerate(PAGES.items()):
        (folder := tmp_path / str(number)).mkdir()
        called = f'label_replace(vector(1), "pages", "{pages}", "", "")'
        check_rules(
            programs["promtool"],
            folder,
            {f'ml_monitoring_source_up{{source="{source}", instance="a:1", job="ml-monitoring"}}': "1x5"},
            {f"count(({expr}) * on (pages) group_left () {called})": 1},
            at="3m",
            topics=["exporter"],
        )
