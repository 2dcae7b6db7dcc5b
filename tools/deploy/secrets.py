"""Whether containers see the secrets as they are.

A secret is one file, mounted into its container. Most editors write a new file and put it in the place of the old one:
what is mounted stays the old one until the container starts again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.deploy.engine import DeployError, Stack


def outdated(stack: Stack) -> list[str]:
    """Return the running services that see an old secret, sorted."""
    running = {row["Service"] for row in stack.containers() if row["State"] == "running"}
    found = []
    for name, service in stack.services.items():
        if name not in running or not service.get("secrets"):
            continue
        try:
            printed = stack.compose("exec", "--no-TTY", name, "sh", "-c", "cd /run/secrets && sha256sum *")
        except DeployError:
            # It has just ended, or its image has no such program: then nothing can be checked.
            continue
        if differ(printed, service, stack.secrets):
            found.append(name)
    return sorted(found)


def differ(printed: str, service: Mapping[str, Any], folder: Path) -> bool:
    """Tell whether what `sha256sum` prints in a service is not what the files are."""
    seen = {name: checksum for checksum, name in (line.split() for line in printed.splitlines())}
    for secret in service["secrets"]:
        # Those that Alertmanager has too are in its own folder.
        file = next((path for path in folder.rglob(secret["source"]) if path.is_file()), folder / secret["source"])
        target = Path(secret.get("target") or secret["source"]).name
        if file.is_file() and seen.get(target) != hashlib.sha256(file.read_bytes()).hexdigest():
            return True
    return False
