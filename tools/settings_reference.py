"""Write the table of all settings into docs/settings.md: `python -m tools.settings_reference [--check]`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.schemas import schemas

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
_BLOCK = re.compile(r"(?<=<!-- generated:settings -->\n).*(?=<!-- /generated:settings -->)", re.DOTALL)


def filled(text: str) -> str:
    """Return the page with the table in its block."""
    schema = schemas()["settings.json"]
    lines = ["| setting | default | meaning |", "| --- | --- | --- |", *_rows(schema, schema, ())]
    return _BLOCK.sub(lambda _match: "\n" + "\n".join(lines) + "\n\n", text)


def _rows(schema: dict[str, Any], part: dict[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    for key, entry in part["properties"].items():
        inner = next((option["$ref"] for option in _options(entry) if "$ref" in option), None)
        if inner is not None:
            yield from _rows(schema, schema["definitions"][inner.rpartition("/")[2]], (*above, key))
            continue
        default = entry.get("default", "")
        shown = f"`{default if isinstance(default, str) else json.dumps(default)}`" if default not in ("", []) else ""
        meaning = entry["description"].replace("|", "\\|")
        yield f"| `{'.'.join((*above, key))}` | {shown} | {meaning} |"


def _options(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a setting may be; a section comes before sections by names."""
    yield entry
    for option in (*entry.get("anyOf", ()), *(entry[key] for key in ("else",) if key in entry)):
        yield from _options(option)


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or say that it is old; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.settings_reference", description="Write docs/settings.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the page is old")
    options = parser.parse_args(arguments)
    old = PAGE.read_text(encoding="utf-8")
    new = filled(old)
    if options.check and new != old:
        print("docs/settings.md is old. Write it with: make generate", file=sys.stderr)
        return 1
    if not options.check:
        PAGE.write_text(new, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
