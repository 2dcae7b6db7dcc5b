"""Make MLflow's tables, or change them to this release's, as their owner."""

from pathlib import Path

from mlflow.store.db.utils import (
    _all_tables_exist,
    _initialize_tables,
    _upgrade_db,
    create_sqlalchemy_engine_with_retry,
)

engine = create_sqlalchemy_engine_with_retry(Path("/run/secrets/mlflow_owner_uri").read_text(encoding="utf-8").strip())
if _all_tables_exist(engine):
    _upgrade_db(engine)
else:
    _initialize_tables(engine)
print("MLflow's tables are those of this release")  # noqa: T201  # read in the container's log
