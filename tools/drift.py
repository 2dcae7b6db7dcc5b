"""Tell whether the committed generated files are what the generators write now: part of `make check`."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What writes, and the folder that holds what it wrote.
GENERATORS = {
    "alerting generate --compose": ROOT / "alerting" / "generated",
    "dashboards generate": ROOT / "dashboards" / "generated",
    "tools.schemas generate": ROOT / "docs" / "schemas",
    # The base takes the committed dashboards; into another folder they are written beside the manifests.
    "ml_monitoring kubernetes manifests --dashboards ../../dashboards/generated": ROOT / "k8s" / "base",
    "ml_monitoring kubernetes chart": ROOT / "k8s" / "chart" / "ml-monitoring",
    "tools.mixin generate": ROOT / "mixin",
}
_SHOWN_LINES = 20
# Addresses that a deployment puts in at generation; the committed files hold the defaults.
_OVERRIDES = ("GRAFANA_URL", "RUNBOOKS_URL")


def main() -> int:
    """Compare every generator's output with what is committed; return the exit status."""
    found = [line for generator, folder in GENERATORS.items() for line in differences(generator, folder)]
    if not found:
        return 0
    print("\n".join(found))
    print("\nGenerated files differ from their sources. Fix with: make generate")
    return 1


def differences(generator: str, committed: Path) -> list[str]:
    """Run a generator into a scratch folder and describe each file that differs."""
    environment = {name: value for name, value in os.environ.items() if name not in _OVERRIDES}
    # Nor those of a stack of one's own.
    environment["ML_MONITORING_ALERTING_SETTINGS"] = os.devnull
    with tempfile.TemporaryDirectory(prefix="generated-") as scratch:
        command = [sys.executable, "-m", *generator.split(), "--output-dir", scratch]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return [f"python -m {generator} failed:", done.stdout + done.stderr]
        return compare(committed, Path(scratch))


def compare(committed: Path, fresh: Path) -> list[str]:
    """Describe each file that is missing, left over or different, with the first lines of the difference."""
    name = f"{committed.parent.name}/{committed.name}"
    old, new = _files(committed), _files(fresh)
    found = [f"{name}/{path}: is generated but not committed" for path in sorted(new.keys() - old.keys())]
    found += [f"{name}/{path}: no generator writes it any more" for path in sorted(old.keys() - new.keys())]
    for path in sorted(path for path in old.keys() & new.keys() if old[path] != new[path]):
        before, after = (content.decode(errors="replace").splitlines() for content in (old[path], new[path]))
        lines = list(difflib.unified_diff(before, after, f"{name}/{path}", "generated now", lineterm="", n=1))
        found += lines[:_SHOWN_LINES]
        if len(lines) > _SHOWN_LINES:
            found.append(f"... and {len(lines) - _SHOWN_LINES} more lines")
    return found


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    sys.exit(main())
