"""Entry point of `python -m dashboards` in a checkout, and of `python -m ml_monitoring.dashboards`."""

import sys

from ml_monitoring.exporter import command_line

sys.exit(command_line.start("ml_monitoring.dashboards.cli", f"python -m {__package__}"))
