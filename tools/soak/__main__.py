"""Entry point of `python -m tools.soak`."""

from __future__ import annotations

import sys

from tools.soak.cli import main

sys.exit(main())
