"""Machines: busy by day, with jobs and backups at night, and disks that fill."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.world import BEGIN, DAY, SCRAPE_INTERVAL, Floats, Series, World

_NODE = {"job": "node", "instance": "n:9100"}
_DISK = {**_NODE, "device": "/dev/sda1", "fstype": "ext4", "mountpoint": "/data"}
# Mean share of the CPUs, or of the memory, that is in use by day and night.
_LOAD = {"low": 0.05, "usual": 0.3, "high": 0.45}
_SIZE = 1e12


def _noise(world: World, deviation: float, minutes: float) -> Floats:
    """Return noise that takes so many minutes to forget itself."""
    keep = np.exp(-1 / minutes)
    steps = world.random.normal(0, deviation * np.sqrt(1 - keep**2), world.scrapes)
    noise = np.empty(world.scrapes)
    value = 0.0
    for place, step in enumerate(steps):
        value = keep * value + step
        noise[place] = value
    return noise


def _cpu(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    busy = traffic * world.daily + _noise(world, 0.06, 20)
    weekly = world.nightly(120, 240, hour=5) & (world.moments // DAY % 7 == 6)
    busy = np.where(world.nightly(20, 50) | weekly | world.spells(4, 10, 30), 0.99, busy)
    busy = np.where(world.faulty, size or 0, busy) + world.random.normal(0, 0.01, world.scrapes)
    for cpu in "01":
        idle = SCRAPE_INTERVAL * (1 - np.clip(busy, 0, 1))
        yield world.counter("node_cpu_seconds_total", {**_NODE, "cpu": cpu, "mode": "idle"}, idle)


def _memory(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    used = traffic * (0.6 + 0.4 * world.daily) + 0.2 + _noise(world, 0.03, 60)
    used = used + 0.15 * world.nightly(20, 50)
    if size is not None:
        # A leak: an hour from what is usual to the size.
        grown = np.clip((world.moments - world.onset * SCRAPE_INTERVAL) / 3600, 0, 1)
        used = np.where(world.faulty, used + (1 - size - used) * grown, used)
    yield world.gauge("node_memory_MemAvailable_bytes", _NODE, 64e9 * (1 - np.clip(used, 0.02, 0.99)))
    yield world.gauge("node_memory_MemTotal_bytes", _NODE, 64e9)


def _disk(world: World, used: Floats) -> Iterator[Series]:
    yield world.gauge("node_filesystem_avail_bytes", _DISK, _SIZE * np.clip(1 - used, 0, 1))
    yield world.gauge("node_filesystem_size_bytes", _DISK, _SIZE)


def _usual_disk(world: World, traffic: float) -> Floats:
    """Return the used share: data that grows by 3 % a week, a nightly backup, a larger one each week, logs, and jobs.

    The backup is written in an hour or two and removed the next night, before the new one; the weekly one likewise.
    """
    used = traffic + 0.03 * world.moments / (7 * DAY) + 0.004 * world.random.normal(0, 1, world.scrapes)
    for day in range(world.scrapes * SCRAPE_INTERVAL // DAY + 1):
        share = 0.12 if day % 7 == 6 else 0.06
        hours = world.random.uniform(0.7, 1.5)
        begin = day * DAY + 2 * 3600 + world.random.uniform(0, 600)
        end = (day + 1) * DAY + 1.5 * 3600
        written = np.clip((world.moments - begin) / (hours * 3600), 0, 1) * (world.moments < end)
        used = used + share * written
    # Jobs that write a few percent and take them away again.
    return np.asarray(used + 0.08 * world.nightly(60, 180, hour=4) + 0.04 * world.spells(10, 20, 240))


def _filling(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    lost = np.clip(world.moments - world.onset * SCRAPE_INTERVAL, 0, None) * (0 if size is None else size / 3600)
    yield from _disk(world, _usual_disk(world, traffic) + lost)


def _clock(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    # A machine that is resumed or has lost its time server for a moment is off for a minute or three.
    off = np.where(world.spells(4, 1, 4), 60.0, 0.0) + world.random.normal(0, 0.5, world.scrapes)
    yield world.gauge("node_time_seconds", _NODE, BEGIN + world.moments + off + world.choose(0, size or 0))


_USED = {"low": 0.3, "usual": 0.5, "high": 0.6}

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="HostCpuBusy",
        healthy=(
            "a daily curve, jobs that take all CPUs: each night one of up to 50 minutes, each week one of up to four "
            "hours, and four more a month of up to half an hour; the first weekly job of a new host, which alerts, "
            "is not counted"
        ),
        simulate=_cpu,
        traffic=_LOAD,
        unit="of the CPUs on average",
        faults={"95 % busy": 0.95, "all busy": 1},
        known_for=8 * DAY,
    ),
    Scenario(
        alert="HostMemoryLow",
        healthy="a daily curve, and each night a job of up to 50 minutes that takes 15 % of the memory",
        simulate=_memory,
        traffic=_LOAD,
        unit="of the memory on average, beside 20 % that is always used",
        faults={"a leak down to 8 %": 0.08, "a leak down to 2 %": 0.02},
    ),
    Scenario(
        alert="HostDiskFull",
        healthy="data that grows slowly, nightly and weekly backups that replace each other, and jobs that need room",
        simulate=_filling,
        # With more the backups leave less free than the alert is about.
        traffic={"low": 0.3, "usual": 0.4, "high": 0.5},
        unit="of the disk used by data at first",
        faults={"4 % an hour": 0.04, "20 % an hour": 0.2},
    ),
    Scenario(
        alert="HostDiskFilling",
        healthy="data that grows slowly, nightly and weekly backups that replace each other, and jobs that need room",
        simulate=_filling,
        traffic=_USED,
        unit="of the disk used by data at first",
        faults={"4 % an hour": 0.04, "20 % an hour": 0.2},
        warm_up=2 * DAY,
    ),
    Scenario(
        alert="HostClockOff",
        healthy="four times a month a clock is a minute off until it is set, up to four minutes later",
        simulate=_clock,
        traffic={"usual": 1},
        unit="host: a clock does not depend on traffic",
        faults={"10 s off": 10, "2 min off": 120},
    ),
)
