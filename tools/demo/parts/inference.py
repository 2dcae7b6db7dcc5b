"""An inference service with two model variants under traffic, and switches for what can go wrong."""

from __future__ import annotations

import shutil
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tools.demo.parts.base import Contribution, Look, Place, PortUse
from tools.processes import Process, http_ok

_PORT = "inference"
_START_TIMEOUT = 120.0
JOB = "demo-inference"
# Days become minutes: people who try the demo look on. One error in a hundred is this service's usual state.
THRESHOLDS = {
    "traffic": {"window": "1m", "quality_window": "5m", "recent": "5m", "week": "10m", "around": "2m"},
    "business": {"window": "5m"},
    "ab_test": {"window": "30m", "minimum_duration": "10m"},
    "drift": {"window": "1m", "reference_window": "5m", "reference_offset": "2m", "minimum_predictions": 200},
    "slos": {"availability": 0.95},
}


class InferenceService:
    """The part; see `demo.inference_content` for the truth behind it."""

    name = "inference"
    doing = "training two models and serving them to simulated users"
    ports: Sequence[PortUse] = (PortUse(_PORT, "demo inference service", 9860),)

    def prepare(self, place: Place) -> Contribution:
        """Start the service on the store of the part `mlflow`, which comes before."""
        port = place.ports[_PORT]
        # curl asks a proxy for this machine, too.
        curl = "curl --noproxy '*'" if urllib.request.getproxies() else "curl"
        needs = "" if shutil.which("curl") else " (curl is not installed here)"
        url = f"http://127.0.0.1:{port}"
        store = place.directory.resolve().parent / "mlflow" / "mlflow.db"
        command: list[str | Path] = [
            sys.executable, "-m", "demo", "inference",
            "--port", str(port), "--mlflow-uri", f"sqlite:///{store}",
        ]  # fmt: skip
        service = Process(
            "the inference service",
            command,
            log=place.logs / "inference-service.log",
            healthy=lambda: http_ok(f"{url}/metrics"),
            start_timeout=_START_TIMEOUT,
        )
        place.run("Inference service", url, service)
        return Contribution(
            # Simulated runs are told apart from real ones by their tag.
            settings={"sources": {"mlflow": {"labels": {"origin": ["tag:origin"]}}}},
            jobs=({"job_name": JOB, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},),
            looks=(
                Look(
                    "Two model variants answer requests; A is right in 78.2 % of them, B in 81.8 %:",
                    page="ab-testing",
                ),
                Look("What variant B is worth a year, from simulated data (mode 0):", page="business-impact"),
                Look(f"Break it, and see which alerts fire{needs}:", command=f"{curl} -X PUT {url}/scenarios/latency"),
                Look("End that:", command=f"{curl} -X DELETE {url}/scenarios/latency"),
                Look("The other scenarios:", command=f"{curl} {url}/scenarios"),
            ),
            thresholds=THRESHOLDS,
        )
