# The demo's image: the exporter with what its demos need, MLflow's server among it. Build context: the repository.
# The same value as in docker/versions.env; a test compares the two.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /opt/venv
COPY docker/demo/requirements.txt /tmp/requirements.txt
# Hashes are in the file: what is installed is what was tested. Wheels only: nothing is compiled or run here.
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
        --require-hashes --requirement /tmp/requirements.txt \
    && /opt/venv/bin/python -m pip uninstall --yes --quiet pip
COPY exporter /opt/app/exporter
RUN /opt/venv/bin/python -m compileall -q /opt/app

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/app /opt/app
COPY docker/demo/mlflow_tables.py /opt/demo/mlflow_tables.py
# New volumes take their owner from the folders that they are put over.
RUN install --directory --owner=10001 --group=10001 /artifacts /fleet
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    MLFLOW_DISABLE_TELEMETRY=true
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["/opt/venv/bin/python", "-m", "exporter"]
