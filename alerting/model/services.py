"""Services whose servers are read as they are: which adapter is used on which job."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictStr,
    WithJsonSchema,
    field_validator,
)

from ml_monitoring.exporter.settings_hints import LABEL_PATTERN, QUOTED_PATTERN
from ml_monitoring.exporter.suggestions import suggestion_or_all

# Each has a module in `alerting/services/adapters/`.
SERVERS: Final = (
    "bentoml",
    "fastapi-instrumentator",
    "istio",
    "kserve",
    "mlserver",
    "opentelemetry",
    "opentelemetry-gen-ai",
    "ray-serve",
    "seldon-core-1",
    "starlette-exporter",
    "tensorflow-serving",
    "tgi",
    "torchserve",
    "triton",
    "vllm",
)


def _server(name: str) -> str:
    if name not in SERVERS:
        raise ValueError(f"no adapter is called {name!r}{suggestion_or_all(name, SERVERS)}")
    return name


ServerName = Annotated[StrictStr, AfterValidator(_server), WithJsonSchema({"type": "string", "enum": list(SERVERS)})]


class AdapterUse(BaseModel):
    """One adapter on one job of Prometheus."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: ServerName
    job: Annotated[str, Field(strict=True, pattern=QUOTED_PATTERN)]
    # The server's label whose values are variants of an A/B test; without it the job takes part in none.
    variant: Annotated[str, Field(strict=True, pattern=LABEL_PATTERN)] | None = None
    # Prometheus has the server's histograms as native ones, without classic buckets: those are read.
    native_histograms: bool = False


class Services(BaseModel):
    """What is read of services that do not import `ml_monitoring.instrument`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adapters: tuple[AdapterUse, ...] = ()

    @property
    def jobs(self) -> tuple[str, ...]:
        """Return the jobs that are read by an adapter, each once."""
        return tuple(dict.fromkeys(use.job for use in self.adapters))

    @field_validator("adapters")
    @classmethod
    def _count_once(cls, adapters: tuple[AdapterUse, ...]) -> tuple[AdapterUse, ...]:
        for (server, job), number in Counter((use.server, use.job) for use in adapters).items():
            if number > 1:
                raise ValueError(f"{server} is given {number} times for job {job!r}, and would count as often")
        return adapters
