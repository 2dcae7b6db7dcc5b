"""The demo's experiments say what is true of them, read from a real Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from demo.experiments import Shop
from ml_monitoring.exporter.sources.experiments import ExperimentsSettings, ExperimentsSource
from ml_monitoring.exporter.sources.experiments.gate import GateAnswer
from ml_monitoring.exporter.sources.experiments.judgement import Decision
from tools.backfilled_prometheus import backfilled_prometheus
from tools.demo.parts.experiments import JOB, declarations

# 2025-11-03, a Monday.
START = 1_762_128_000
SCRAPE = 5
SECONDS = 900


def scraped() -> list[str]:
    """Return what Prometheus would have scraped of the shop in a quarter of an hour."""
    shop = Shop(seed=0)
    lines: dict[str, list[str]] = {}
    for moment in range(START, START + SECONDS + 1, SCRAPE):
        shop.count(SCRAPE)
        for family in shop.registry.collect():
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    labels = ",".join(f'{label}="{value}"' for label, value in sample.labels.items())
                    series = f'{sample.name}{{job="{JOB}",instance="shop:1",{labels}}}'
                    lines.setdefault(sample.name, []).append(f"{series} {sample.value:.0f} {moment}")
    return [line for each in lines.values() for line in each]


def test_each_experiment_is_decided_as_it_should_be(programs: dict[str, Path], tmp_path: Path) -> None:
    with backfilled_prometheus(programs, tmp_path, scraped()) as url:
        declared = declarations(datetime.fromtimestamp(START, UTC).isoformat())
        settings = ExperimentsSettings.model_validate({"url": url, "settle": "1s", "declared": declared})
        source = ExperimentsSource(settings, lambda: START + SECONDS + 5.0)
        families = source.collect()
    assert families.problems == []
    gates = {name: gate for name in declared if (gate := source.gate(name)) is not None}
    found = {name: (gate.decision, gate.arm, gate.answer) for name, gate in gates.items()}
    assert found["winner"] == (Decision.BETTER, "ranking", GateAnswer.GO_ON)
    assert found["harmful"] == (Decision.GUARDRAIL_BREACHED, "ranking", GateAnswer.STOP)
    assert (found["split"][0], found["split"][2]) == (Decision.INVALID, GateAnswer.STOP)
    for name in ("null", "returning"):
        assert found[name][0] in {Decision.COLLECTING, Decision.NO_DIFFERENCE}
    # Users who come back are not taken for independent requests.
    spread = families["ml_monitoring_experiment_overdispersion_ratio"].samples
    assert float(str(spread["returning", "ranking", "sold"])) > 2 > float(str(spread["null", "ranking", "sold"]))
