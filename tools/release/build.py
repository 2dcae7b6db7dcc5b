"""Build what a release consists of, from a folder that holds one commit and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tools import environments
from tools.release import archives
from tools.release.fitness import ReleaseError

CHECKSUMS: Final = "SHA256SUMS"
_UV: Final = Path(sys.executable).with_name("uv")
_PINS: Final = "docker/exporter/build-requirements.txt"


def build(source: Path, output: Path, *, version: str, epoch: int) -> list[Path]:
    """Build everything, and return the files in the order of their names.

    Args:
        source: A clone of the commit.
        output: An empty folder.
        version: Of the release.
        epoch: Time of the commit, which everything in archives has.

    Raises:
        ReleaseError: Something could not be built.
    """
    distributions(source, output, epoch=epoch)
    charts(source, output, epoch=epoch)
    mixin(source, output, version=version, epoch=epoch)
    dashboards(source, output, version=version, epoch=epoch)
    return sorted(output.iterdir())


def distributions(source: Path, output: Path, *, epoch: int) -> None:
    """Build wheel and source distribution of the stack and of the library, and look at them as an index does."""
    for folder in (source, source / "instrument"):
        # The source first and the wheel from that, so that the source is known to be whole.
        command: list[str | Path] = [
            _UV,
            "build",
            "--quiet",
            "--out-dir",
            output,
            "--build-constraint",
            source / _PINS,
            folder,
        ]
        _run(command, epoch=epoch)
    # uv leaves a file for git.
    (output / ".gitignore").unlink(missing_ok=True)
    for path in sorted(output.glob("*.tar.gz")):
        archives.normalize(path, epoch=epoch)
    twine = environments.program("release", "twine")
    _run([twine, "check", "--strict", *sorted(output.iterdir())], epoch=epoch)


def charts(source: Path, output: Path, *, epoch: int) -> None:
    """Package the Helm charts."""
    for chart in sorted(source.glob("k8s/chart/*/Chart.yaml")):
        # That of the environment goes before others.
        helm = shutil.which("helm", path=os.pathsep.join((str(_UV.parent), os.environ.get("PATH", ""))))
        if helm is None:
            raise ReleaseError("there is no helm on PATH, which packages the chart")
        before = set(output.iterdir())
        _run([helm, "package", "--destination", output, chart.parent], epoch=epoch)
        for path in set(output.iterdir()) - before:
            archives.normalize(path, epoch=epoch)


def mixin(source: Path, output: Path, *, version: str, epoch: int) -> None:
    """Pack the mixin, where there is one."""
    folder = source / "mixin"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if files:
        top = f"ml-monitoring-mixin-{version}"
        contents = {f"{top}/{path.relative_to(folder)}": path.read_bytes() for path in files}
        archives.write(output / f"{top}.tar.gz", contents, epoch=epoch)


def dashboards(source: Path, output: Path, *, version: str, epoch: int) -> None:
    """Pack the dashboards in the form that Grafana's import dialog and grafana.com take."""
    top = f"ml-monitoring-dashboards-{version}"
    folder = output / top
    command: list[str | Path] = [sys.executable, "-m", "dashboards", "export", "--output-dir", folder]
    _run(command, epoch=epoch, cwd=source)
    contents = {f"{top}/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    shutil.rmtree(folder)
    if without := [name for name, content in contents.items() if "__inputs" not in json.loads(content)]:
        raise ReleaseError(f"without __inputs, so that grafana.com takes them for nobody's: {', '.join(without)}")
    archives.write(output / f"{top}.tar.gz", contents, epoch=epoch)


def checksums(files: Sequence[Path]) -> Iterator[str]:
    """Yield a line for each file, as `sha256sum --check` reads them."""
    for path in files:
        yield f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def sign(path: Path, key: str) -> Path:
    """Sign a file with a key of GnuPG, and return the signature.

    Raises:
        ReleaseError: There is no such key, or no GnuPG.
    """
    signature = path.with_name(f"{path.name}.asc")
    command: list[str | Path] = ["gpg", "--batch", "--yes", "--armor", "--local-user", key, "--output", signature]
    _run([*command, "--detach-sign", path], epoch=0)
    return signature


def _run(command: Sequence[str | Path], *, epoch: int, cwd: Path | None = None) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)} if epoch else None
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)
    except FileNotFoundError:
        raise ReleaseError(f"there is no {Path(command[0]).name} on this machine") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise ReleaseError(f"{Path(command[0]).name} failed: {said}")
