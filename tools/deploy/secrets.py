"""Whether containers see the secrets, as they are, and can use them.

A secret is one file, mounted into its container. Most editors write a new file and put it in the place of the old one:
what is mounted stays the old one until the container starts again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter.http_addresses import problem_of
from tools.deploy.engine import DOCKER, DeployError, Stack

# A setting of a file that Alertmanager reads, in a block or between braces.
_FILE = re.compile(r"""(?:^|[\s{,])(\w+_file): *["']?(/[^\s"',}]+)""")
_SEEN = "/run/secrets/"
# What the deployment itself makes, before anything starts.
_MADE = frozenset({"alertlog_token", "ca_certificate"})
# How Compose files name a secret's file.
_MOUNTED = re.compile(r"\$\{SECRETS_DIR:-\./secrets\}/(\w+)")
_DATABASE = re.compile(r"(postgres(ql)?|mysql|mariadb|sqlite)(\+\w+)?://")


def unusable(stack: Stack) -> Iterator[str]:
    """Yield what is wrong with the secrets that are there already, without any part of them.

    Raises:
        DeployError: There is no such overlay.
    """
    files = [DOCKER / "compose.yaml", *stack.overlays]
    for name in dict.fromkeys(name for file in files for name in _MOUNTED.findall(file.read_text(encoding="utf-8"))):
        content = _content(stack.secrets / name)
        if content == "":
            yield f"{stack.secrets / name}: is empty"
        elif content and name.endswith("_uri") and not _DATABASE.match(content):
            yield f"{stack.secrets / name}: must begin with postgresql://, mysql:// or sqlite:///"


def _content(path: Path) -> str | None:
    """Return a secret; None where it is not there, or only others may read it."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def wrong_of_channels(stack: Stack) -> Iterator[str]:
    """Yield the files that the user's channels name and Alertmanager would not see, or not use, each with the cure."""
    channels = stack.secrets / "channels"
    # One of the user's own may mount anything.
    own_overlays = any(path.parent != DOCKER for path in stack.overlays)
    for number, line in enumerate(stack.own_alerting.read_text(encoding="utf-8").splitlines(), start=1):
        for setting, path in _FILE.findall(re.sub(r"(^|\s)#.*", "", line)):
            name = path.removeprefix(_SEEN)
            place = f"{stack.own_alerting}:{number}: {setting}: "
            if name in _MADE or own_overlays:
                continue
            if name == path:
                yield f"{place}no container sees {path}: put it into {channels}/, and give {_SEEN}{Path(path).name}"
            elif not (channels / name).is_file():
                yield f"{place}there is no {channels / name}, which Alertmanager would see as {path}"
            elif (content := _content(channels / name)) == "":
                yield f"{place}{channels / name} is empty"
            elif content and setting.endswith("url_file") and (problem := problem_of(content)):
                yield f"{place}{channels / name} {problem}"


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
