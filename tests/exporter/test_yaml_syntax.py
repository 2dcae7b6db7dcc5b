"""What often causes a problem of YAML's syntax is named in the line of the slip, not where YAML notices it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.yaml_files import read_yaml

_BLANK = "a key needs a blank behind its colon: `key: value`"
_ODD = "a no-break space or the like: write a plain one"
_SECTIONED = ": is it YAML? It looks like TOML or an INI file, and settings are lines of `key: value`"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n  b: 1\n  c:hunter2", f":3: not valid YAML: {_BLANK}"),
        ("a:\n  b: 1\n  c:hunter2\n\n  d: 2\n", f":3: not valid YAML: {_BLANK}"),
        ("a:\n  b:hunter2\n  c: 1\n", f":2: not valid YAML: {_BLANK}"),
        ("a:\n  - b:hunter2\n\n    c: 1\n", f":2: not valid YAML: {_BLANK}"),
        ("a: 1\nhunter2\nb: 2\n", ":2: not valid YAML: a line of `key: value` has no colon"),
        *(
            (
                f'a: "C:{path}"\n',
                f":1: not valid YAML: in double quotes \\ begins an escape (column {column}): use single quotes",
            )
            for path, column in (("\\data", 8), ("\\users", 9), ("\\new\\xyz", 13))
        ),
        ('[a]\nb = "hunter2"\n', _SECTIONED),
        ('# Mine\nb = "hunter2"\n\n[a.c]\nd = 1\n', _SECTIONED),
        ("[a]\nb: hunter2\n", _SECTIONED),
        ("a=hunter2\nb=2\n", _SECTIONED),
        ("'hunter2'\nb: 2\n", ":2: not valid YAML: settings are lines of `key: value`: is it YAML?"),
        ("  a: 1\nhunter2: 2\n", ":2: not valid YAML: the line is indented less than the first one"),
        (
            "---\na: 1\n---\nhunter2: 1\n",
            ":3: not valid YAML: a second document begins: settings are one, so take this line out",
        ),
        *(
            (
                f"a: 1\nb: {sign}\n",
                ":2: not valid YAML: an alias or an anchor without a name (column 5); "
                "put a text that begins with * or & in quotes",
            )
            for sign in "*&"
        ),
        ("a:\n\u00a0\u00a0hunter2: 1\n", f":2: not valid YAML: {_ODD}"),
        ("a:\n  b: 1\n\u202f\u202fhunter2: 1\n", f":3: not valid YAML: {_ODD}"),
        ("a:\n  b:\u00a0hunter2\n  c: 1\n", f":2: not valid YAML: {_ODD}"),
    ],
)
def test_a_slip_is_named_in_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert caught.value.problems == (f"{path}{said}",)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a: {b: 0,45}", {"a": {"b": "0,45"}}),
        ("a: {b: 0,05, c: 1}", {"a": {"b": "0,05", "c": 1}}),
        # Keys that are numbers, and items.
        ("a: {b: 0, 45: x}", {"a": {"b": 0, 45: "x"}}),
        ("a: {b: [0,45]}", {"a": {"b": [0, 45]}}),
        ("a:\n  b:\n    https://x\n  c: 1", {"a": {"b": "https://x", "c": 1}}),
    ],
)
def test_a_decimal_comma_in_braces_stays_a_part_of_its_value(text: str, read: object, tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text(text, encoding="utf-8")
    assert read_yaml(path) == read
