"""Grafana dashboards as code; `lib` is the only place that touches grafanalib."""

# What every dashboard of this project is tagged with in Grafana.
TAG = "ml-stack"
