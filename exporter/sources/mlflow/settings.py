"""Settings of the `mlflow` source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from ml_monitoring.exporter.database import connect
from ml_monitoring.exporter.database.uri import MUST_BEGIN
from ml_monitoring.exporter.shard import Shard
from ml_monitoring.exporter.sources.base import SourceSettings
from ml_monitoring.exporter.sources.mlflow.sql import LabelSource
from ml_monitoring.exporter.values import Duration, Names, OneLine, PathUse, Patterns, Token, matches_any, refuse

VARIANT_LABEL = "model_variant"
_DEFAULT_LABELS: dict[str, Names] = {VARIANT_LABEL: (f"param:{VARIANT_LABEL}", f"tag:{VARIANT_LABEL}")}
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN_LABELS = frozenset({"experiment", "metric", "job", "instance", "le", "quantile"})


_SERVER = re.compile(r"(?i)https?://")
# A folder, and no file of SQLite whose scheme was forgotten.
_FILES = re.compile(r"(?i)(file:|\.{0,2}/|~/|mlruns)(?!.*\.(db|sqlite3?)$)")
# What else MLflow takes, and how that is read here.
_OTHERS = {
    re.compile(r"(?i)(mssql|oracle)\b"): "another database is read over its tracking server",
    re.compile(r"(?i)databricks\b"): "write https://HOST, with a personal token as token or MLFLOW_TRACKING_TOKEN",
}
_OF_SERVERS = (
    *("username", "password", "token", "ca_file", "certificate_file", "key_file", "verify_certificate", "proxy"),
    *("workspaces", "requests_per_minute"),
)


def is_server(uri: str) -> bool:
    """Tell whether a URI is the address of a tracking server."""
    return _SERVER.match(uri) is not None


def _valid_uri(value: SecretStr) -> SecretStr:
    uri = value.get_secret_value()
    if _FILES.match(uri):
        # The value itself is not repeated: what is meant for a database and mistyped may hold a password.
        raise ValueError(
            "must begin with http(s)://, postgresql://, mysql:// or sqlite:///: a store in files, such as ./mlruns, is "
            "not read; `mlflow migrate-filestore --source ./mlruns --target sqlite:///mlflow.db` moves it to a database"
        )
    if not is_server(uri):
        try:
            connect(uri, timeout=1.0)
        except ValueError as error:
            # It is no database: what else there is.
            message = str(error).replace(MUST_BEGIN, f"{MUST_BEGIN}http(s)://, ", 1)
            other = next((f": {said}" for form, said in _OTHERS.items() if form.match(uri)), "")
            raise ValueError(message + other) from None
        return value
    if re.search(r"[\s?#]", uri) or not _has_host(uri):
        raise ValueError("is no address of a tracking server like https://mlflow.example/path, without ? and #")
    return value


def _has_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _valid_proxy(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not (is_server(value.get_secret_value()) and _has_host(value.get_secret_value())):
        raise ValueError("is no address of a proxy like http://proxy.example:3128")
    return value


def _valid_labels(value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for name, sources in value.items():
        if not _LABEL_NAME.fullmatch(name) or name.startswith("__") or name in _TAKEN_LABELS:
            raise ValueError(
                f"{name!r} cannot be a label name here: one has letters, digits and _ only, begins with no digit "
                f"and not with __, and is none of {', '.join(sorted(_TAKEN_LABELS))}"
            )
        if not sources:
            raise ValueError(f"{name}: is empty: give a param or a tag, such as [tags.{name}], or delete it")
        for source in sources:
            LabelSource.parse(source)
    return value


def _with_variant(value: object) -> object:
    return {**_DEFAULT_LABELS, **value} if isinstance(value, dict) else value


class MetricPatterns(Patterns):
    """Which metric keys are exposed, and for which of them lower is better.

    Attributes:
        lower_is_better: Keys of which the lowest value is the best one; patterns in lower case.
        losses: Keys of which a running run's values are not to rise for long; patterns in lower case.
    """

    lower_is_better: Names = (
        *("*loss*", "*error*", "*mae", "*mape", "*mse", "*rmse", "*perplexity*"),
        *("*latency*", "*duration*", "*_seconds", "*_ms"),
    )
    losses: Names = (
        *("loss", "train_loss", "train/loss", "training_loss"),
        *("val_loss", "val/loss", "validation_loss", "eval_loss", "eval/loss"),
    )

    def lower_wins(self, key: str) -> bool:
        """Tell whether the lowest value of this metric is the best one."""
        return matches_any(self.lower_is_better, key.lower())


class MlflowSettings(SourceSettings):
    """Settings of the `mlflow` source.

    Attributes:
        first_timeout: Like `timeout`, for a refresh that reads everything: at the start, after an error, once a day.
        uri: Backend store, as given to `mlflow server --backend-store-uri`; or the address of a tracking server, such
            as `https://mlflow.example`, for which the next ten settings are.
        username: User of basic authentication.
        password: Password of that user.
        token: Bearer token; no user is given besides.
        ca_file: Certificates of the authorities that the server's own is trusted from; default those of the system.
        certificate_file: Certificate that this client shows, in PEM.
        key_file: Its key, where that is not in the same file.
        verify_certificate: Whether the server's certificate must be trusted, and of its name.
        proxy: Address of a proxy; default that of the environment (`HTTPS_PROXY`, `NO_PROXY`).
        workspaces: Workspaces of MLflow 3 to read; default the one that the server takes for everybody's.
        requests_per_minute: Most requests to the server; never is there more than one at a time.
        experiments: Names of the experiments to expose.
        metrics: Keys of the metrics to expose.
        labels: Labels of `mlflow_metric_latest` and the params or tags they are taken from, first found counts.
        shard: Which experiments and models are this exporter's, where several share a store.
        reconcile: Changes that do not show in the row of their run (a metric or label written to a run that ended
            before) are found within this time in SQLite, in PostgreSQL up to 80,000 runs and in MySQL and MariaDB up to
            10,000; of more runs, and from a tracking server, as the page on MLflow says. Those of runs on display are
            found sooner.
        champion: Alias of the version that other aliased ones are compared with.
        registry: Whether to count registered versions by stage and compare with the champion.
        test_size: Metrics, params and tags of a run that say of how many rows its test set was; the first one counts.
        assumed_test_size: How many rows a test set is taken to have where no run says it.
        children: Whether to count runs that have a parent run.
        datasets: Whether to count datasets.
        count_tags: Tags whose values runs are counted by.
        cost_tags: Tags that hold what a run cost, as a number; their sums are exposed by experiment.
        top: Of users and sources of running runs, and of the values of a tag, so many are exposed, those with most
            runs; all others together as `(other)`.
        logged_models: Whether to count the logged models of MLflow 3.
        training: Whether to follow the runs that are running: progress, losses, the machines' utilization.
        traces: Whether to count the traces of LLM applications.
        trace_window: Traces that take longer than this may be missed; the longer, the more is read.
    """

    first_timeout: Duration = 300.0
    uri: Annotated[OneLine, AfterValidator(_valid_uri), Field(examples=["sqlite:////srv/mlflow/mlflow.db"])]
    username: str = ""
    password: OneLine | None = None
    token: Token | None = None
    ca_file: Annotated[Path | None, PathUse.READ] = None
    certificate_file: Annotated[Path | None, PathUse.READ] = None
    key_file: Annotated[Path | None, PathUse.READ] = None
    verify_certificate: bool = True
    proxy: Annotated[OneLine | None, AfterValidator(_valid_proxy)] = None
    workspaces: Names = ()
    requests_per_minute: int = Field(default=120, ge=10, le=6000)
    experiments: Patterns = Patterns()
    metrics: MetricPatterns = MetricPatterns()
    shard: Shard = Shard()
    labels: Annotated[dict[str, Names], BeforeValidator(_with_variant), AfterValidator(_valid_labels)] = Field(
        default=_DEFAULT_LABELS
    )
    reconcile: Duration = 300.0
    champion: str = "champion"
    registry: bool = True
    test_size: Names = ("test_size", "test_rows", "test_samples", "n_test", "num_test")
    assumed_test_size: int = Field(default=1000, ge=1)
    children: bool = True
    datasets: bool = True
    count_tags: Names = ()
    cost_tags: Names = ()
    top: int = Field(default=20, ge=1, le=1000)
    logged_models: bool = True
    training: bool = True
    traces: bool = True
    trace_window: Duration = 600.0

    @model_validator(mode="after")
    def _fits_its_uri(self) -> Self:
        refuse(self._problems(self.uri.get_secret_value()))
        return self

    def _problems(self, uri: str) -> Iterator[str]:
        given = [name for name in _OF_SERVERS if name in self.model_fields_set and getattr(self, name)]
        if not is_server(uri):
            of_user = "; its user and password are in uri, or in the file that uri_file names"
            yield from (
                f"{name}: is for a tracking server, and uri is a database's"
                f"{of_user if name in ('username', 'password') else ''}"
                for name in given
            )
            return
        users = [bool(self.username), self.token is not None, "@" in urlsplit(uri).netloc]
        if sum(users) > 1:
            yield "token: keep one of token, username and the user in uri"
        if bool(self.username) is not (self.password is not None):
            yield f"{'password' if self.username else 'username'}: is missing: username and password belong together"
        if self.key_file is not None and self.certificate_file is None:
            yield "key_file: given without certificate_file"

    @property
    def first_limit(self) -> float:
        """Return how many seconds the first refresh may take: connecting, and then reading everything."""
        return max(self.timeout, self.first_timeout)
