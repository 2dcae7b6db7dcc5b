"""Subcommands of `dashboards`, one module each."""
