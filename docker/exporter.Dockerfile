# The image of the command `ml-monitoring`: the exporter, and the alert log. Build context: the repository (see .dockerignore).
#   docker build --file docker/exporter.Dockerfile --build-arg REVISION=$(git rev-parse HEAD) --tag ml-monitoring/exporter:local .
# The same value as in docker/versions.env; a test compares the two.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

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
COPY docker/exporter/requirements.txt /tmp/
# Hashes are in the file: what is installed is what was tested. Wheels only: nothing is compiled or run here.
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
        --require-hashes --requirement /tmp/requirements.txt
COPY --from=wheel /dist /dist
# pip compiles what it installs: the file system is read-only when it runs.
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /dist/*.whl \
    && /opt/venv/bin/python -m pip uninstall --yes --quiet pip

FROM ${PYTHON_IMAGE}
ARG REVISION=
LABEL org.opencontainers.image.title="ml-monitoring" \
      org.opencontainers.image.description="Prometheus exporter for MLflow, model variants and fleets, with its alerts and alert log" \
      org.opencontainers.image.source="https://ml-monitoring.example/ml-monitoring" \
      org.opencontainers.image.version="0.3.0.dev0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A new volume takes its owner from the folder that it is put over.
RUN install --directory --owner=10001 --group=10001 /var/lib/alertlog
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /
EXPOSE 9847
# Plain HTTP on loopback; where `web.config_file` turns TLS on, compose or Kubernetes give a check of their own.
HEALTHCHECK --interval=10s --timeout=5s --retries=3 --start-period=20s CMD ["/opt/venv/bin/python", "-c", \
    "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:9847/-/healthy', timeout=4)"]
ENTRYPOINT ["/opt/venv/bin/ml-monitoring"]
CMD ["serve"]
