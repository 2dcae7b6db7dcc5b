"""What a file of settings is made of, and whether it may be."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from ml_monitoring.exporter.config import Settings
from ml_monitoring.exporter.database.uri import DatabaseUri
from ml_monitoring.exporter.references import References
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.sources.mlflow.settings import is_server

_REFERENCE: Final = re.compile(r"\$\{[^}]*\}")
_SECRET_PARAMETER: Final = re.compile(r"(?i)pass|pwd|token|secret")


@dataclass(frozen=True, slots=True)
class Answers:
    """What was said about the settings; None where it was not.

    Attributes:
        mlflow: Address of MLflow's backend store or tracking server.
        variants: Address of the database with the variant tables.
        fleet: CSV or Parquet file, or a folder of such files.
        prometheus: URL of the Prometheus that `check` tries.
        alertmanager: URL of the Alertmanager that `check` tries.
        port: Where to listen, on loopback unless `host` is given.
        host: Address to bind.
    """

    mlflow: str | None = None
    variants: str | None = None
    fleet: Path | None = None
    prometheus: str | None = None
    alertmanager: str | None = None
    port: int = 9847
    host: str = "127.0.0.1"

    @property
    def uris(self) -> dict[str, str]:
        """Return the addresses of the sources that have one, which may hold passwords."""
        given = {"mlflow": self.mlflow, "variants": self.variants}
        return {source: uri for source, uri in given.items() if uri is not None}

    @property
    def path(self) -> str | None:
        """Return the path of the fleet's file as it stands in a file of settings, where `${` begins a reference."""
        return None if self.fleet is None else str(self.fleet).replace("${", "$${")

    def settings(self, environ: Mapping[str, str] | None = None) -> tuple[Settings | None, list[str]]:
        """Return the settings, or what is wrong with the answers; nothing is connected to.

        Args:
            environ: The variables that addresses refer to; default those of the process.
        """
        # Each answer is one setting, and so stands on a line of its own, which nobody has seen yet.
        references = References(Settings, {(): ("", 0)}, os.environ if environ is None else environ)
        layers = Layers()
        layers.add(references.resolve(self._data()), {})
        problems = [f"{'.'.join(map(str, at))}: {said}" for at, said in references.problems]
        problems += [
            f"sources.{source}.uri: holds a password and a reference to a variable; keep one of them, "
            "or write the $ of a password as %24"
            for source, uri in self.uris.items()
            if _REFERENCE.search(uri) and holds_secret(uri)
        ]
        try:
            settings = Settings.model_validate(layers.data)
        except ValidationError as error:
            # What refers to a variable that is not set is no address either.
            return None, problems or layers.describe(error, Settings)
        return (None if problems else settings), problems

    def _data(self) -> dict[str, Any]:
        sources: dict[str, Any] = {source: {"uri": uri} for source, uri in self.uris.items()}
        if self.path is not None:
            sources["fleet"] = {"path": self.path}
        neighbours = {"prometheus": self.prometheus, "alertmanager": self.alertmanager}
        return {
            "web": {"host": self.host, "port": self.port},
            "sources": sources,
            **{name: {"url": url} for name, url in neighbours.items() if url is not None},
        }


def holds_secret(uri: str) -> bool:
    """Tell whether an address holds what may be secret in clear text; references to variables are not."""
    uri = _REFERENCE.sub("", uri)
    try:
        if is_server(uri):
            parts = urlsplit(uri)
            # Some servers take a token as the user.
            return bool(parts.username or parts.password)
        database = DatabaseUri.parse(uri)
    except ValueError:
        # What cannot be taken apart may hold anything, unless nothing is left of it.
        return bool(uri)
    return bool(database.password) or any(map(_SECRET_PARAMETER.search, database.query))


def lacks_password(uri: str) -> bool:
    """Tell whether an address has a user of a database server and nothing that could be the password."""
    if _REFERENCE.search(uri) or holds_secret(uri):
        return False
    try:
        return bool(DatabaseUri.parse(uri).username)
    except ValueError:
        return False


def with_password(uri: str, password: str) -> str:
    """Return the address with the password of its user, whatever characters that has."""
    user, at, host = uri.partition("@")
    return f"{user}:{quote(password, safe='')}{at}{host}"
