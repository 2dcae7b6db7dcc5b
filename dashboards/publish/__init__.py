"""Dashboards between files and Grafana: pushed, pulled, exported and compared."""
