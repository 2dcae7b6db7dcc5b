"""The tables of content variants: PostgreSQL, polled or notified by triggers."""

from exporter.sources.variants.settings import VariantsSettings
from exporter.sources.variants.source import VariantsSource

__all__ = ["VariantsSettings", "VariantsSource"]
