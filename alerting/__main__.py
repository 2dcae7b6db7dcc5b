"""Entry point of `python -m alerting` in a checkout, and of `python -m ml_monitoring.alerting`."""

import sys

from ml_monitoring.alerting.cli import main

sys.exit(main(prog=f"python -m {__package__}"))
