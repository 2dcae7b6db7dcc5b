"""Entry point of `python -m tools.release`."""

from __future__ import annotations

import sys

from tools.release.cli import main

sys.exit(main())
