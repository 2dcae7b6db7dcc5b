"""Entry point of `python -m exporter` in a checkout, and of `python -m ml_monitoring.exporter`."""

import sys

if __package__ == "exporter" and sys.argv[1:2] == ["demo"]:  # the demos are in a checkout only
    from demo.cli import main

    sys.exit(main(sys.argv[2:]))

from ml_monitoring.exporter.cli import main as exporter_main

sys.exit(exporter_main(prog=f"python -m {__package__}"))
