"""Subcommands of `dashboards`, one module each."""

from pathlib import Path
from typing import Final

# The committed pages. Here, as the module that writes them needs grafanalib and those that read them do not.
OUTPUT_DIR: Final = Path(__file__).parent.parent / "generated"
