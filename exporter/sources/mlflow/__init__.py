"""MLflow's backend store: PostgreSQL or SQLite."""

from exporter.sources.mlflow.settings import MlflowSettings
from exporter.sources.mlflow.source import MlflowSource

__all__ = ["MlflowSettings", "MlflowSource"]
