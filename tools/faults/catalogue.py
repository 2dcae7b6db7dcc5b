"""The faults: what breaks, how it recovers, and who must be notified of what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tools.faults.world import World

# More than the budget of a past in which nothing failed can take.
_RECOVERY = 80_000


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        name: What it is called on the command line.
        title: What happens, in words.
        alerts: Names of the alerts that must be sent, each to its team; no other may be.
        inject: Breaks it.
        recover: Undoes it.
    """

    name: str
    title: str
    alerts: tuple[str, ...]
    inject: Callable[[World], None]
    recover: Callable[[World], None]


def _fail_requests(world: World) -> None:
    # Many ask, and fewer fail than MlApiErrorRatioHigh asks for: the budget burns all the same.
    world.api.rate, world.api.fail_each = 20, 25


def _answer_requests(world: World) -> None:
    world.api.rate, world.api.fail_each = 2, 0
    world.api.rush(_RECOVERY)


def _fail_runs(world: World) -> None:
    world.end_runs("FINISHED", 2)
    world.end_runs("FAILED", 5)


def _start_exporter(world: World) -> None:
    world.stack.exporter.start()


def _set(name: str, attribute: str, value: int) -> Callable[[World], None]:
    return lambda world: setattr(getattr(world, name), attribute, value)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "exporter-killed",
        "the exporter is killed",
        ("MlMonitoringDown",),
        lambda world: world.stack.exporter.kill(),
        _start_exporter,
    ),
    Fault(
        "database-stopped",
        "the variants' PostgreSQL is stopped",
        ("DatabaseDown", "MlMonitoringSourceDown"),
        lambda world: world.database.shutdown(),
        lambda world: world.database.boot(),
    ),
    Fault(
        "runs-failed",
        "five of seven MLflow runs fail",
        ("MlflowFailedRunRatioHigh",),
        _fail_runs,
        lambda world: world.end_runs("FINISHED", 20),
    ),
    Fault(
        "variants-killed",
        "24 of 40 variants are killed at once",
        ("VariantEarlyKillRateHigh",),
        lambda world: world.kill_variants(24),
        lambda world: world.post(60),
    ),
    Fault(
        "ml-monitoring-fleet-incident",
        "three of eight servers are in trouble",
        ("FleetIncidentProbabilityHigh", "FleetManyServersDegraded", "FleetServerCritical"),
        _set("fleet", "troubled", 3),
        _set("fleet", "troubled", 0),
    ),
    Fault(
        "latency",
        "one request in twelve takes 0.6 s",
        ("MlApiLatencyHigh",),
        _set("shop", "slow_each", 12),
        _set("shop", "slow_each", 0),
    ),
    Fault(
        "slo-burn",
        "4 % of the requests fail",
        ("MlApiErrorBudgetBurnsFast", "MlApiErrorBudgetBurnsSlowly"),
        _fail_requests,
        _answer_requests,
    ),
    Fault(
        "disk-filling",
        "a disk fills within minutes",
        ("HostDiskFilling",),
        lambda world: world.disk.fill(),
        lambda world: world.disk.free(),
    ),
)
