"""Entry point of `python -m tools.demo`."""

from __future__ import annotations

import sys

from tools.demo.cli import main

sys.exit(main())
