"""Which adapter is used on which job: what is refused, and with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.services import SERVERS
from ml_monitoring.alerting.model.thresholds import read
from ml_monitoring.alerting.services.adapters import ADAPTERS
from ml_monitoring.exporter.errors import ConfigError


def test_each_server_of_the_settings_has_an_adapter() -> None:
    assert tuple(ADAPTERS) == SERVERS == tuple(sorted(SERVERS))


def test_the_jobs_of_adapters_are_watched(tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text("services: {adapters: [{server: bentoml, job: ranker}]}\n")
    assert 'up{job="ranker"}' in read(ALERTS, [path]).scope()["service_targets"].split("\nor\n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "{server: bentolm, job: a}",
            "server: no adapter is called 'bentolm'; did you mean bentoml?",
        ),
        ("{server: bentoml}", "services.adapters.0.job: is missing"),
        ("{server: bentoml, job: a, variants: b}", "services.adapters.0.variants: unknown key"),
        ("{server: bentoml, job: a}, {server: bentoml, job: a}", "bentoml is given 2 times for job 'a'"),
        ("{server: bentoml, job: 'a\"b'}", "services.adapters.0.job: "),
        ("{server: bentoml, job: a, variant: 'a b'}", "services.adapters.0.variant: "),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(given: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text(f"services:\n  adapters: [{given}]\n")
    with pytest.raises(ConfigError) as refused:
        read(ALERTS, [path])
    (problem,) = refused.value.problems
    assert problem.startswith(f"{path}:2: ")
    assert said in problem
