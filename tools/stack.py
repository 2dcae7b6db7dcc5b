"""Exporter, Prometheus and Alertmanager on loopback, wired by the same functions that generate the deployed files.

`LocalStack` is what the demo and the integration tests run: nothing in it is a stand-in.
"""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate import alertmanager, prometheus
from ml_monitoring.alerting.generate import files as generate
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.thresholds import Thresholds, Timing
from tools.processes import Process, Server, free_port, http_ok

ROOT = Path(__file__).resolve().parent.parent
# Notified at once: people and tests look on.
IMMEDIATE = Timing(group_wait="1s", group_interval="2s", repeat_interval="1h")
_HTTP_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports of 127.0.0.1; the defaults are the ones that the projects registered."""

    exporter: int = 9847
    prometheus: int = 9090
    alertmanager: int = 9093

    @classmethod
    def free(cls) -> Self:
        """Return ports that nothing listens on now."""
        return cls(free_port(), free_port(), free_port())


class LocalStack(Server):
    """The three servers as child processes; a context manager that starts and stops them.

    Prometheus and Alertmanager are left out where `programs` does not have them.

    Attributes:
        exporter: The exporter's process.
        prometheus: Prometheus's process, None without the program.
        alertmanager: Alertmanager's process, None without the program.
        exporter_url: Address without a slash at the end, as all three.
        prometheus_url: The same.
        alertmanager_url: The same.
    """

    def __init__(
        self,
        exporter_config: Mapping[str, Any],
        directory: Path,
        ports: Ports,
        programs: Mapping[str, Path],
        *,
        thresholds: Thresholds | None = None,
        timing: Timing | None = IMMEDIATE,
        webhook_url: str | None = None,
        alert_log_url: str = "",
        scrape_interval: str = "1s",
        extra_jobs: Sequence[Mapping[str, Any]] = (),
        remote_write: Sequence[str] = (),
    ) -> None:
        """Describe the stack; nothing is written or started yet.

        Args:
            exporter_config: The exporter's settings; `web.port` and `web.runbooks_dir` are put in.
            directory: Folder for configurations, data and logs.
            ports: Where the servers listen.
            programs: Paths of `prometheus` and `alertmanager`, see `tools.packages`.
            thresholds: Numbers of the alerts; by default the project's own. Runbook links are led to this exporter.
            timing: How soon Alertmanager notifies; None as the thresholds say.
            webhook_url: Where Alertmanager posts every notification.
            alert_log_url: Where the alert log takes notifications; empty without one.
            scrape_interval: How often Prometheus scrapes and evaluates.
            extra_jobs: Further entries of `scrape_configs`.
            remote_write: Addresses that Prometheus sends every sample to as well.
        """
        self.ports = ports
        self.exporter_url, self.prometheus_url, self.alertmanager_url = (
            f"http://127.0.0.1:{port}" for port in (ports.exporter, ports.prometheus, ports.alertmanager)
        )
        self._directory = directory
        self._config = directory / "config"
        self._exporter_config = dict(exporter_config)
        self._thresholds = thresholds or load_thresholds()
        self._timing = timing
        self._webhook_url = webhook_url
        self._alert_log_url = alert_log_url
        self._scrape_interval = scrape_interval
        self._extra_jobs = extra_jobs
        self._remote_write = remote_write
        self._stack = contextlib.ExitStack()
        self.exporter = self._process(
            "exporter",
            [sys.executable, "-m", "exporter", "serve", "--config", self._config / "exporter.yml"],
            # Ready after the first attempt to read each source, which may take its timeout.
            f"{self.exporter_url}/-/ready",
        )
        self.prometheus = self._prometheus(programs["prometheus"]) if "prometheus" in programs else None
        self.alertmanager = self._alertmanager(programs["alertmanager"]) if "alertmanager" in programs else None

    @property
    def processes(self) -> list[Process]:
        """Return the processes in the order in which they are started."""
        return [each for each in (self.exporter, self.alertmanager, self.prometheus) if each is not None]

    @property
    def prometheus_data(self) -> Path:
        """Return the folder of Prometheus's data, which may be filled before the start."""
        return self._directory / "prometheus"

    def write_configuration(self) -> None:
        """Write every configuration file."""
        self._config.mkdir(parents=True, exist_ok=True)
        web = {
            **self._exporter_config.get("web", {}),
            "port": self.ports.exporter,
        }
        settings = {
            "prometheus": {"url": self.prometheus_url},
            "alertmanager": {"url": self.alertmanager_url},
            **self._exporter_config,
            "web": web,
        }
        numbers = self._thresholds.overridden({"RUNBOOKS_URL": f"{self.exporter_url}/runbooks"})
        generated = {
            "prometheus.yml": prometheus.build(
                exporter=f"127.0.0.1:{self.ports.exporter}",
                alertmanager=f"127.0.0.1:{self.ports.alertmanager}",
                prometheus=f"127.0.0.1:{self.ports.prometheus}",
                alert_log=urllib.parse.urlsplit(self._alert_log_url).netloc,
                node="",
                postgres="",
                services=(),
                rules_dir=str(self._config),
                scrape_interval=self._scrape_interval,
                extra_jobs=self._extra_jobs,
                remote_write=self._remote_write,
            ),
            "alertmanager.yml": alertmanager.build(
                self._webhook_url, thresholds=numbers, timing=self._timing, alert_log_url=self._alert_log_url
            ),
            "rules.yml": build_recording_rules(numbers),
            "alerts.yml": build_alerts(numbers),
        }
        texts = {name: generate.render(name, config) for name, config in generated.items()}
        texts |= generate.templates()
        texts["exporter.yml"] = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False)
        generate.write(texts, self._config)

    def start(self) -> Self:
        """Write the configuration, start the servers, and wait until all are healthy.

        Raises:
            ProcessError: One of them did not become healthy; all are stopped by then.
        """
        self.write_configuration()
        with contextlib.ExitStack() as stack:
            # Together, as each takes a moment to get ready.
            for process in self.processes:
                stack.callback(process.stop)
                process.start(wait=False)
            for process in self.processes:
                process.wait_healthy()
            self._stack = stack.pop_all()
        return self

    def stop(self) -> None:
        """Stop the servers, those that depend on others first."""
        self._stack.close()

    def query(self, expr: str) -> dict[frozenset[tuple[str, str]], float]:
        """Return the instant value of a PromQL expression as a mapping of labels (as a set of pairs) to value."""
        answer = self.get_json(f"{self.prometheus_url}/api/v1/query", query=expr)
        return {frozenset(each["metric"].items()): float(each["value"][1]) for each in answer["data"]["result"]}

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """Return Prometheus's pending and firing alerts of this name."""
        answer = self.get_json(f"{self.prometheus_url}/api/v1/alerts")
        return [alert for alert in answer["data"]["alerts"] if alert["labels"]["alertname"] == name]

    @staticmethod
    def get_json(url: str, **parameters: str) -> Any:
        """Return the parsed answer to a GET, without a proxy."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        full = f"{url}?{urllib.parse.urlencode(parameters)}" if parameters else url
        with opener.open(full, timeout=_HTTP_TIMEOUT) as response:
            return json.load(response)

    def _prometheus(self, program: Path) -> Process:
        arguments = [
            f"--config.file={self._config / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.prometheus_data}",
            f"--web.listen-address=127.0.0.1:{self.ports.prometheus}",
            f"--web.external-url={self.prometheus_url}/",
            # An alert that fires in the first seconds finds no Alertmanager yet: targets are discovered every 5 s.
            "--rules.alert.resend-delay=5s",
        ]
        return self._process("prometheus", [program, *arguments], f"{self.prometheus_url}/-/ready")

    def _alertmanager(self, program: Path) -> Process:
        arguments = [
            f"--config.file={self._config / 'alertmanager.yml'}",
            f"--storage.path={self._directory / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{self.ports.alertmanager}",
            f"--web.external-url={self.alertmanager_url}/",
            # Alone: without this it listens for a cluster on all addresses.
            "--cluster.listen-address=",
        ]
        return self._process("alertmanager", [program, *arguments], f"{self.alertmanager_url}/-/ready")

    def _process(self, name: str, argv: Sequence[str | Path], ready_url: str) -> Process:
        return Process(
            name,
            argv,
            log=self._directory / "logs" / f"{name}.log",
            cwd=ROOT if name == "exporter" else None,
            healthy=lambda: http_ok(ready_url),
        )


def hurried(thresholds: Thresholds, *, wait: str) -> Thresholds:
    """Return the same thresholds with every alert's `for` replaced, for people and tests that look on.

    They end at once, too.
    """
    data = thresholds.model_dump(by_alias=True) | {"keep_firing_for": "0s"}
    for numbers in data["alerts"].values():
        numbers["for"] = wait
    return Thresholds.model_validate(data).with_own(thresholds.own_alerts, thresholds.own_records)
