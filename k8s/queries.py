"""Queries of a user's folder are settings of the exporter: what to put where, as neither chart nor base has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ml_monitoring.alerting.extension_files import queries
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.k8s.manifests.exporter import SECRETS_DIR
from ml_monitoring.k8s.places import CHART

Json = dict[str, Any]
# What a Secret holds.
_ADDRESS = ("uri", "uri_file")


class _Dumper(yaml.SafeDumper):
    """Puts `y` and `n` in quotes, which Helm takes for true and false."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))


def values(thresholds: Thresholds) -> str:
    """Return values of the chart with all queries, beside the stores that it has by itself; empty without a query."""
    if not (found := _queries(thresholds)):
        return ""
    stores: list[Json] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["exporter"]["stores"]
    stores = [{key: value for key, value in store.items() if value} for store in stores]
    for name, query in found.items():
        settings = {key: value for key, value in query.items() if key not in _ADDRESS}
        secret = {"existingSecret": _dashed(name), "secretKeys": {"uri": _key(name, query)}}
        stores.append({"kind": "queries", "name": name, **({} if "store" in query else secret), "settings": settings})
    return _dump({"exporter": {"stores": stores}})


def settings(thresholds: Thresholds) -> str:
    """Return settings of the exporter with all queries, addresses in files of the Secret; empty without a query."""
    found = {
        name: {
            **({} if "store" in query else {"uri_file": f"{SECRETS_DIR}/{_key(name, query)}"}),
            **{key: value for key, value in query.items() if key not in _ADDRESS},
        }
        for name, query in _queries(thresholds).items()
    }
    return _dump({"sources": {"queries": found}}) if found else ""


def _queries(thresholds: Thresholds) -> dict[str, Json]:
    return queries(Path(thresholds.extensions)) if thresholds.extensions else {}


def _key(name: str, query: Json) -> str:
    return Path(str(query.get("uri_file") or f"{name}_uri")).name


def _dashed(name: str) -> str:
    """Return a name that Kubernetes takes for a Secret."""
    return name.lower().replace("_", "-")


def _dump(content: Json) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
