"""The adapters: a module each for every server, and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter
from ml_monitoring.alerting.services.adapters import (
    bentoml,
    fastapi_instrumentator,
    istio,
    kserve,
    mlserver,
    opentelemetry,
    opentelemetry_gen_ai,
    ray_serve,
    seldon_core_1,
    starlette_exporter,
    tensorflow_serving,
    tgi,
    torchserve,
    triton,
    vllm,
)

_MODULES: Final = (
    bentoml,
    fastapi_instrumentator,
    istio,
    kserve,
    mlserver,
    opentelemetry,
    opentelemetry_gen_ai,
    ray_serve,
    seldon_core_1,
    starlette_exporter,
    tensorflow_serving,
    tgi,
    torchserve,
    triton,
    vllm,
)
ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType(
    {module.ADAPTER.server: module.ADAPTER for module in _MODULES}
)
