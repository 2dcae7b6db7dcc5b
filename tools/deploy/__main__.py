"""`python -m tools.deploy`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this check is what gives an older version its clear message
    sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}.")

from tools.deploy.cli import main

sys.exit(main())
