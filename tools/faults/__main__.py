"""Entry point of `python -m tools.faults`."""

from __future__ import annotations

import sys

from tools.faults.cli import main

sys.exit(main())
