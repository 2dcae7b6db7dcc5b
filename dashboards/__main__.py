"""Entry point of `python -m dashboards`."""

import sys

from ml_monitoring.dashboards.cli import main

sys.exit(main())
