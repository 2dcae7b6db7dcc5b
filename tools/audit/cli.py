"""The command line."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import tools.audit
from tools import environments
from tools.audit import licences
from tools.stack import ROOT

# What users get, and what only those who work on it have.
SHIPPED = (ROOT / "docker/exporter/requirements.txt", ROOT / "requirements.txt")
_ALL = (*SHIPPED, ROOT / "requirements-dev.txt", ROOT / "docker/demo/requirements.txt")
_UNKNOWN = "NOT CHECKED: no source of advisories could be reached"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check; return 1 for a known vulnerability or a licence that is not allowed, 3 where nothing could be asked."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.audit", description=(tools.audit.__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--output-dir", type=Path, default=ROOT / "dist", help="for bills of materials (default: dist)")
    options = parser.parse_args(arguments)
    names = licences.pinned(_ALL)
    wrong = [*licences.problems(names)]
    print(f"licences of {len(names)} pinned packages: {len(wrong)} not allowed")
    for problem in wrong:
        print(f"  {problem}")
    python = environments.prepare("audit")
    options.output_dir.mkdir(parents=True, exist_ok=True)
    for path in SHIPPED:
        name = "-".join(path.relative_to(ROOT).with_suffix("").parts)
        write_bill(python, path, options.output_dir / f"{name}.cdx.json")
    found = False
    unknown = False
    for path in _ALL:
        result = run_audit(python, path)
        print(f"vulnerabilities of {path.relative_to(ROOT)}: {result.text}")
        found |= bool(result.vulnerable)
        unknown |= not result.asked
    if found or wrong:
        return 1
    return 3 if unknown else 0


def write_bill(python: Path, requirements: Path, to: Path) -> None:
    """Write a bill of materials in CycloneDX, which the program validates by its schema."""
    # By their modules: a program's first line names the folder that it was installed in, which may have moved.
    command: list[str | Path] = [python, "-m", "cyclonedx_py", "requirements", "--validate", "--output-reproducible"]
    subprocess.run([*command, "--of", "JSON", "--output-file", to, requirements], check=True, stderr=subprocess.DEVNULL)
    components = json.loads(to.read_text(encoding="utf-8"))["components"]
    print(f"bill of materials of {len(components)} packages, valid: {to}")


class Audit:
    """What is known of the vulnerabilities of some packages.

    Args:
        report: What pip-audit prints as JSON; empty where it ended with an error.

    Attributes:
        vulnerable: The packages with known vulnerabilities, and which.
        asked: Whether a source of advisories answered for all packages.
        text: All this in words.
    """

    def __init__(self, report: str) -> None:
        try:
            packages = json.loads(report)["dependencies"]
        except (ValueError, KeyError):
            packages = []
        skipped = [each["name"] for each in packages if "skip_reason" in each]
        self.vulnerable = {each["name"]: [one["id"] for one in each["vulns"]] for each in packages if each.get("vulns")}
        self.asked = bool(packages) and not skipped
        known = "; ".join(f"{name}: {', '.join(ids)}" for name, ids in self.vulnerable.items())
        if not packages or len(skipped) == len(packages):
            self.text = _UNKNOWN
        elif skipped:
            self.text = (
                f"{known or 'none known'} in {len(packages) - len(skipped)} packages; NOT CHECKED: {', '.join(skipped)}"
            )
        else:
            self.text = f"{known or 'none known'} in {len(packages)} packages"


def run_audit(python: Path, requirements: Path) -> Audit:
    """Ask for known vulnerabilities of pinned packages."""
    command: list[str | Path] = [python, "-m", "pip_audit", "--requirement", requirements, "--disable-pip"]
    command += ["--require-hashes", "--progress-spinner", "off", "--format", "json", "--timeout", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    return Audit(done.stdout)
