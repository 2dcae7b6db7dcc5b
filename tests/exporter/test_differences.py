"""One change is an item of a list, which shows all that differs."""

from __future__ import annotations

import pytest

from ml_monitoring.exporter.differences import Change

LONG = " + ".join(map(str, range(1, 101)))


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("a", "b", ": `a` → `b`"),
        ("a", "", ": `a`"),
        ("", "b`s", ": `` b`s ``"),
        ("", "", ""),
        (LONG, LONG.replace("+", "\n +"), " in white space only"),
        (LONG, "", f": `{LONG}`"),
        (LONG, f"{LONG} or x", ":\n  - before: `...+ 98 + 99 + 100`\n  - after: `...+ 98 + 99 + 100 or x`"),
        (LONG, f"x + {LONG}", ":\n  - before: `1 + 2 + 3 +...`\n  - after: `x + 1 + 2 + 3 +...`"),
        (
            LONG,
            LONG.replace("50", "5000"),
            ":\n  - before: `...47 + 48 + 49 + 50 + 51 + 52 + 53...`"
            "\n  - after: `...47 + 48 + 49 + 5000 + 51 + 52 + 53...`",
        ),
        (LONG, "x", f":\n  - before: `{LONG}`\n  - after: `x`"),
    ],
)
def test_values_stand_beside_or_below_each_other_with_all_that_differs(old: str, new: str, shown: str) -> None:
    assert Change("Heat", "changed", old, new).line() == f"- **Heat** changed{shown}"
