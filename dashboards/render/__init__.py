"""Grafana dashboards without Grafana: their queries run against Prometheus, their panels drawn.

Reads dashboard JSON only, so that it works on any Prometheus-backed dashboard, not just on those generated here.
The way of a panel: `model` (JSON) -> `variables`, `intervals` -> `engine` (queries) -> `frames` -> `transforms`
-> `fields` (units, overrides, names) -> `draw` (matplotlib) or `interactive` (HTML).
"""
