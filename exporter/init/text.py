"""The text of a file of settings, with words about what else there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import yaml

from ml_monitoring.exporter.init.answers import Answers

_SITE: Final = "https://ml-monitoring.example/ml-monitoring"
_HEAD: Final = f"""\
# yaml-language-server: $schema={_SITE}/raw/HEAD/docs/schemas/settings.json
# Settings of ml-monitoring, written by `ml-monitoring init`. Behind `#` is what else can be said; all settings:
# {_SITE}/blob/HEAD/docs/settings.md
# `ml-monitoring check` tries them, and SIGHUP lets a running exporter read them again.
"""
# What a source can be given beside its address.
_MORE: Final = {
    "mlflow": (
        "interval: 15s                      # how often it is read",
        'experiments: {include: ["*"]}      # patterns of names; also `exclude`',
        "cost_tags: [cost_usd]              # tags that hold what a run cost",
    ),
    "variants": (
        "interval: 15s                      # beside the notifications of triggers, which show at once",
        "timezone: UTC                      # of times that say none",
    ),
    "fleet": (
        "mode: follow                       # or replay, for a file that is finished",
        "columns: {cpu_pct: cpu}            # names of your columns where they differ from ours",
    ),
}
# How a source begins that was not asked for.
_UNUSED: Final = {
    "mlflow": "mlflow: {uri: postgresql://exporter@db.example/mlflow}",
    "variants": "variants: {uri: postgresql://exporter@db.example/app}",
    "fleet": "fleet: {path: /var/lib/fleet/fleet.csv}",
}


def text(answers: Answers, files: Mapping[str, str]) -> str:
    """Return the text.

    Args:
        answers: What the settings are.
        files: Of each source whose address is kept in a file of its own, the path of that.
    """
    return "\n".join([_HEAD, *_web(answers), *_neighbours(answers), *_sources(answers, files)]) + "\n"


def _web(answers: Answers) -> Iterator[str]:
    yield "web:"
    yield f"  host: {_scalar(answers.host)}  # 0.0.0.0 for all addresses, where Prometheus runs on another machine"
    yield f"  port: {answers.port}"
    yield "  # config_file: /etc/ml-monitoring/web.yml   # TLS and passwords, as for Prometheus's own exporters"
    yield "log:"
    yield "  level: info     # debug, info, warning, error"
    yield "  format: logfmt  # or json"


def _neighbours(answers: Answers) -> Iterator[str]:
    yield "# Only `check` asks these two."
    for name, url, example in (
        ("prometheus", answers.prometheus, "http://127.0.0.1:9090"),
        ("alertmanager", answers.alertmanager, "http://127.0.0.1:9093"),
    ):
        yield f"# {name}: {{url: {_scalar(example)}}}" if url is None else f"{name}: {{url: {_scalar(url)}}}"


def _sources(answers: Answers, files: Mapping[str, str]) -> Iterator[str]:
    yield "sources:"
    for source, more in _MORE.items():
        if (uri := answers.uris.get(source)) is not None:
            yield f"  {source}:"
            yield f"    uri_file: {_scalar(files[source])}" if source in files else f"    uri: {_scalar(uri)}"
        elif source == "fleet" and answers.path is not None:
            yield f"  {source}:"
            yield f"    path: {_scalar(answers.path)}"
        else:
            yield f"  # {_UNUSED[source]}"
            continue
        yield from (f"    # {line}" for line in more)


def _scalar(value: str) -> str:
    # In quotes, so that no value is taken for a number, a list or the beginning of a comment.
    return yaml.safe_dump(value, default_style='"', width=float("inf"), allow_unicode=True).strip()
