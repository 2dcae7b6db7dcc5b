"""Addresses to listen on, as Prometheus and its exporters write them: `host:port`, `[::1]:port`, `:port`."""

from __future__ import annotations

import argparse
import errno
import os
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from ml_monitoring.exporter.values import split_list

PATTERN: Final = r"^(?:[^\[\]:/\s*]*|\[[0-9A-Fa-f:.]+(?:%[^\]\s]+)?\]):[0-9]{1,5}$"
_ADDRESS: Final = re.compile(PATTERN)
_PORT: Final = re.compile(r"[0-9]{1,5}")
_LAST_PORT: Final = 65535
# What the exporter answers at `/-/healthy`, which tells it from other programs.
HEALTHY: Final = "Healthy.\n"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen.

    Attributes:
        host: Name or address; empty for all addresses of the machine.
        port: TCP port; 0 takes a free one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            ValueError: It is none.
        """
        host, _, port = text.rpartition(":")
        if not _ADDRESS.fullmatch(text):
            every = text.removeprefix("*:")
            alone = f"; did you mean :{every}?" if _PORT.fullmatch(every) else ""
            raise ValueError(f"not an address to listen on: write it as host:port, [::1]:port or :port{alone}")
        if int(port) > _LAST_PORT:
            raise ValueError(f"not an address to listen on: ports end at {_LAST_PORT}")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def reachable(self) -> str:
        """Return where it answers on this machine."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  # asked, not bound
        return str(ListenAddress(host, self.port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_ipv6(host: str) -> bool:
    """Tell whether a host is an address of version 6, without brackets."""
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def argument(text: str) -> ListenAddress:
    """Return an argument that is an address to listen on, for `type=`."""
    try:
        return ListenAddress.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def listening_socket(family: int, kind: int, protocol: int, place: Any, *, backlog: int) -> socket.socket | None:
    """Listen at a place that `getaddrinfo` found; None where the machine has no such addresses, as without IPv6.

    Raises:
        OSError: The address cannot be bound.
    """
    try:
        taken = socket.socket(family, kind, protocol)
    except OSError:
        return None
    try:
        taken.setblocking(False)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(place)
        taken.listen(backlog)
    except BaseException:
        taken.close()
        raise
    return taken


def refusal(address: ListenAddress, error: OSError, option: str) -> str:
    """Return why an address cannot be listened on, and what can be done.

    Args:
        address: What was tried.
        error: What the system said.
        option: The command line's option that names another address.
    """
    # A name that is not found has its text, and a number that is none of the system's.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    taken = f": another program has the port; choose another with {option}" if error.errno == errno.EADDRINUSE else ""
    return f"cannot listen on {address}: {reason}{taken}"


def _parsed(value: Any) -> Any:
    return value if isinstance(value, ListenAddress) else ListenAddress.parse(str(value).strip())


ListenAddresses = Annotated[
    tuple[Annotated[ListenAddress, BeforeValidator(_parsed), PlainSerializer(str)], ...],
    BeforeValidator(split_list),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string", "pattern": PATTERN}}, {"type": "string"}]}),
]
