"""Simulate experiments under conditions of the world outside: `python -m tools.soundness.experiments`."""

from __future__ import annotations

import sys

from tools.soundness.experiments.cli import main

sys.exit(main())
