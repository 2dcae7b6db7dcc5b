"""What NVIDIA's DCGM exporter exposes: a real Prometheus scrapes it, and signals of the page hold its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.gpus import signals
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.overview.signals import STATES
from tests.support.model_servers import Layer, expositions, layer
from tools.processes import free_port

DOWN = f"127.0.0.1:{free_port()}"
# As releases after 4.8.2 write it, see docs/gpus.md.
RENAMED = 'DCGM_FI_DEV_GPU_UTIL{gpu="2",UUID="GPU-2",device="nvidia0",modelName="T4",hostname="node-2"} 50\n'
# Beside it, what runs in MLflow say of two machines, of which one has GPUs.
RUNS = """
mlflow_training_node_utilization_ratio{node="node-1",resource="gpu"} 0.4
mlflow_training_node_utilization_ratio{node="node-1",resource="cpu"} 0.9
mlflow_training_node_utilization_ratio{node="laptop",resource="gpu"} 0.8
"""


@pytest.fixture(scope="module")
def scraped(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layer]:
    dcgm = Path(__file__).with_name("dcgm.prom").read_text(encoding="utf-8")
    documented = re.search(r"```yaml\n(scrape_configs:.*?)```", Path("docs/gpus.md").read_text(encoding="utf-8"), re.S)
    assert documented
    (job,) = yaml.safe_load(documented[1])["scrape_configs"]
    relabelling = {"metric_relabel_configs": job["metric_relabel_configs"]}
    with expositions({"dcgm": dcgm, "renamed": RENAMED, "runs": RUNS}) as address:
        targets = {
            # The second one is down.
            "nvidia-dcgm-exporter": [f"{address}/dcgm", f"{DOWN}/dcgm"],
            job["job_name"]: [f"{address}/renamed"],
            "ml-monitoring": [f"{address}/runs"],
        }
        soon = {"alerts": {"GpuExporterDown": {"for": "2s"}}}
        with layer(programs, tmp_path_factory.mktemp("gpus"), [], targets, soon, relabelling) as found:
            # Twice scraped: counters have rates.
            found.wait("count(count_over_time(up[1m]) >= 2)", 4)
            yield found


@pytest.mark.parametrize(
    ("signal", "by", "expected"),
    [
        # The busiest part of a GPU that is divided.
        (signals.GPU_UTILIZATION, "gpu", {("0",): 0.93, ("1",): 0.01, ("2",): 0.5}),
        (signals.GPU_MEMORY, "gpu", {("0",): 0.75, ("1",): 0.5}),
        (signals.GPU_TEMPERATURE, "gpu", {("0",): 71, ("1",): 34}),
        # What a GPU does not know is no power of a small star.
        (signals.GPU_POWER, "gpu", {("0",): 312.5}),
        # 31 is the error of a program.
        (signals.GPU_XID, "gpu", {("0",): 79, ("1",): 0}),
        (signals.GPU_MEMORY_ERRORS, "gpu", {("0",): 0, ("1",): 1}),
        (signals.GPU_THROTTLED, "reason", {("thermal",): 0}),
        (signals.GPU_IDLE, "gpu", {("0",): 0.93, ("1",): 0.01}),
        (signals.GPU_COUNT, "Hostname", {("",): 3}),
        (signals.MACHINE_UTILIZATION, "Hostname", {("node-1",): 0.47, ("node-2",): 0.5}),
        (signals.MACHINE_RUNS, "Hostname", {("node-1",): 0.4}),
    ],
    ids=lambda value: value.name if isinstance(value, Signal) else "",
)
def test_a_signal_has_the_numbers_of_the_exporter(
    signal: Signal, by: str, expected: dict[tuple[str, ...], float], scraped: Layer
) -> None:
    assert scraped.values(signal.promql(load_thresholds().scope()), by) == pytest.approx(expected)


def test_an_exporter_that_is_down_takes_the_green_off_the_page_and_alerts(scraped: Layer) -> None:
    scope = load_thresholds().scope()
    assert scraped.values(signals.GPU_EXPORTERS_UP.promql(scope)) == {(): 0}
    # 2 is a warning.
    scraped.wait(STATES[signals.PAGE].promql(scope, matchers=f'instance="{DOWN}"'), 2)
    alerts = scraped.values('ALERTS{alertname="GpuExporterDown",alertstate="firing"}', "instance", "severity")
    assert alerts == {(DOWN, "warning"): 1}
    # Of a job that vanishes there would be an alert, too.
    assert scraped.value('count(instance:up:own{job="nvidia-dcgm-exporter"})') == 2


def test_gpus_of_other_jobs_are_not_meant(scraped: Layer) -> None:
    scope = {**load_thresholds().scope(), "gpus": 'job="theirs"'}
    assert scraped.query(signals.GPU_UTILIZATION.promql(scope)) == []
