"""Signals, recording rules, alerts and routing: PromQL declared once, rendered many ways."""
