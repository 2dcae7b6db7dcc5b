"""`python -m tools.soundness`."""

from __future__ import annotations

import sys

from tools.soundness.cli import main

sys.exit(main())
