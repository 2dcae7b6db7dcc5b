"""Run the demo inference service: two model variants, their traffic, and switches for what can go wrong.

`PUT /scenarios/NAME` switches a scenario on, `DELETE` off; see `demo.inference_content` for them and for the
truth behind the traffic. With `--mlflow-uri` the models' runs are logged too, so that MLflow and operations meet.
Everything that it emits carries `origin="simulated"`; its runs carry the tag of that name.
"""

from __future__ import annotations

import argparse
import threading
import time
from typing import Any

import uvicorn

from demo.inference_content import DIGITS_MODEL, SCENARIOS, TEST_SIZE, TRUTH, Digits
from demo.inference_service import Service, build
from demo.inference_traffic import Traffic
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import ConfigError

EXPERIMENT = "demo-inference"
_ARTIFACTS = "mlflow-artifacts:/demo"
_ALIASES = {"A": "champion", "B": "candidate"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m demo inference`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=command_line.PORT, default=9860, help="port to listen on (default: 9860)")
    parser.add_argument(
        "--rate", type=command_line.positive, default=10.0, metavar="N", help="mean requests a second (default: 10)"
    )
    parser.add_argument("--flat", action="store_true", help="the same rate at all times of the day")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same users and samples (default: 0)")
    parser.add_argument("--mlflow-uri", metavar="URI", help="log the models' runs to this MLflow store")
    parser.add_argument(
        "--scenario", action="append", default=[], choices=SCENARIOS, help="switch this on from the start"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted.

    Raises:
        ConfigError: The MLflow store cannot be written.
    """
    service = Service(seed=options.seed)
    service.scenarios.update(options.scenario)
    if options.mlflow_uri:
        log_runs(options.mlflow_uri, service.digits)
    server = uvicorn.Server(
        uvicorn.Config(build(service), host=options.host, port=options.port, log_level="warning", ws="none")
    )
    traffic = Traffic(
        f"http://{options.host}:{options.port}",
        service.digits,
        service.progress,
        rate=options.rate,
        seed=options.seed,
        scenarios=service.scenarios,
        flat=options.flat,
    )
    threading.Thread(target=_start_when_ready, args=(server, traffic), daemon=True).start()
    server.run()
    traffic.stop()
    return 0


def _start_when_ready(server: uvicorn.Server, traffic: Traffic) -> None:
    while not server.started:
        time.sleep(0.05)
    traffic.start()


def log_runs(uri: str, digits: Digits) -> None:
    """Log a finished run for each variant, and register the models, unless that was done before.

    Raises:
        ConfigError: The store cannot be written.
    """
    # Imported late: the client takes seconds, and only this needs it.
    from mlflow.entities import Metric, Param  # noqa: PLC0415
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    from demo.mlflow import open_store  # noqa: PLC0415

    try:
        client = open_store(uri)
        if client.get_experiment_by_name(EXPERIMENT) is not None:
            return
        experiment = client.create_experiment(EXPERIMENT, artifact_location=_ARTIFACTS)
        client.create_registered_model(DIGITS_MODEL, description="The demo inference service's model")
        now = int(time.time() * 1000)
        for variant in TRUTH:
            tags = {"origin": "simulated"}
            run_id = client.create_run(experiment, start_time=now - 60_000, tags=tags, run_name=variant).info.run_id
            metrics = [Metric(key, value, now, 0) for key, value in digits.metrics(variant).items()]
            params = {"model_variant": variant, "test_size": str(TEST_SIZE), "model": _kind(digits.models[variant])}
            client.log_batch(run_id, metrics=metrics, params=[Param(*pair) for pair in params.items()])
            client.set_terminated(run_id, "FINISHED", end_time=now)
            # A server takes a version's source only from what belongs to the run.
            source = f"{client.get_run(run_id).info.artifact_uri}/model"
            version = client.create_model_version(DIGITS_MODEL, source, run_id).version
            client.set_registered_model_alias(DIGITS_MODEL, _ALIASES[variant], version)
    except (MlflowException, OSError) as error:
        raise ConfigError([f"demo inference: {uri} cannot be written: {error}"]) from error


def _kind(model: Any) -> str:
    return type(model).__name__
