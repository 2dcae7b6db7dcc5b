# The exporter's image. Build context: the repository (see .dockerignore).
#   docker build --file docker/exporter.Dockerfile --tag ml-monitoring/exporter:local .
# The same value as in docker/versions.env; a test compares the two.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /opt/venv
COPY docker/exporter/requirements.txt /tmp/requirements.txt
# Hashes are in the file: what is installed is what was tested. Wheels only: nothing is compiled or run here.
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
        --require-hashes --requirement /tmp/requirements.txt \
    && /opt/venv/bin/python -m pip uninstall --yes --quiet pip
COPY exporter /opt/app/exporter
# For the alert log, which runs from the same image.
COPY alerting /opt/app/alerting
# Compiled here, because the file system is read-only when it runs.
RUN /opt/venv/bin/python -m compileall -q /opt/app

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/app /opt/app
ENV PYTHONPATH=/opt/app \
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
    "import urllib.request as r; r.urlopen('http://127.0.0.1:9847/-/healthy', timeout=4)"]
ENTRYPOINT ["/opt/venv/bin/python", "-m", "exporter"]
CMD ["serve"]
