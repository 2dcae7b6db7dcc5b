"""The example package, installed and trained as README.md says, used by the real exporter through its entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fleet_files import write_demo
from tests.support.serving import parse_samples

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "risk_model_sklearn"
ROOT = EXAMPLE.parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the package is installed into."""
    folder = tmp_path_factory.mktemp("installed")
    wheels = tmp_path_factory.mktemp("wheels")
    # uv carries the package's build backend, so that nothing has to be downloaded.
    build = [sys.executable, "-m", "uv", "build", "--offline", "--quiet", "--wheel", "--out-dir", str(wheels)]
    subprocess.run([*build, str(EXAMPLE)], check=True)
    (wheel,) = wheels.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([*install, str(wheel)], check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    return folder


def environment(installed: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{installed}"}


@pytest.fixture(scope="module")
def model(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model trained on incidents of other seeds than the one it is tried on."""
    folder = tmp_path_factory.mktemp("model")
    files = [write_demo(folder / str(seed), seed=seed) for seed in (1, 2)]
    path = folder / "forest.pickle"
    command = [sys.executable, "-m", "fleet_risk_forest", *map(str, files), "--output", str(path)]
    subprocess.run(command, env=environment(installed), check=True)
    return path


def once(config: str, folder: Path, installed: Path) -> tuple[int, dict[str, float], str]:
    """Run `once`; return the exit status, the samples and the log."""
    path = folder / "ml-monitoring.yml"
    path.write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "exporter", "once", "--config", str(path)]
    done = subprocess.run(command, env=environment(installed), cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, parse_samples(done.stdout), done.stderr


def at_second(second: int, folder: Path) -> Path:
    """Return a file that ends at this second of the story, without the columns that give the answer away."""
    lines = write_demo(folder, seed=42).read_text().splitlines()
    cut = [line.rsplit(",", 3)[0] for line in lines]
    path = folder / "production.csv"
    path.write_text("\n".join(cut[: 1 + 12 * (second // 5 + 1)]) + "\n")
    return path


def risks(samples: dict[str, float]) -> dict[str, float]:
    family = "fleet_server_risk_ratio{"
    return {
        series.split('server="')[1].removesuffix('"}'): value
        for series, value in samples.items()
        if series.startswith(family)
    }


@pytest.mark.parametrize(("second", "incident"), [(60, False), (160, True), (295, False)])
def test_the_trained_model_finds_the_affected_servers_without_their_labels(
    second: int, incident: bool, installed: Path, model: Path, tmp_path: Path
) -> None:
    path = at_second(second, tmp_path)
    config = f"sources: {{fleet: {{path: {path}, timeout: 60s, risk: {{model: forest, options: {{path: {model}}}}}}}}}"
    status, samples, log = once(config, tmp_path, installed)
    assert status == 0, log
    scores = risks(samples)
    assert len(scores) == 12
    hit = {name for name, risk in scores.items() if risk > 0.5}
    assert hit == ({name for name in scores if name.endswith("-001")} if incident else set())
    assert (samples["fleet_incident_probability_ratio"] > 0.7) is incident
    assert not [
        series for series in samples if series.startswith("fleet_risk_model_failures_total") and samples[series]
    ]
    assert samples['fleet_file_info{file="production.csv",mode="follow",model="forest"}'] == 1


def test_a_model_file_that_is_gone_leaves_the_built_in_score(installed: Path, tmp_path: Path) -> None:
    path = at_second(160, tmp_path)
    config = (
        f"sources: {{fleet: {{path: {path}, timeout: 60s, risk: {{model: forest, options: {{path: gone.pickle}}}}}}}}"
    )
    status, samples, log = once(config, tmp_path, installed)
    assert status == 0, log
    assert samples['fleet_risk_model_failures_total{model="forest",reason="load"}'] == 1
    assert "cannot be loaded: FileNotFoundError" in log
    assert len(risks(samples)) == 12


def test_a_model_that_is_not_installed_is_refused_with_those_that_are(tmp_path: Path, installed: Path) -> None:
    config = "sources: {fleet: {path: x, risk: {model: oracle}}}"
    status, _samples, log = once(config, tmp_path, installed)
    assert status == 1
    assert "sources.fleet.risk.model: no such risk model is installed; there are: builtin, forest" in log
