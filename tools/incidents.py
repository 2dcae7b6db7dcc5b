"""What goes wrong in the demo for the sake of pictures: for each dashboard an incident that it is for.

The demo has most of them by itself, or switches for them; here are those that it has not, and which page is drawn when.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests

from tools.processes import ProcessError, wait_until

# A fleet's incident comes again every five minutes.
_PEAK_TIMEOUT = 400.0
_PEAK = 'fleet_incident_phase{phase="peak"} == 1'
# Of a disk: how much is free at the beginning, and goes away each time, so that it is full within hours.
_FREE = 0.19
_STEP_BYTES = 25 << 20
_STEP_SECONDS = 5.0
# As the demo's own.
_ANSWER_SECONDS = 3.0
# No more is taken from who runs this.
_LARGEST_BYTES = 48 << 30


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """A demo that runs.

    Attributes:
        ports: The ports that its parts are reached under, by name.
        directory: Its data.
    """

    ports: Mapping[str, int]
    directory: Path

    def url(self, name: str) -> str:
        """Return the address of a part."""
        return f"http://127.0.0.1:{self.ports[name]}"


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong for a while.

    Attributes:
        pages: The dashboards that it is for, without what all uids begin with.
        seconds: How long it lasts before they are drawn.
        staged: Lets it happen; ends it again. Nothing for what the demo has all the time.
    """

    pages: tuple[str, ...]
    seconds: float = 0.0
    staged: Callable[[RunningDemo], AbstractContextManager[object]] = nullcontext


def scenarios(*names: str) -> Callable[[RunningDemo], AbstractContextManager[None]]:
    """Return what switches scenarios of the inference service on, and off again."""

    @contextmanager
    def switched(demo: RunningDemo) -> Iterator[None]:
        with ExitStack() as cleanup:
            for name in names:
                address = f"{demo.url('inference')}/scenarios/{name}"
                requests.put(address, timeout=10).raise_for_status()
                cleanup.callback(requests.delete, address, timeout=10)
            yield

    return switched


@contextmanager
def peak(demo: RunningDemo) -> Iterator[None]:
    """Wait for the worst part of the fleet's incident.

    Raises:
        ProcessError: It does not come.
    """

    def at_peak() -> bool:
        query = {"query": _PEAK}
        answer = requests.get(f"{demo.url('prometheus')}/api/v1/query", params=query, timeout=10).json()
        return bool(answer["data"]["result"])

    # One that is nearly over is too late.
    if not (
        wait_until(lambda: not at_peak(), timeout=_PEAK_TIMEOUT, poll=1)
        and wait_until(at_peak, timeout=_PEAK_TIMEOUT, poll=1)
    ):
        raise ProcessError("the fleet's incident has no peak; does the demo run with --calm?")
    yield


@contextmanager
def without_store(demo: RunningDemo) -> Iterator[None]:
    """Take the file of the MLflow store away."""
    store = demo.directory / "mlflow" / "mlflow.db"
    away = store.with_suffix(".away")
    store.rename(away)
    try:
        yield
    finally:
        away.replace(store)


@contextmanager
def failing_answers(demo: RunningDemo) -> Iterator[None]:
    """Let most answers of the demo's LLM application fail: another one of it gives bad ones only."""
    # Imported late: the client takes seconds, and only this needs it.
    from demo.mlflow import open_store  # noqa: PLC0415
    from demo.mlflow_optional import Assistant  # noqa: PLC0415

    assistant = Assistant(open_store(f"sqlite:///{demo.directory / 'mlflow' / 'mlflow.db'}"), seed=1, failing=1.0)
    with _again_and_again(lambda: assistant.step(datetime.now(UTC)), _ANSWER_SECONDS):
        yield


@contextmanager
def _again_and_again(step: Callable[[], object], seconds: float) -> Iterator[None]:
    enough = threading.Event()

    def run() -> None:
        while not enough.is_set():
            step()
            enough.wait(seconds)

    thread = threading.Thread(target=run, name="incident", daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


@contextmanager
def filling_disk(demo: RunningDemo) -> Iterator[None]:
    """Take room of the disk that the demo is on, more and more; nothing is written to it."""
    path = demo.directory / "filling"
    usage = shutil.disk_usage(demo.directory)
    first = max(_STEP_BYTES, int(usage.free - _FREE * usage.total))
    if first >= _LARGEST_BYTES:
        print(
            f"no disk fills: {first >> 30} GiB would be taken, and at most {_LARGEST_BYTES >> 30} are", file=sys.stderr
        )
    sizes = iter(range(first, _LARGEST_BYTES, _STEP_BYTES))
    with path.open("wb") as file:

        def take() -> None:
            if size := next(sizes, 0):
                os.posix_fallocate(file.fileno(), 0, size)

        try:
            with _again_and_again(take, _STEP_SECONDS):
                yield
        finally:
            path.unlink()


# In this order: what one needs to settle does not disturb those after it.
INCIDENTS = (
    Incident(
        (
            *("mlflow-experiments", "mlflow-models", "training", "logs"),
            *("experiments", "experiment", "variant-performance", "variant-detail"),
        )
    ),
    Incident(("mlflow-traces",), 240, failing_answers),
    Incident(("model-quality",), 180, scenarios("drift")),
    Incident(("business-impact",), 420, scenarios("degradation")),
    Incident(("ab-testing",), 300, scenarios("imbalance")),
    # Six servers are down or nearly, one of them out of memory.
    Incident(("fleet-incident", "fleet-server"), 50, peak),
    Incident(("ml-api", "operations-overview", "alerts"), 300, scenarios("errors", "latency")),
    Incident(("exporter-health",), 90, without_store),
    # A story of their own, in which it goes wrong by then.
    Incident(("llm-serving", "gpus")),
)
# The last page: an alert of a disk takes half an hour.
DISK = Incident(("system-infrastructure",), 2000, filling_disk)


def stage(demo: RunningDemo, draw: Callable[[tuple[str, ...]], None]) -> None:
    """Let one after the other happen, and call `draw` with the pages of each while it lasts."""
    begun = time.monotonic()
    with DISK.staged(demo):
        for incident in INCIDENTS:
            with incident.staged(demo):
                time.sleep(incident.seconds)
                draw(incident.pages)
        time.sleep(max(0.0, begun + DISK.seconds - time.monotonic()))
        draw(DISK.pages)
