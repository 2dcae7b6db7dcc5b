"""The configuration of Prometheus: what it scrapes, which rules it evaluates, where it sends alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_monitoring.exporter import durations

# What rules and dashboards know the exporter by.
JOB: Final = "ml-monitoring"
RULE_FILES: Final = ("rules.yml", "alerts.yml")
# Where the compose overlay `scale` keeps samples for longer.
VICTORIA_METRICS: Final = "http://victoriametrics:8428/api/v1/write"
# Prometheus's own default; it refuses one that is longer than the interval.
_SCRAPE_TIMEOUT = "10s"


def build(
    exporter: str = "exporter:9847",
    alertmanager: str = "alertmanager:9093",
    prometheus: str = "prometheus:9090",
    alert_log: str = "alertlog:9848",
    *,
    node: str = "node-exporter:9100",
    postgres: str = "postgres-exporter:9187",
    services: Sequence[str] = ("/etc/targets/*.yml", "/etc/overlays/*.yml"),
    exporter_ca: str = "",
    rules_dir: str = "",
    scrape_interval: str = "15s",
    extra_jobs: Sequence[Mapping[str, Any]] = (),
    remote_write: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the configuration; the defaults are the addresses inside the compose network.

    Args:
        exporter: Address of the exporter, `host:port`.
        alertmanager: Address of Alertmanager.
        prometheus: Address of Prometheus itself, which watches itself.
        alert_log: Address of the alert log; empty without one.
        node: Address of node-exporter; empty without one.
        postgres: Address of postgres-exporter; the same.
        services: Patterns of files that list further targets, such as services that are instrumented; empty for none.
        exporter_ca: File of the authority that signed the exporter's certificate; empty for an exporter without TLS.
        rules_dir: Folder of the rule files; by default the one that this configuration lies in.
        scrape_interval: How often everything is scraped and evaluated.
        extra_jobs: Further entries of `scrape_configs`.
        remote_write: Addresses that every sample is sent to as well, recorded ones too.
    """
    folder = f"{rules_dir.rstrip('/')}/" if rules_dir else ""
    jobs = {
        JOB: exporter,
        "prometheus": prometheus,
        "alertmanager": alertmanager,
        "alertlog": alert_log,
        "node": node,
        "postgres": postgres,
    }
    tls = {JOB: {"scheme": "https", "tls_config": {"ca_file": exporter_ca}}} if exporter_ca else {}
    return {
        "global": {
            "scrape_interval": scrape_interval,
            "scrape_timeout": min(_SCRAPE_TIMEOUT, scrape_interval, key=durations.parse),
            "evaluation_interval": scrape_interval,
        },
        "rule_files": [f"{folder}{name}" for name in RULE_FILES],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            *(
                {"job_name": name, **tls.get(name, {}), "static_configs": [{"targets": [address]}]}
                for name, address in jobs.items()
                if address
            ),
            *([{"job_name": "services", "file_sd_configs": [{"files": list(services)}]}] if services else []),
            *(dict(job) for job in extra_jobs),
        ],
        **({"remote_write": [{"url": url} for url in remote_write]} if remote_write else {}),
    }
