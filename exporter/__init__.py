"""Prometheus exporter for MLflow stores, variant tables and fleet files."""

__version__ = "0.1.0"
