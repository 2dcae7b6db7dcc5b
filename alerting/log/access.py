"""Who may ask the alert log, and who may post to it."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.proxies import LOCAL_SUFFIXES
from ml_monitoring.exporter.regular_files import read_text
from ml_monitoring.exporter.values import read_secret

# Domains that the public DNS does not have, so that no stranger's name leads here.
_PRIVATE: Final = (*LOCAL_SUFFIXES, ".internal")
_BEARER: Final = b"Bearer "


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered.

    Attributes:
        status: Of the answer.
        reason: One word for the metric.
        message: For who asked.
    """

    status: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Access:
    """Rules for requests.

    Attributes:
        hosts: Names under which the log is asked, beside addresses, names without a dot and those of private domains.
            A page of somebody else's whose name leads here has a name of its own.
        token_file: File with the token that has to be posted with; None for no token. Read for each request, so that
            it can be replaced.
    """

    hosts: Collection[str] = ()
    token_file: Path | None = None

    def check(self) -> None:
        """Refuse to begin with a file that holds no token, as nobody could post.

        Raises:
            ConfigError: It cannot be read, or is empty.
        """
        if self.token_file is None:
            return
        try:
            token = read_secret(self.token_file)
        except ValueError as error:
            raise ConfigError([f"--token-file: {error}"]) from None
        if not token:
            raise ConfigError([f"--token-file: {self.token_file} is empty"])

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        """Return why nothing is answered to a request with these headers."""
        if not _is_own(headers.get("Host", ""), self.hosts):
            return Refusal(421, "host", "not a name of the alert log: give it to --allowed-host")
        return None

    def refuse_post(self, headers: Mapping[str, str]) -> Refusal | None:
        """Return why nothing is taken from a request with these headers."""
        # What a browser says of the page that makes it post; Alertmanager is none.
        if headers.get("Origin") is not None or headers.get("Sec-Fetch-Site", "none") != "none":
            return Refusal(403, "origin", "not for browsers")
        if self.token_file is not None and (refused := self._refuse_token(headers)):
            return refused
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json" or headers.get("Content-Encoding", "identity") != "identity":
            return Refusal(415, "invalid", "Content-Type must be application/json, without Content-Encoding")
        return None

    def _refuse_token(self, headers: Mapping[str, str]) -> Refusal | None:
        assert self.token_file is not None  # noqa: S101  # asked only then
        try:
            token = read_text(self.token_file).strip().encode()
        except (OSError, UnicodeDecodeError):
            # Alertmanager tries again.
            return Refusal(503, "token", "the file of the token cannot be read")
        given = headers.get("Authorization", "")
        # An empty file is no token that everybody has.
        if token and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), _BEARER + token):
            return None
        return Refusal(401, "token", "wants another token than this" if given else "wants the token")


def _is_own(host: str, names: Collection[str]) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.removeprefix("[").removesuffix("]").rstrip(".").lower()
    if not name:
        return False
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return "." not in name or name in {each.lower() for each in names} or name.endswith(_PRIVATE)
    return True
