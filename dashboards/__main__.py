"""Entry point of `python -m dashboards` in a checkout, and of `python -m ml_monitoring.dashboards`."""

import sys

from ml_monitoring.dashboards.cli import main

sys.exit(main(prog=f"python -m {__package__}"))
