"""Entry point of `python -m alerting` in a checkout, and of `python -m ml_monitoring.alerting`."""

import sys

from ml_monitoring.exporter import command_line

sys.exit(command_line.start("ml_monitoring.alerting.cli", f"python -m {__package__}"))
