"""The stack and all that it watches, ready to be broken."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any, Self

from demo import variants_tables
from demo.mlflow import open_store
from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter import durations
from tools.faults.deliveries import Listeners
from tools.faults.machines import Disk, Fleet, Service
from tools.packages import ensure_programs
from tools.postgres import PostgresServer
from tools.processes import Process, Server, free_port, http_ok, wait_until
from tools.stack import IMMEDIATE, LocalStack, Ports

EXPERIMENT = "churn"
PERSONA = "ada"
_PATTERNS = ("question", "story", "list", "number")
_FLEET_SIZE = 8
# Requests in the past of the service whose latency suffers, so that a slow minute is no burnt budget.
_PAST = 60_000
_QUIET_TIMEOUT = 90.0
_SCALE = 20
_LONGEST_WAIT = 15.0
_SHORTEST_WAIT = 1.0

# Whatever else runs on this machine must not speak; and minutes become seconds.
_CHANGES: dict[str, Any] = {
    "traffic": {"window": "10s"},
    "alerts": {
        "HostCpuBusy": {"enabled": False},
        "HostMemoryLow": {"enabled": False},
        "MlServiceResourceHigh": {"enabled": False},
        "HostDiskFilling": {
            "threshold": "5m",
            "parameters": {"window": "10s", "free_below": 1, "free_below_at_first": 1},
        },
    },
}


class World(Server):
    """Everything that runs; a context manager.

    Attributes:
        thresholds: The numbers in force.
        listeners: Who is notified.
        stack: Exporter, Prometheus and Alertmanager.
        database: The server of the variants.
        mlflow: A client of the store, with the experiment `EXPERIMENT`.
        shop: A service whose latency may suffer.
        api: A service whose error budget may burn.
        fleet: Servers that report to a file.
        disk: The disk under `directory`.
    """

    def __init__(self, directory: Path, *, usual_waits: bool = False) -> None:
        """Describe it; nothing is started yet.

        Args:
            directory: Empty folder, on a disk that is not in memory.
            usual_waits: Wait as long as `thresholds.yml` says before anybody is notified.
        """
        self._directory = directory
        self._usual_waits = usual_waits
        self._stack = contextlib.ExitStack()
        self.listeners = Listeners(mail="platform", webhooks=("mlops", "growth"))
        self.database = PostgresServer()
        self.shop = Service(rate=20)
        self.api = Service(rate=2)
        self.fleet = Fleet(directory / "fleet.csv", size=_FLEET_SIZE)
        self.disk = Disk(directory)
        self.mlflow = open_store(f"sqlite:///{directory / 'mlflow.db'}")
        self._posts = 0

    def start(self) -> Self:
        """Start everything, and wait until nothing fires."""
        with contextlib.ExitStack() as stack:
            for server in (self.listeners, self.database, self.shop, self.api, self.fleet):
                stack.enter_context(server)
            stack.callback(self.disk.free)
            self._variants_uri = self.database.create_database("variants")
            variants_tables.apply(self._variants_uri)
            self.post(40)
            experiment = self.mlflow.create_experiment(EXPERIMENT)
            self._experiment = experiment
            usual = load_thresholds().changed({**_CHANGES, "notifications": {"channels": self.listeners.channels}})
            self.thresholds = usual if self._usual_waits else hastened(usual)
            programs = ensure_programs(["prometheus", "alertmanager", "node-exporter", "postgres-exporter"])
            jobs = [
                self._exporter(stack, "node", programs["node-exporter"], {}, "--collector.disable-defaults",
                               "--collector.filesystem", "--collector.time"),
                # It tries for two seconds before it says that the database is down.
                {"scrape_interval": "4s", "scrape_timeout": "4s"}
                | self._exporter(stack, "postgres", programs["postgres-exporter"],
                                 {"DATA_SOURCE_NAME": f"{self.database.uri()}?sslmode=disable"}),
                {"job_name": "shop", "static_configs": [{"targets": [self.shop.address]}]},
                {"job_name": "api", "static_configs": [{"targets": [self.api.address]}]},
            ]  # fmt: skip
            self.stack = LocalStack(
                {"sources": {
                    "mlflow": {"uri": f"sqlite:///{self._directory / 'mlflow.db'}", "interval": "1s"},
                    "variants": {"uri": self._variants_uri, "interval": "1s", "max_variants": 1000},
                    "fleet": {"path": str(self._directory / "fleet.csv"), "mode": "follow", "interval": "1s"},
                }},
                self._directory / "stack",
                Ports.free(),
                programs,
                thresholds=self.thresholds,
                timing=None if self._usual_waits else IMMEDIATE,
                webhook_url=self.listeners.everyone,
                extra_jobs=jobs,
            )  # fmt: skip
            stack.enter_context(self.stack)
            self.wait_quiet()
            self.shop.rush(_PAST)
            self._stack = stack.pop_all()
        return self

    def stop(self) -> None:
        """Stop everything."""
        self._stack.close()

    def wait_of(self, name: str) -> float:
        """Return the seconds between an alert's condition and the moment in which somebody is notified."""
        numbers = self.thresholds.alerts[name]
        timing = self.thresholds.notifications.timing(numbers.severity) if self._usual_waits else IMMEDIATE
        return durations.parse(numbers.for_) + durations.parse(timing.group_wait)

    def end_runs(self, status: str, number: int) -> None:
        """Begin and end runs of the experiment."""
        for _ in range(number):
            self.mlflow.set_terminated(self.mlflow.create_run(self._experiment).info.run_id, status)

    def post(self, number: int) -> None:
        """Post variants, of which each does as predicted."""
        for n in range(self._posts, self._posts + number):
            pattern = _PATTERNS[n % len(_PATTERNS)]
            self._write(
                "insert into variants (id, persona_id, content, predicted_er, pattern_used, status, posted_at)"
                " values (%s, %s, %s, 0.1, %s, 'active', now())",
                (f"v{n}", PERSONA, f"text {n}", pattern),
            )
            self._write(
                "insert into variant_monitoring (variant_id, persona_id, current_er, interaction_count, view_count)"
                " values (%s, %s, 0.1, 10, 100)",
                (f"v{n}", PERSONA),
            )
        self._posts += number

    def kill_variants(self, number: int) -> None:
        """Kill some of the variants."""
        self._write(
            "insert into variant_kills (variant_id, persona_id, reason, final_engagement_rate, sample_size, posted_at)"
            " select id, persona_id, 'low engagement', 0.01, 100, posted_at from variants limit %s",
            (number,),
        )
        self._write("update variants set status = 'killed' where id in (select variant_id from variant_kills)", ())

    def _write(self, statement: str, values: tuple[str | int, ...]) -> None:
        with contextlib.closing(self.database.connect("variants")) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)

    def wait_quiet(self) -> None:
        """Wait until no alert is pending or fires, and all notifications of that are sent.

        Raises:
            TimeoutError: Something goes on firing; the message names it.
        """
        if not wait_until(lambda: not self._loud(), timeout=_QUIET_TIMEOUT, poll=0.5):
            raise TimeoutError(f"not quiet within {_QUIET_TIMEOUT:g} s: {sorted(self._loud())}")
        # Two intervals of Alertmanager's groups.
        time.sleep(4)

    def _loud(self) -> set[str]:
        if not self.stack.query("up") or 0.0 in self.stack.query("up").values():
            return {"a target is not up"}
        alerts = self.stack.get_json(f"{self.stack.prometheus_url}/api/v1/alerts")["data"]["alerts"]
        sent = self.stack.get_json(f"{self.stack.alertmanager_url}/api/v2/alerts")
        return ({one["labels"]["alertname"] for one in [*alerts, *sent]}) - {"MlMonitoringWatchdog"}

    def _exporter(
        self, stack: contextlib.ExitStack, job: str, program: Path, env: dict[str, str], *arguments: str
    ) -> dict[str, Any]:
        """Start an exporter of others; return its scrape job."""
        address = f"127.0.0.1:{free_port()}"
        process = Process(
            f"the {job} exporter",
            [program, f"--web.listen-address={address}", *arguments],
            env=os.environ | env,
            log=self._directory / f"{job}.log",
            healthy=lambda: http_ok(f"http://{address}/metrics"),
        )
        stack.enter_context(process)
        return {"job_name": job, "static_configs": [{"targets": [address]}]}


def hastened(thresholds: Thresholds) -> Thresholds:
    """Return the numbers with each `for` a twentieth as long, at most fifteen seconds; `keep_firing_for` too."""
    data = thresholds.model_dump(by_alias=True)
    data["keep_firing_for"] = f"{round(durations.parse(thresholds.keep_firing_for) / _SCALE)}s"
    for numbers in data["alerts"].values():
        numbers["for"] = f"{hastened_wait(durations.parse(numbers['for'])):g}s"
    return Thresholds.model_validate(data)


def hastened_wait(seconds: float) -> float:
    """Return how long is waited here in place of so many seconds."""
    return min(max(round(seconds / _SCALE), _SHORTEST_WAIT), _LONGEST_WAIT) if seconds else 0.0
