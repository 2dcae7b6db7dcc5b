from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.demo.mlflow import open_store, write_store
from tests.docker.deployment import Deployment, ensure_images, project


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy the stack with new secrets and volumes, and write the demo into its PostgreSQL as MLflow's role."""
    ensure_images()
    deployment = Deployment(readable(tmp_path_factory.mktemp("deployment")), project("stack"))
    try:
        deployment.first = deployment.do("up")
        address = deployment.container("postgres")["NetworkSettings"]["Networks"][f"{deployment.project}_data"]
        password = deployment.secret("mlflow_password")
        write_store(open_store(f"postgresql://mlflow:{password}@{address['IPAddress']}:5432/mlflow"), seed=1)
        yield deployment
    finally:
        deployment.remove()


def readable(folder: Path) -> Path:
    """Let the containers' users in, who are others than the one here; pytest keeps its folders to itself."""
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    return folder
