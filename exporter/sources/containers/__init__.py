"""Containers of a Docker engine: what they use, what they may use, how often they were started again."""

from ml_monitoring.exporter.sources.containers.source import ContainersSettings, ContainersSource

__all__ = ["ContainersSettings", "ContainersSource"]
