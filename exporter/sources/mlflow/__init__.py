"""MLflow's backend store: PostgreSQL, MySQL, MariaDB or SQLite."""

from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from ml_monitoring.exporter.sources.mlflow.source import MlflowSource

__all__ = ["MlflowSettings", "MlflowSource"]
