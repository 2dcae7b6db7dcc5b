"""A Ray Serve application with two deployments on one node: `python ray_application.py FOLDER HTTP METRICS`.

With RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 everything that Ray starts listens on 127.0.0.1. It ends on SIGTERM, with all
that it started; once it answers, there is a file `ready` in the folder.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event

import ray
from fastapi import FastAPI, HTTPException
from ray import serve

folder, http, metrics = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
routes = FastAPI()


@serve.deployment(num_replicas=2)
class Model:
    """Scores a name."""

    def __call__(self, name: str) -> float:
        """Return the score."""
        return len(name) / 100


@serve.deployment
@serve.ingress(routes)
class Ranking:
    """Asks the model for what it ranks."""

    def __init__(self, model: serve.handle.DeploymentHandle) -> None:
        """Keep what reaches the model."""
        self.model = model

    @routes.post("/rank/{name}")
    async def rank(self, name: str, seconds: float = 0.0, fail: bool = False) -> float:
        """Answer after so many seconds, or fail."""
        await asyncio.sleep(seconds)
        if fail:
            raise HTTPException(500)
        return await self.model.remote(name)


def start(metrics: int) -> None:
    """Start a node; it gives itself half a minute, which is too little on a busy machine."""
    for last in (False, False, False, True):
        try:
            ray.init(
                num_cpus=4,
                include_dashboard=False,
                _metrics_export_port=metrics,
                _temp_dir=str(folder),
                object_store_memory=100 * 2**20,
            )
        except Exception:
            ray.shutdown()
            if last:
                raise
        else:
            return


def main() -> None:
    """Serve until SIGTERM."""
    start(metrics)
    # It waits for its proxy for a minute, which a busy machine may need longer for.
    with suppress(TimeoutError):
        serve.start(http_options={"host": "127.0.0.1", "port": http})
    serve.run(Ranking.bind(Model.bind()), name="ranking", route_prefix="/ranking")
    (folder / "ready").touch()
    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    serve.shutdown()
    ray.shutdown()


main()
