"""Check objects against the published schemas of Kubernetes and of the Prometheus Operator.

The models come from packages that are made of these schemas. They ignore keys that they do not know, as an API server
does when it prunes, so an object counts as valid only when it comes back from its model unchanged: nothing lost, and
nothing taken for another type.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

Json = dict[str, Any]

_KUBERNETES = "cloudcoil.models.kubernetes"
_OPERATOR = "cloudcoil.models.prometheus_operator"
_MODULES = {
    "v1": f"{_KUBERNETES}.core.v1",
    "apps/v1": f"{_KUBERNETES}.apps.v1",
    "networking.k8s.io/v1": f"{_KUBERNETES}.networking.v1",
    "policy/v1": f"{_KUBERNETES}.policy.v1",
    "monitoring.coreos.com/v1": f"{_OPERATOR}.v1",
    "monitoring.coreos.com/v1alpha1": f"{_OPERATOR}.v1alpha1",
}


def problems(manifest: Json) -> list[str]:
    """Return what is wrong with an object; each line begins with the place."""
    model = _model(manifest["apiVersion"], manifest["kind"])
    try:
        understood = model.model_validate(manifest)
    except ValueError as error:
        return str(error).splitlines()
    return _differences("", manifest, understood.model_dump(by_alias=True, exclude_unset=True, mode="json"))


@cache
def _model(api_version: str, kind: str) -> Any:
    # Loaded by name: the packages carry more models than a type checker should read for this.
    return getattr(import_module(_MODULES[api_version]), kind)


def _differences(place: str, given: Any, understood: Any) -> list[str]:
    if isinstance(given, dict) and isinstance(understood, dict):
        return [
            line
            for key in given
            for line in (
                _differences(f"{place}.{key}", given[key], understood[key])
                if key in understood
                else [f"{place}.{key}: unknown"]
            )
        ]
    if isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        pairs = enumerate(zip(given, understood, strict=True))
        return [line for number, (one, other) in pairs for line in _differences(f"{place}[{number}]", one, other)]
    if type(given) is not type(understood) or given != understood:
        return [f"{place}: {given!r} is taken for {understood!r}"]
    return []
