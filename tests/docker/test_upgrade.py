"""An upgrade as docs/deploy.md describes it: from an older release and older servers, over a new major PostgreSQL."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.mlflow import open_store, write_store
from tests.support.deployment import JOBS, PUBLISHED, Deployment, ensure_images, project, wait_for
from tests.support.files import ROOT
from tools.standin_images import ensure_older_image

pytestmark = [
    pytest.mark.stack,
    # SQLAlchemy deprecates a loader strategy that MLflow's own models use; nothing here can change that.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

OLDER = ("POSTGRES_IMAGE", "PROMETHEUS_IMAGE", "ALERTMANAGER_IMAGE")
SCRAPE = 15
# What is scraped before the upgrade.
RECORDED = 5 * SCRAPE
# By job: the older release may have named it otherwise, and its last sample is looked back to for five minutes.
RUNS = "max(sum by (job) (mlflow_runs{experiment='churn-classifier',status='FINISHED'}))"


def git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


def older_release() -> str:
    """Return the newest release before this one; before the first, the oldest commit that can be deployed."""
    tag = git("describe", "--tags", "--abbrev=0", "HEAD^").decode().strip()
    commits = git("log", "--diff-filter=A", "--format=%H", "--", "tools/deploy/cli.py").decode().split()
    return tag or (commits[-1] if commits else "")


@dataclass
class Old:
    """What an older release has left.

    Attributes:
        deployment: The same folder and project, as this release sees it.
        at: When it was looked at last.
        samples: How many samples of `up` there were by then, by job.
        alerts: What the alert log had.
        secrets: The secrets, by name.
    """

    deployment: Deployment
    at: float
    samples: dict[str, float]
    alerts: set[str]
    secrets: dict[str, str]

    def lost(self, within: float) -> dict[str, float]:
        """Return the jobs that have lost more than one of the samples that there were."""
        kept = self.deployment.query(f"count_over_time(up[{within:.0f}s])", self.at)
        return {job: count - kept.get(job, 0) for job, count in self.samples.items() if count - kept.get(job, 0) > 1}


def alerts_of(deployment: Deployment) -> set[str]:
    kept = deployment.api("alertlog", "/api/alerts?since=1h")
    return {json.dumps([each["labels"]["alertname"], each["labels"].get("deployment")]) for each in kept}


def secrets_of(deployment: Deployment) -> dict[str, str]:
    return {path.name: path.read_text() for path in (deployment.folder / "secrets").iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def old() -> Iterator[Old]:
    """Deploy the older release by its own tool with older servers, and let it record."""
    release = older_release()
    if not release:
        pytest.skip("the history of the repository is not here: an archive, or a shallow clone")
    ensure_images()
    images = {variable: ensure_older_image(variable) for variable in OLDER}
    folder = Path(tempfile.mkdtemp(prefix="ml-monitoring-test-"))
    folder.chmod(0o755)
    tree = folder / "release"
    with tarfile.open(fileobj=io.BytesIO(git("archive", release))) as archive:
        archive.extractall(tree, filter="data")
    (tree / ".tools").symlink_to(ROOT / ".tools")
    deployment = Deployment(folder, project("upgrade"))
    settings = folder / ".env"
    # What the older release does not know it refuses, such as ports of later overlays.
    ports = [f"{name.upper()}_PORT={deployment.ports[name]}" for name in PUBLISHED]
    lines = [f"WITH={folder / 'tests.yaml'}", *ports, *(f"{name}={image}" for name, image in images.items())]
    settings.write_text("\n".join(lines) + "\n")
    try:
        command = [sys.executable, "-m", "tools.deploy", f"--folder={folder}", f"--project={deployment.project}", "up"]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        uri = f"postgresql://mlflow:{deployment.secret('mlflow_password')}@{deployment.address('postgres', 'data')}"
        write_store(open_store(f"{uri}:5432/mlflow"), seed=1)
        wait_for(lambda: deployment.query(RUNS) == {"": 22})
        time.sleep(RECORDED)
        at = time.time()
        samples = deployment.query(f"count_over_time(up[{RECORDED}s])", at)
        # The release may have named jobs otherwise.
        assert len(samples) == len(JOBS)
        yield Old(deployment, at, samples, alerts_of(deployment), secrets_of(deployment))
    finally:
        deployment.remove()
        shutil.rmtree(folder)


def test_an_upgrade_keeps_samples_history_and_secrets(old: Old) -> None:
    deployment = old.deployment
    versions = {name: deployment.container(name)["Config"]["Image"] for name in ("prometheus", "alertmanager")}
    settings = deployment.folder / ".env"
    kept = [line for line in settings.read_text().splitlines() if line.split("=")[0] not in OLDER[1:]]
    settings.write_text("\n".join(kept) + "\n")
    since = time.time()
    deployment.do("up")
    for name, version in versions.items():
        assert deployment.container(name)["Config"]["Image"] != version
    assert old.lost(RECORDED) == {}
    # While it was exchanged, Prometheus missed what it could not scrape, and no more.
    elapsed = time.time() - since
    scraped = deployment.query(f"count_over_time(up{{job='prometheus'}}[{elapsed:.0f}s])")["prometheus"]
    assert scraped >= elapsed // SCRAPE - 2
    assert alerts_of(deployment) >= old.alerts
    assert {name: value for name, value in secrets_of(deployment).items() if name in old.secrets} == old.secrets
    wait_for(lambda: deployment.query(RUNS) == {"": 22})


def test_data_of_an_older_postgresql_is_refused_and_brought_over_by_a_backup(old: Old) -> None:
    deployment = old.deployment
    settings = deployment.folder / ".env"
    with_older = settings.read_text()
    settings.write_text("\n".join(line for line in with_older.splitlines() if not line.startswith("POSTGRES_")) + "\n")
    started = deployment.container("postgres")["State"]["StartedAt"]
    refused = deployment.call("up")
    assert refused.returncode == 1
    assert "FAIL  postgres        the data is of PostgreSQL 15, and postgres:17" in refused.stdout
    volume = deployment.stack.volume("postgres-data")
    assert f"docker volume rm {volume}\n" in refused.stdout
    assert refused.stderr == "Nothing was changed.\n"
    assert deployment.container("postgres")["State"]["StartedAt"] == started
    # As the message says.
    settings.write_text(with_older)
    target = deployment.folder / "backup"
    deployment.do("up")
    deployment.do("backup", f"--to={target}")
    deployment.do("down")
    subprocess.run(["docker", "volume", "rm", volume], check=True, capture_output=True)
    settings.write_text("\n".join(line for line in with_older.splitlines() if not line.startswith("POSTGRES_")) + "\n")
    deployment.do("restore", str(target))
    assert deployment.inside("postgres", "postgres", "--version").startswith("postgres (PostgreSQL) 17")
    wait_for(lambda: deployment.query(RUNS) == {"": 22})
    assert old.lost(RECORDED) == {}
    assert alerts_of(deployment) >= old.alerts
    assert secrets_of(deployment).items() >= old.secrets.items()
