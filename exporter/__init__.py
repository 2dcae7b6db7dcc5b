"""Prometheus exporter for MLflow stores, variant tables and fleet files."""

__version__ = "0.3.0.dev0"
