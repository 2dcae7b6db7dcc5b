import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.mlflow import open_store, write_store
from tests.support.deployment import Deployment, ensure_images, project


@pytest.fixture(scope="session")
def deployed() -> Iterator[Deployment]:
    """Deploy the stack with new secrets and volumes, and write the demo into its PostgreSQL as MLflow's role."""
    ensure_images()
    # Not below pytest's own folder, which pytest closes to others: it is the folder of secrets that has to.
    folder = Path(tempfile.mkdtemp(prefix="ml-monitoring-test-"))
    folder.chmod(0o755)
    deployment = Deployment(folder, project("stack"))
    try:
        deployment.first = deployment.do("up")
        address = deployment.address("postgres", "data")
        password = deployment.secret("mlflow_password")
        write_store(open_store(f"postgresql://mlflow:{password}@{address}:5432/mlflow"), seed=1)
        yield deployment
    finally:
        deployment.remove()
        shutil.rmtree(folder)
