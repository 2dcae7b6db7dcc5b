"""GPUs: heat, throttling, errors, and work that comes and goes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.world import DAY, Series, World

_GPU = {"job": "dcgm", "instance": "a:9400", "Hostname": "a", "gpu": "0", "UUID": "GPU-0", "modelName": "A100"}
_WORK = {"low": 0.1, "usual": 0.4, "high": 0.8}
_SHARE = "of the time at work"


def _heat(world: World, busy: float, size: float | None) -> Iterator[Series]:
    """Yield temperatures of 35 to 80 °C by work, and twice a week a hot spell of up to three minutes."""
    work = np.clip(busy * world.daily, 0, 1)
    celsius = 35 + 45 * work + world.random.normal(0, 1.5, world.scrapes)
    celsius = np.where(world.spells(8, 1, 3), 89, celsius)
    if size is not None:
        celsius = np.where(world.faulty, size + world.random.normal(0, 0.5, world.scrapes), celsius)
    yield world.gauge("DCGM_FI_DEV_GPU_TEMP", _GPU, np.round(celsius))


def _throttling(world: World, busy: float, size: float | None) -> Iterator[Series]:
    """Yield time throttled: twice a week up to four minutes, the more often the more there is to do."""
    slowed = np.where(world.spells(20 * busy, 1, 4), 1e6, 0)
    if size is not None:
        slowed = np.where(world.faulty, 60e6 * size, slowed)
    yield world.counter("DCGM_FI_DEV_THERMAL_VIOLATION", _GPU, slowed)


def _xid(world: World, a_month: float, size: float | None) -> Iterator[Series]:
    """Yield the last error: programs crash so many times a month (13, 31, 43, 45), and a fault is another number."""
    last = np.zeros(world.scrapes)
    for begin in np.flatnonzero(world.random.random(world.scrapes) < a_month / (30 * 1440)):
        last[begin:] = world.random.choice([13, 31, 43, 45])
    if size is not None:
        last = np.where(world.faulty, size, last)
    yield world.gauge("DCGM_FI_DEV_XID_ERRORS", _GPU, last)


def _memory(world: World, rows: float, size: float | None) -> Iterator[Series]:
    """Yield rows that were replaced long ago, and errors of the fault."""
    errors = np.zeros(world.scrapes)
    if size is not None and world.onset < world.scrapes:
        errors[world.onset] = size
    yield world.gauge("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", _GPU, rows + np.cumsum(errors))
    yield world.gauge("DCGM_FI_DEV_ROW_REMAP_FAILURE", _GPU, 0.0)


def _idle(world: World, busy: float, size: float | None) -> Iterator[Series]:
    """Yield a training that holds memory and pauses up to an hour to load data or to validate; else memory is free."""
    at_work = world.spells(60 * busy, 120, 1440)
    pausing = world.spells(60, 5, 60)
    use = np.where(at_work & ~pausing, 90.0, 0.0)
    if size is not None:
        at_work, use = at_work | world.faulty, np.where(world.faulty, size, use)
    yield world.gauge("DCGM_FI_DEV_GPU_UTIL", _GPU, use)
    yield world.gauge("DCGM_FI_DEV_FB_USED", _GPU, np.where(at_work, 60_000.0, 500.0))
    yield world.gauge("DCGM_FI_DEV_FB_FREE", _GPU, np.where(at_work, 20_000.0, 79_500.0))


def _exporters(world: World, machines: float, size: float | None) -> Iterator[Series]:
    """Yield exporters, each restarted a few times a month; the fault is of the first one."""
    for number in range(round(machines)):
        down = world.spells(6, 0.5, 4) | (world.random.random(world.scrapes) < 0.001)
        labels = {"job": "dcgm", "instance": f"n{number}:9400"}
        yield world.flag("up", labels, down, None if number else size)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="GpuExporterDown",
        healthy="each exporter is restarted six times a month, within four minutes, and one scrape in a thousand fails",
        simulate=_exporters,
        traffic={"low": 1, "usual": 4, "high": 10},
        unit="machines",
        faults={"one is down": 1},
    ),
    Scenario(
        alert="GpuTemperatureHigh",
        healthy="35 to 80 °C by work, and twice a week a hot spell of up to three minutes",
        simulate=_heat,
        traffic=_WORK,
        unit=_SHARE,
        faults={"89 °C": 89, "95 °C": 95},
    ),
    Scenario(
        alert="GpuThrottled",
        healthy="a GPU that is always at work is slowed down twenty times a month for up to four minutes",
        simulate=_throttling,
        traffic=_WORK,
        unit=_SHARE,
        faults={"a tenth of the time": 0.1, "all the time": 1},
    ),
    Scenario(
        alert="GpuXidError",
        healthy="programs crash so many times a month, which their Xid says",
        simulate=_xid,
        traffic={"low": 1, "usual": 10, "high": 100},
        unit="crashes of programs a month",
        faults={"Xid 79": 79, "Xid 48": 48},
    ),
    Scenario(
        alert="GpuMemoryFaulty",
        healthy="no errors; rows that were replaced long ago",
        simulate=_memory,
        traffic={"low": 0, "usual": 2, "high": 8},
        unit="rows replaced before",
        faults={"one row": 1, "four rows": 4},
    ),
    Scenario(
        alert="GpuIdle",
        healthy="memory is held while a training runs, which pauses for up to an hour now and then; then it is free",
        simulate=_idle,
        traffic=_WORK,
        unit=_SHARE,
        faults={"0 % used": 0, "2 % used": 2},
        horizon=DAY,
    ),
)
