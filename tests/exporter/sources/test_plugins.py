"""A source of a user's own that cannot be loaded is named with the line of its own that was reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.exporter.sources.plugins import plugins


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        (
            "own_importing",
            {"__init__.py": "import os\n\nimport oss\n"},
            "ModuleNotFoundError: No module named 'oss' (own_importing/__init__.py:3)",
        ),
        (
            "own_reading",
            {"__init__.py": "from . import store\n", "store.py": "import json\n\njson.loads('')\n"},
            "JSONDecodeError: Expecting value: line 1 column 1 (char 0) (own_reading/store.py:3)",
        ),
        (
            "own_written",
            {"__init__.py": "\ndef broken(:\n"},
            "SyntaxError: invalid syntax (own_written/__init__.py:2)",
        ),
        ("own_missing", {}, "ModuleNotFoundError: No module named 'own_missing'"),
    ],
)
def test_what_cannot_be_loaded_is_named_by_its_line(
    name: str, files: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        "entry_points.txt": f"[ml_monitoring.sources]\n{name} = {name}:Own\n",
    }
    written = {f"{name}-1.dist-info/{file}": text for file, text in site.items()}
    for file, text in (written | {f"{name}/{file}": text for file, text in files.items()}).items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (source,) = [source for source in plugins(()) if source.name == name]
    with pytest.raises(ValueError, match="cannot be loaded") as refused:
        source.Settings()
    assert f"the source of {name} cannot be loaded: {said} [" in str(refused.value)
