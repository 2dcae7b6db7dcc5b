"""Files of server metrics: CSV or Parquet, replayed or followed."""

from ml_monitoring.exporter.sources.fleet.source import FleetSettings, FleetSource, RiskSettings

__all__ = ["FleetSettings", "FleetSource", "RiskSettings"]
