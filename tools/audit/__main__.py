"""Entry point of `python -m tools.audit`."""

from __future__ import annotations

import sys

from tools.audit.cli import main

sys.exit(main())
