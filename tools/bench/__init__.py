"""Benchmarks: `python -m tools.bench [TOPIC ...]`, one module a topic, each with `run(options) -> list[Result]`.

To add a topic, write the module and enter it in `TOPICS`.
"""

from __future__ import annotations

from collections.abc import Mapping

# What each topic measures, for --help.
TOPICS: Mapping[str, str] = {
    "mlflow": "mlflow: answers of 100,000 runs beside two other exporters and the floor; refreshes up to a million",
    "mariadb": "mariadb: what a refresh of 100,000 runs costs MariaDB",
    "stores": "stores: memory of one exporter with 50 MLflow stores",
    "instrument": "instrument: processor time that instrumentation adds to a request, beside two other libraries",
    "fleet": "fleet: a file of five million rows followed, beside pandas.read_csv",
    "alertlog": "alertlog: notifications acknowledged, and memory with a million alerts and a journal of 100 MB",
    "servers": "servers: one body handed out by the exporter, by other HTTP servers and by the floor",
    "connections": "connections: scrapes beside 2,000 idle connections, and beside 300 bad logins a second",
    "experiments": "experiments: a hundred read from thirty days of counters, and refreshes, beside rules of increases",
    "adapters": "adapters: series and time of rules for services that are read as they are",
    "rest": "rest: a tracking server of 100,000 runs read over REST, beside MlflowClient that lists all at each poll",
    "queries": "queries: ten metrics by query, beside two other exporters that ask the same",
    "variants": "variants: commit to /metrics, many scrapers under load, queries on a large database",
}
