"""Entry point of `python -m alerting`."""

from __future__ import annotations

import sys

from alerting.cli import main

sys.exit(main())
