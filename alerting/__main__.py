"""Entry point of `python -m alerting`."""

from __future__ import annotations

import sys

from ml_monitoring.alerting.cli import main

sys.exit(main())
