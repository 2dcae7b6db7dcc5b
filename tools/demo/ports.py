"""Which ports the demo takes, and who has them when they are taken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.demo import dashboards
from tools.demo.parts.base import PortUse
from tools.processes import port_is_free
from tools.stack import Ports

STACK_PORTS = (
    PortUse("exporter", "Exporter", Ports().exporter),
    PortUse("prometheus", "Prometheus", Ports().prometheus),
    PortUse("alertmanager", "Alertmanager", Ports().alertmanager),
    dashboards.PORT,
)
_HIGHEST = 65535
_LISTEN = "0A"
# Where to look for ports to propose.
_FIRST_PROPOSED = 19000
_LAST_PROPOSED = 60000


def assign(uses: Sequence[PortUse], base: int | None) -> dict[str, int]:
    """Return each port by name: the default ones, or one after the other from `base` on.

    Raises:
        ValueError: There are not that many ports from `base` on.
    """
    if base is None:
        return {use.name: use.default for use in uses}
    if not 0 < base <= _HIGHEST - len(uses) + 1:
        raise ValueError(f"must be between 1 and {_HIGHEST - len(uses) + 1}: {len(uses)} ports are taken from it on")
    return {use.name: base + number for number, use in enumerate(uses)}


def problems(uses: Sequence[PortUse], ports: dict[str, int]) -> list[str]:
    """Describe each port that cannot be taken: what wanted it, and who has it."""
    found = []
    for use in uses:
        port = ports[use.name]
        if not port_is_free(port):
            found.append(f"port {port} for {use.what} is in use{''.join(f' by {who}' for who in _owner(port))}")
    return found


def propose(uses: Sequence[PortUse], *, first: int = _FIRST_PROPOSED) -> int | None:
    """Return a base, not below the first, from which on all ports are free now."""
    bases = range(first, _LAST_PROPOSED, 100)
    return next((base for base in bases if all(port_is_free(base + n) for n in range(len(uses)))), None)


def _owner(port: int) -> Iterator[str]:
    """Yield the program that listens on the port, as far as this user may know."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        # Processes of other users do not show their files, and any may end meanwhile.
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                yield f"{(process / 'comm').read_text(encoding='utf-8').strip()} (process {process.name})"
                return


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
