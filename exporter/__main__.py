"""Entry point of `python -m exporter` in a checkout, and of `python -m ml_monitoring.exporter`."""

import sys

from ml_monitoring.exporter import command_line

if __package__ == "exporter" and sys.argv[1:2] == ["demo"]:  # the demos are in a checkout only
    from demo.cli import main

    sys.exit(main(sys.argv[2:]))

sys.exit(command_line.start("ml_monitoring.exporter.cli", f"python -m {__package__}"))
