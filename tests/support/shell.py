"""How a shell starts this checkout's programs, from whatever folder: one with a blank in its name as well."""

from __future__ import annotations

import shlex
import sys
from typing import Final

PYTHON: Final = shlex.quote(sys.executable)
COMMAND: Final = f"{PYTHON} -m ml_monitoring"
