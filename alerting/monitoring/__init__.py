"""Prometheus and Alertmanager themselves."""
