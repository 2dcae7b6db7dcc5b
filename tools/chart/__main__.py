"""Entry point of `python -m tools.chart`."""

import sys

from tools.chart.cli import main

sys.exit(main())
