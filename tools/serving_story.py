"""A story of language models and of the GPUs that they run on, for pictures of the pages `LLM serving` and `GPUs`.

The demo serves no language model and has no GPU; so what is here counts as vLLM and NVIDIA's exporter do, by the names
that the rules are tested with, and a Prometheus of its own scrapes it and evaluates all rules.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate.files import render
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from tools.backfilled_prometheus import prometheus_on
from tools.packages import ensure_programs
from tools.processes import free_port
from tools.stack import hurried

PAGES = ("llm-serving", "gpus")
# Until all windows of the pages' numbers are full, and alerts on what goes wrong have fired for a while.
SECONDS = 720.0
_BEGINS = 240.0
_STEP = 1.0
_SCRAPE = "5s"
_ALERT_WAIT = "15s"

_LLM_JOB = "vllm"
_HOST = "gpu-node-1"
_CARD = "NVIDIA A100-SXM4-80GB"
_GPUS = 4
_HOT, _BROKEN = 2, 3
# The client library writes colons as underscores for servers that know no other names.
_COLONS = {"source_labels": ["__name__"], "regex": "vllm_(.+)", "target_label": "__name__", "replacement": "vllm:$1"}
# Models by how many answers they give in a second.
_MODELS = {"llama-3.1-8b": 6.0, "qwen2.5-32b": 3.0}
_SLOW = "qwen2.5-32b"
_XID = 79


class _Servers:
    """Language models, as vLLM counts what they do."""

    def __init__(self, registry: CollectorRegistry, chance: random.Random) -> None:
        labels = ("model_name", "engine")
        self._chance = chance
        self._finished = Counter("vllm:request_success", "Answers.", (*labels, "finished_reason"), registry=registry)
        self._running = Gauge("vllm:num_requests_running", "In a batch.", labels, registry=registry)
        self._waiting = Gauge("vllm:num_requests_waiting", "Waiting.", labels, registry=registry)
        self._cache = Gauge("vllm:kv_cache_usage_perc", "Used cache.", labels, registry=registry)

        def histogram(name: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"vllm:{name}", name, labels, registry=registry, buckets=buckets)

        seconds = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0)
        tokens = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
        self._first = histogram("time_to_first_token_seconds", seconds)
        self._each = histogram("request_time_per_output_token_seconds", (0.01, 0.025, 0.05, 0.075, 0.1, 0.2))
        self._whole = histogram("e2e_request_latency_seconds", seconds)
        self._prompt = histogram("request_prompt_tokens", tokens)
        self._written = histogram("request_generation_tokens", tokens)

    def step(self, failing: float) -> None:
        """Count a second; one model has failed for so long, in seconds."""
        for model, rate in _MODELS.items():
            slow = failing if model == _SLOW else 0.0
            labels = (model, "0")
            self._running.labels(*labels).set(round(rate * (6 if slow else 2)))
            self._waiting.labels(*labels).set(round(min(60, 12 + slow / 4)) if slow else 0)
            used = 0.985 if slow else 0.35 + 0.1 * self._chance.random()
            self._cache.labels(*labels).set(used)
            for _answer in range(round(rate)):
                self._answer(labels, slow=bool(slow))

    def _answer(self, labels: tuple[str, str], *, slow: bool) -> None:
        chance = self._chance
        first = chance.uniform(2.5, 7.0) if slow else min(0.9, chance.lognormvariate(-1.8, 0.4))
        each = chance.uniform(0.02, 0.03)
        written = min(1500.0, chance.lognormvariate(4.6, 0.5))
        reason = "abort" if slow and chance.random() < 0.25 else "length" if chance.random() < 0.05 else "stop"
        self._finished.labels(*labels, reason).inc()
        self._first.labels(*labels).observe(first)
        self._each.labels(*labels).observe(each)
        self._whole.labels(*labels).observe(first + each * written)
        self._prompt.labels(*labels).observe(min(4000.0, chance.lognormvariate(6.0, 0.5)))
        self._written.labels(*labels).observe(written)


class _Cards:
    """GPUs of one machine, as NVIDIA's exporter shows them."""

    _METRICS = (
        *("GPU_UTIL", "FB_FREE", "FB_USED", "GPU_TEMP", "POWER_USAGE", "XID_ERRORS", "THERMAL_VIOLATION"),
        *("RELIABILITY_VIOLATION", "POWER_VIOLATION", "BOARD_LIMIT_VIOLATION"),
        *("ROW_REMAP_FAILURE", "UNCORRECTABLE_REMAPPED_ROWS"),
    )

    def __init__(self, registry: CollectorRegistry, chance: random.Random) -> None:
        labels = ("gpu", "UUID", "device", "modelName", "Hostname")
        self._chance = chance
        self._gauges = {name: Gauge(f"DCGM_FI_DEV_{name}", name, labels, registry=registry) for name in self._METRICS}

    def step(self, failing: float) -> None:
        """Show a second; one GPU has been hot and one broken for so long, in seconds."""
        for gpu in range(_GPUS):
            hot, broken = (failing if gpu == one else 0.0 for one in (_HOT, _BROKEN))
            used = 58_000 + 4_000 * gpu
            busy = 0 if broken else round(70 + 5 * gpu + 8 * self._chance.random())
            shown = {
                "GPU_UTIL": busy,
                "FB_USED": used,
                "FB_FREE": 80_000 - used,
                "GPU_TEMP": min(93, 70 + hot / 5)
                if hot
                else 34
                if broken
                else 62 + 2 * gpu + self._chance.randrange(3),
                "POWER_USAGE": 60 if broken else 250 + busy,
                "XID_ERRORS": _XID if broken else 0,
                "THERMAL_VIOLATION": 1e6 * hot,
            }
            labels = (str(gpu), f"GPU-{gpu:08x}", f"nvidia{gpu}", _CARD, _HOST)
            for name, gauge in self._gauges.items():
                gauge.labels(*labels).set(shown.get(name, 0))


@dataclass(frozen=True, slots=True)
class Story:
    """A story that goes on.

    Attributes:
        url: Of the Prometheus that knows it.
        begun: When it began, as `time.monotonic` counts.
    """

    url: str
    begun: float

    def wait(self) -> None:
        """Wait until there is enough to draw."""
        time.sleep(max(0.0, self.begun + SECONDS - time.monotonic()))


@contextmanager
def served(*, failing: bool) -> Iterator[Story]:
    """Let the story go on, in a Prometheus, and give it.

    Args:
        failing: Whether something goes wrong after a while.
    """
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(TemporaryDirectory()))
        chance = random.Random(42)  # noqa: S311  # a story, no secret
        jobs = []
        parts: list[_Servers | _Cards] = []
        for job, kind in ((_LLM_JOB, _Servers), ("nvidia-dcgm-exporter", _Cards)):
            registry = CollectorRegistry()
            parts.append(kind(registry, chance))
            port = free_port()
            server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
            cleanup.callback(thread.join)
            cleanup.callback(server.server_close)
            cleanup.callback(server.shutdown)
            address = f"127.0.0.1:{port}"
            jobs.append(
                {"job_name": job, "static_configs": [{"targets": [address]}], "metric_relabel_configs": [_COLONS]}
            )
        begun = time.monotonic()
        enough = threading.Event()

        def go_on() -> None:
            while not enough.is_set():
                passed = time.monotonic() - begun
                for part in parts:
                    part.step(max(0.0, passed - _BEGINS) if failing else 0.0)
                enough.wait(_STEP)

        storyteller = threading.Thread(target=go_on, name="serving story", daemon=True)
        storyteller.start()
        cleanup.callback(storyteller.join)
        cleanup.callback(enough.set)
        adapters = {"services": {"adapters": [{"server": "vllm", "job": _LLM_JOB}]}}
        numbers = hurried(load_thresholds(), wait=_ALERT_WAIT).changed(adapters)
        rules = {"rules.yml": build_recording_rules(numbers), "alerts.yml": build_alerts(numbers)}
        for name, content in rules.items():
            (folder / name).write_text(render(name, content), encoding="utf-8")
        config = {
            "global": {"scrape_interval": _SCRAPE, "evaluation_interval": _SCRAPE},
            "rule_files": [str(folder / name) for name in rules],
            "scrape_configs": jobs,
        }
        text = yaml.safe_dump(config)
        yield Story(cleanup.enter_context(prometheus_on(ensure_programs(["prometheus"]), folder, config=text)), begun)
