"""The tables of content variants: PostgreSQL, polled or notified by triggers."""

from ml_monitoring.exporter.sources.variants.settings import VariantsSettings
from ml_monitoring.exporter.sources.variants.source import VariantsSource

__all__ = ["VariantsSettings", "VariantsSource"]
