"""Which servers are asked without a proxy, whatever `HTTP_PROXY` says."""

from __future__ import annotations

import re
import urllib.request
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

# What a proxy cannot know: names of this machine, and of a cluster's services.
LOCAL_SUFFIXES: Final = (".localhost", ".svc", ".svc.cluster.local")
# What the hosts of containers call themselves, and pods.
_MORE_SUFFIXES: Final = (".localdomain", ".docker.internal", ".containers.internal", ".pod.cluster.local")
# 127.1 is 127.0.0.1 to the resolver, and no address to Python.
_SHORT_LOOPBACK: Final = re.compile(r"127(\.\d+){1,2}")


def asked_directly(url: str) -> bool:
    """Tell whether a server is this machine or of the stack: a name without a dot is a container or a service."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        named = "." not in host or host.endswith(LOCAL_SUFFIXES + _MORE_SUFFIXES)
        return named or _SHORT_LOOPBACK.fullmatch(host) is not None
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def proxy_variable(url: str) -> str:
    """Return the variable that names the proxy over which a server is asked; empty where it is asked directly."""
    parts = urlsplit(url)
    is_direct = asked_directly(url) or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2])
    return "" if is_direct or parts.scheme not in urllib.request.getproxies() else f"{parts.scheme.upper()}_PROXY"


def opener(url: str) -> urllib.request.OpenerDirector:
    """Return what opens addresses of a server: through the proxy of the environment, unless it is asked directly."""
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if asked_directly(url) else []))
