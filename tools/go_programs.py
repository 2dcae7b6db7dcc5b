"""Build programs of other projects with the Go of this machine, where tests need a newer one than Debian has.

`python -m tools.go_programs victoria-metrics` prints the program, below `.tools/go/`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.debian import TOOLS_DIR

# Packages of Go modules by the name of the program that they make, with their versions.
PACKAGES = {
    # The formatter of Terraform's language, in seconds; Terraform and OpenTofu take many minutes.
    "hclfmt": ("github.com/hashicorp/hcl/v2/cmd/hclfmt", "v2.24.0"),
    "helm": ("helm.sh/helm/v3/cmd/helm", "v3.22.0"),
    # What the benchmark of rules is beside.
    "sloth": ("github.com/slok/sloth/cmd/sloth", "v0.16.0"),
    # Of its long-term support.
    "victoria-metrics": ("github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics", "v1.148.9"),
}

# Debian's build has no receiver of OTLP. This is 3.5.
_PROMETHEUS = ("github.com/prometheus/prometheus", "v0.305.0")


def available() -> bool:
    """Tell whether this machine has Go."""
    return shutil.which("go") is not None


def build(name: str, *, tools_dir: Path = TOOLS_DIR) -> Path:
    """Build a program unless that was done before; return its path.

    Raises:
        OSError: There is no Go.
        subprocess.CalledProcessError: It cannot be built; Go has said why.
    """
    package, version = PACKAGES[name]
    program = tools_dir / "go" / version / name
    if not program.exists():
        environment = {**os.environ, "GOBIN": str(program.parent)}
        subprocess.run(["go", "install", f"{package}@{version}"], env=environment, check=True)
    return program


def build_prometheus(*, tools_dir: Path = TOOLS_DIR) -> Path:
    """Build a Prometheus 3 that takes OTLP unless that was done before; return its path.

    It finds static targets and those in files only: what clouds need takes longer to build than all the rest.

    Raises:
        OSError: There is no Go.
        subprocess.CalledProcessError: It cannot be had or built.
    """
    module, version = _PROMETHEUS
    program = tools_dir / "go" / version / "prometheus"
    if not program.exists():
        # It replaces a module of others, so that it cannot be installed by its path; a copy is a module of its own.
        download = ["go", "mod", "download", "-json", f"{module}@{version}"]
        kept = json.loads(subprocess.run(download, check=True, capture_output=True).stdout)["Dir"]
        source = program.parent / "source"
        shutil.rmtree(source, ignore_errors=True)
        source.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", kept, source], check=True)
        subprocess.run(["chmod", "-R", "u+w", source], check=True)
        (source / "plugins" / "plugins.go").write_text("package plugins\n", encoding="utf-8")
        subprocess.run(["go", "build", "-buildvcs=false", "-o", program, "./cmd/prometheus"], cwd=source, check=True)
        shutil.rmtree(source)
    return program


def build_module(folder: Path, name: str, *, tools_dir: Path = TOOLS_DIR) -> Path:
    """Build the program of a Go module of this repository; return its path.

    Raises:
        OSError: There is no Go.
        subprocess.CalledProcessError: It cannot be built; Go has said why.
    """
    program = tools_dir / "go" / name
    # What did not change comes from Go's own cache.
    subprocess.run(["go", "build", "-buildvcs=false", "-o", program, "."], cwd=folder, check=True)
    return program


def main() -> int:
    """Print the program's path; return 1 when it cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m tools.go_programs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=sorted(PACKAGES), help="what to build")
    try:
        print(build(parser.parse_args().name))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"cannot be built: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
