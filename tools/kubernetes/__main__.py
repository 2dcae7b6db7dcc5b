"""Entry point of `python -m tools.kubernetes`."""

import sys

from tools.kubernetes.cli import main

sys.exit(main())
