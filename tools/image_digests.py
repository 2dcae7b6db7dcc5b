"""Pin the images of `docker/versions.env` by digest, as the registries that Docker reaches give them.

`make digests` (`python -m tools.image_digests`). A tag can be moved, a digest cannot: afterwards `docker compose` and
`make deploy` take exactly these images.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

VERSIONS = Path(__file__).resolve().parent.parent / "docker/versions.env"
_LINE = re.compile(r"^(?P<name>[A-Z_]+_IMAGE)=(?P<image>[^@\s]+)(?:@sha256:[0-9a-f]{64})?$", re.MULTILINE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIMEOUT = 60


class DigestError(Exception):
    """Report that a digest is not to be had; the message says why."""


def main(versions: Path = VERSIONS) -> int:
    """Write the digests; nothing is written unless all are known."""
    try:
        text = pin(versions.read_text(encoding="utf-8"), ask_docker)
    except DigestError as error:
        print(f"{versions.name} stays as it is: {error}", file=sys.stderr)
        return 1
    versions.write_text(text, encoding="utf-8")
    print(f"{versions}: {len(_LINE.findall(text))} images pinned by digest")
    return 0


def pin(text: str, digest_of: Callable[[str], str]) -> str:
    """Return the lines with each image followed by its digest, of which an older one is replaced."""
    return _LINE.sub(lambda line: f"{line['name']}={line['image']}@{digest_of(line['image'])}", text)


def ask_docker(image: str) -> str:
    """Return the digest of an image for all platforms.

    Raises:
        DigestError: There is no Docker, or its registry cannot be reached.
    """
    docker = shutil.which("docker")
    if docker is None:
        raise DigestError("there is no docker command, which asks the registries")
    if subprocess.run([docker, "buildx", "version"], capture_output=True, check=False).returncode != 0:
        raise DigestError("Docker has no buildx, which asks the registries (package docker-buildx-plugin)")
    command = [docker, "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise DigestError(f"no answer about {image} within {_TIMEOUT} s") from None
    digest = done.stdout.strip()
    if not _DIGEST.fullmatch(digest):
        reason = done.stderr.strip().splitlines()[-1:] or ["no digest"]
        raise DigestError(f"{image}: {reason[0]}")
    return digest


if __name__ == "__main__":
    sys.exit(main())
