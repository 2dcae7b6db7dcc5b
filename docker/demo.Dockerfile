# The demo's image: the stack's wheel, the folder demo/, and what that needs, MLflow's server among it. Build context: the
# repository.
# The same value as in docker/versions.env; a test compares the two.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

# As in exporter.Dockerfile: the engine builds it once.
FROM ${PYTHON_IMAGE} AS wheel
RUN python3 -m venv /opt/build
COPY docker/exporter/build-requirements.txt /tmp/
# Hashes are in the file: what builds is what was tested.
RUN /opt/build/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
        --require-hashes --requirement /tmp/build-requirements.txt
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE /src/
COPY ml_monitoring /src/ml_monitoring
COPY exporter /src/exporter
COPY alerting /src/alerting
COPY dashboards /src/dashboards
COPY k8s /src/k8s
# Recorded in the wheel, for --version and `ml_monitoring_build_info`.
ARG REVISION=
RUN REVISION=${REVISION} /opt/build/bin/python -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-index \
        --no-build-isolation --wheel-dir /dist /src

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /opt/venv
COPY docker/demo/requirements.txt /tmp/
# Hashes are in the file: what is installed is what was tested. Wheels only: nothing is compiled or run here.
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
        --require-hashes --requirement /tmp/requirements.txt
COPY --from=wheel /dist /dist
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /dist/*.whl \
    && /opt/venv/bin/python -m pip uninstall --yes --quiet pip
COPY demo /opt/app/demo
# The library of the demo's service: a distribution of its own, which shares the namespace with the wheel.
COPY instrument/src/ml_monitoring /opt/app/ml_monitoring
# Compiled here, because the file system is read-only when it runs.
RUN /opt/venv/bin/python -m compileall -q /opt/app

FROM ${PYTHON_IMAGE}
ARG REVISION=
LABEL org.opencontainers.image.title="ml-monitoring demo" \
      org.opencontainers.image.description="Demo data and services for ml-monitoring, with an MLflow server" \
      org.opencontainers.image.source="https://ml-monitoring.example/ml-monitoring" \
      org.opencontainers.image.version="0.3.0.dev0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
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
ENTRYPOINT ["/opt/venv/bin/python", "-m", "demo"]
