"""Grafana dashboards as code; `lib` is the only place that touches grafanalib."""
