"""Settings of the `experiments` source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from ml_monitoring.exporter.sources.base import DatabaseAddress, SourceSettings
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration, ExperimentName
from ml_monitoring.exporter.stores import StoreName
from ml_monitoring.exporter.suggestions import suggestion_or_all
from ml_monitoring.exporter.values import Duration, Model, OneLine, PathUse, Token, refuse

_HTTP = ("http://", "https://")


def _valid_url(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith(_HTTP) or not text.partition("://")[2].strip("/") or any(each in text for each in " \n\t?#"):
        raise ValueError("must be the base URL of Prometheus, such as http://prometheus:9090")
    return value


class ExperimentsDatabase(Model):
    """A database that experiments name.

    Attributes:
        uri: Of PostgreSQL or SQLite; a user that may only read will do.
    """

    uri: Annotated[DatabaseAddress, Field(examples=["postgresql://reader@db/shop"])]


class ExperimentsSettings(SourceSettings):
    """Settings of the `experiments` source.

    Attributes:
        url: Prometheus, or what answers like it (VictoriaMetrics, Thanos, Mimir), from which counts are read.
        token: Sent as a bearer token.
        database: Where metrics that are declared by SQL are read; a user that may only read will do.
        databases: Further ones, by the names that experiments give as `database`.
        files: A file of declarations, or a folder of them (`*.yml`); changes are taken at the next interval.
        declared: Experiments by their names.
        settle: How long after the end of a batch it is read, so that late samples are in it.
        late: Rows of SQL may come so much later than their time says.
        cache: Folder for what was read, for experiments that run for longer than Prometheus keeps samples.
    """

    interval: Duration = 30.0
    timeout: Duration = 25.0
    url: Annotated[OneLine, AfterValidator(_valid_url)] | None = None
    token: Token | None = None
    database: DatabaseAddress | None = None
    databases: dict[StoreName, ExperimentsDatabase] = Field(default={})
    # `check` reads the declarations in it.
    files: Annotated[Path | None, PathUse.OWN] = None
    declared: dict[ExperimentName, ExperimentDeclaration] = Field(default={})
    settle: Duration = 60.0
    late: Duration = 3600.0
    cache: Annotated[Path | None, PathUse.WRITTEN_FOLDER] = None

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if self.url is None and self.database is None and not self.databases:
            yield "url: is missing, and so is database"
            return
        for name, declaration in self.declared.items():
            if problem := self.problem(declaration):
                yield f"declared.{name}.{problem}"

    def problem(self, declaration: ExperimentDeclaration) -> str:
        """Return what a declaration needs that is not set; nothing where all is well."""
        if declaration.database is not None and declaration.database not in self.databases:
            meant = suggestion_or_all(declaration.database, self.databases)
            return f"database: {declaration.database!r} is not in sources.experiments.databases{meant}"
        for name, metric in declaration.metrics.items():
            if metric.query is not None and declaration.database is None and self.database is None:
                return f"metrics.{name}.query: needs sources.experiments.database, or a database of its own"
            if metric.query is None and self.url is None:
                return f"metrics.{name}: needs sources.experiments.url"
        if declaration.exposure is not None and self.url is None:
            return "exposure: needs sources.experiments.url"
        return ""
