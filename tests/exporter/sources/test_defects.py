"""Sources of a user's own with a mistake in them: each is named with its line, and no other suffers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_monitoring.cli import main
from tests.support.files import ROOT

_CHECK = 'return f"{self.collect().series} series"'
# What is changed in the file that `new source` writes, what `check` says then, and `once` where that is not the same.
_MISTAKES = {
    "misspelt": ("def collect", "def colect", "MisspeltSource lacks the method collect", ""),
    "raising": (
        "try:",
        '{}["x"]\n        try:',
        "KeyError: 'x' (@raising/ml_monitoring_source_raising.py:47)",
        "",
    ),
    "beginning": (
        "self._settings = settings",
        "self._settings = settings.pth",
        "AttributeError: 'BeginningSourceSettings' object has no attribute 'pth' "
        "(@beginning/ml_monitoring_source_beginning.py:40)",
        "",
    ),
    "family": (
        'families["family_free',
        'families["family_fre',
        "family_fre_bytes: the catalog has no such metric of family; did you mean family_free_bytes? "
        "(@family/ml_monitoring_source_family.py:51)",
        "CatalogError: family_fre_bytes: the catalog has no such metric of family; did you mean family_free_bytes?",
    ),
    "labels": (
        ", self._settings.path)\n        return",
        ")\n        return",
        "labels_free_bytes: label values () for labels ('path',) (@labels/ml_monitoring_source_labels.py:51)",
        "CatalogError: labels_free_bytes: label values () for labels ('path',)",
    ),
    "silent": (
        _CHECK,
        "self.collect()",
        "SilentSource: check() must return a text, and returned None",
        "ok",
    ),
    "endless": (
        "        return families",
        "        # Nothing is returned.",
        "AttributeError: 'NoneType' object has no attribute 'series' (@endless/ml_monitoring_source_endless.py:56)",
        "TypeError: collect() must return a FamilySet, and returned None",
    ),
    "closing": (
        "    def check",
        "    def close(self):\n        raise OSError('gone')\n\n    def check",
        "ok",
        "ok",
    ),
    "right": ("", "", "ok", "ok"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    site = tmp_path / "own-1.dist-info"
    site.mkdir()
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1\n", encoding="utf-8")
    points = ["[ml_monitoring.sources]"]
    for name, (before, after, *_said) in _MISTAKES.items():
        assert main(["new", "source", name]) == 0
        (path,) = Path().rglob(f"ml_monitoring_source_{name}.py")
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after, 1), encoding="utf-8")
        points.append(f"{name} = ml_monitoring_source_{name}:{name.title()}Source")
    (site / "entry_points.txt").write_text("\n".join(points), encoding="utf-8")
    sections = [f"  {name}: {{}}" for name in _MISTAKES]
    (tmp_path / "own.yml").write_text("\n".join(["web: {port: 0}", "sources:", *sections]), encoding="utf-8")
    return tmp_path


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    written = [path.parent for path in folder.rglob("ml_monitoring_source_*.py")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_MONITORING_")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, [ROOT, folder, *written]))
    arguments = [sys.executable, "-m", "ml_monitoring", command, "--config.file", "own.yml"]
    return subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_each_mistake_in_a_source_is_named_and_the_others_are_checked(folder: Path) -> None:
    done = _run("check", folder)
    assert done.returncode == 1
    found = {line.split()[1]: line.split(maxsplit=2) for line in done.stdout.splitlines()}
    for name, (_before, _after, said, _served) in _MISTAKES.items():
        state, _, message = found[name]
        wanted = said.replace("(@", "(monitoring/sources/")
        assert (state, message) == (("ok", "1 series") if said == "ok" else ("FAIL", wanted)), name


def test_a_mistake_in_a_source_stops_no_other(folder: Path) -> None:
    done = _run("once", folder)
    assert done.returncode == 1
    up = [name for name, (*_, said, served) in _MISTAKES.items() if (served or said) == "ok"]
    for name, (_before, _after, said, served) in _MISTAKES.items():
        assert f'ml_monitoring_source_up{{source="{name}"}} {float(name in up)}\n' in done.stdout
        if name not in up:
            assert (served or said.partition(" (")[0]) in done.stderr
