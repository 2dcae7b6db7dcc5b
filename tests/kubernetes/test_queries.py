"""Queries of a user's folder, which neither chart nor base has, are shown as what takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ml_monitoring.exporter.config import load
from ml_monitoring.k8s.cli import main
from tests.kubernetes.conftest import one
from tests.support import helm

QUERY = """\
sources:
  queries:
    shop_orders:
      {store}
      sql: SELECT count(*) AS n FROM orders
      metrics: {{{metric}: {{value: n, help: Orders.}}}}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return settings whose folder has a query by an address, one over a store, and one that cannot be read."""
    folder = tmp_path / "monitoring" / "queries"
    folder.mkdir(parents=True)
    (folder / "orders.yml").write_text(
        QUERY.format(store="uri: postgresql://u:s3cret@shop/shop", metric="shop_orders"), encoding="utf-8"
    )
    over_store = QUERY.format(store="store: mlflow", metric="mlflow_own_rows").replace("shop_orders", "rows")
    (folder / "rows.yml").write_text(over_store, encoding="utf-8")
    (folder / "torn.yml").write_text("sources: [", encoding="utf-8")
    settings = tmp_path / "own.yml"
    settings.write_text("extensions: monitoring\n", encoding="utf-8")
    return settings


def test_values_that_are_printed_make_the_exporter_read_them(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart = tmp_path / "chart"
    assert main(["chart", "--settings", str(own), "--output-dir", str(chart)]) == 0
    said, _, block = capsys.readouterr().out.partition("\n\n")
    assert said.splitlines()[-1].startswith("Queries are settings of the exporter, and so values")
    assert "s3cret" not in block
    values = tmp_path / "values.yaml"
    # With a column `n`, which Helm would take for false.
    values.write_text(block, encoding="utf-8")
    objects = helm.template(None, "--values", str(values), chart=chart)
    settings = yaml.safe_load(one(objects, "ConfigMap", "ml-monitoring")["data"]["ml-monitoring.yml"])["sources"]
    assert "uri_file" in settings["mlflow"]
    assert settings["queries"].keys() == {"shop_orders", "rows"}
    assert settings["queries"]["rows"]["store"] == "mlflow"
    assert settings["queries"]["shop_orders"]["uri_file"].endswith("/shop_orders_uri")
    volumes = one(objects, "Deployment", "ml-monitoring")["spec"]["template"]["spec"]["volumes"]
    assert "shop-orders" in str(volumes)


def test_settings_that_are_printed_are_taken_by_the_exporter(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["manifests", "--settings", str(own), "--output-dir", str(tmp_path / "base")]) == 0
    _said, _, block = capsys.readouterr().out.partition("\n\n")
    assert "s3cret" not in block
    (tmp_path / "shop_orders_uri").write_text("sqlite:///shop.db", encoding="utf-8")
    file = tmp_path / "settings.yml"
    file.write_text(block.replace("/run/secrets/ml-monitoring", str(tmp_path)), encoding="utf-8")
    sources = load(file, {"ML_MONITORING_SOURCES__MLFLOW__URI": "sqlite:///mlflow.db"}).enabled_sources()
    assert list(sources) == ["mlflow", "queries/shop_orders", "queries/rows"]


def test_without_queries_nothing_is_said_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "own.yml"
    settings.write_text("components: [host]\n", encoding="utf-8")
    assert main(["chart", "--settings", str(settings), "--output-dir", str(tmp_path / "chart")]) == 0
    assert "Queries are" not in capsys.readouterr().out
