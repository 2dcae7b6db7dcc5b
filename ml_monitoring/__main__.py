"""Entry point of `python -m ml_monitoring`."""

import sys

from ml_monitoring.cli import main

sys.exit(main(prog="python -m ml_monitoring"))
