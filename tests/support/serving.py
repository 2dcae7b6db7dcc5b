"""A real exporter process for tests of what it does from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families


class ExporterProcess:
    """`ml-monitoring serve` with its log, on a free port of its own."""

    def __init__(
        self,
        config: Path,
        log: Path,
        *,
        command: Sequence[str] = (sys.executable, "-m", "exporter", "serve"),
        cwd: Path | None = None,
        files: int | None = None,
    ) -> None:
        self.log = log
        self._output = log.open("wb")
        environ = {key: value for key, value in os.environ.items() if not key.startswith("ML_MONITORING_")}
        # What `ulimit -n` does, in the child alone.
        limited = ["prlimit", f"--nofile={files}", *command] if files else command
        self.process = subprocess.Popen([*limited, "--config", str(config)], stderr=self._output, env=environ, cwd=cwd)
        self.url = self.wait_for_log("url=").split("url=")[1].split()[0]

    def wait_for_log(self, *texts: str) -> str:
        """Return the first line of the log that holds all the texts; a number alone may be a part of its time."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for line in self.log.read_text().splitlines():
                if all(text in line for text in texts):
                    return line
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {texts} in the log:\n{self.log.read_text()}")

    def get(self, path: str, **options: Any) -> requests.Response:
        """Ask the exporter."""
        return requests.get(self.url + path, timeout=10, **options)

    def samples(self) -> dict[str, float]:
        """Return all samples of /metrics by series."""
        return parse_samples(self.get("/metrics").text)

    def wait_for(self, series: str, value: float | None, timeout: float = 60) -> dict[str, float]:
        """Wait until a series has a value (None: is absent) and return all samples of that moment."""
        deadline = time.monotonic() + timeout
        while True:
            samples = self.samples()
            if samples.get(series) == value:
                return samples
            assert time.monotonic() < deadline, f"{series} is {samples.get(series)}, not {value}"
            time.sleep(0.05)

    def stop(self) -> int:
        """End with SIGTERM and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self._output.close()


@contextlib.contextmanager
def serving(config: Path, *flags: str, files: int | None = None) -> Iterator[ExporterProcess]:
    """Run an exporter on a settings file; it may open so many files."""
    command = (sys.executable, "-m", "exporter", "serve", *flags)
    process = ExporterProcess(config, config.with_suffix(".log"), command=command, files=files)
    try:
        yield process
    finally:
        process.stop()


def parse_samples(text: str) -> dict[str, float]:
    """Return the samples of a text exposition by series."""
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {_series(sample.name, sample.labels): sample.value for sample in samples}


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def _series(name: str, labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in labels.items())
    return f"{name}{{{pairs}}}" if pairs else name
