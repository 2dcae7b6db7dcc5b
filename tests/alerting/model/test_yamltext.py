from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml_monitoring.alerting.model.yamltext import Commented, dump

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
_SCALARS = st.one_of(
    _TEXT, st.integers(), st.booleans(), st.none(), st.sampled_from(["yes", "1d", "0x1", "-", "# a", "a: b"])
)
_MAPPINGS = st.recursive(
    st.dictionaries(_TEXT, st.one_of(_SCALARS, st.lists(_SCALARS, max_size=3)), min_size=1, max_size=3),
    lambda inner: st.dictionaries(_TEXT, st.one_of(inner, st.lists(inner, max_size=3)), min_size=1, max_size=3),
    max_leaves=6,
)


@given(_MAPPINGS)
def test_what_is_written_is_what_is_read(config: dict[str, Any]) -> None:
    assert yaml.safe_load(dump(config, header="A header")) == config


def test_comments_stand_above_items_and_expressions_on_their_own_lines() -> None:
    config = {
        "groups": [
            {
                "name": "g",
                "rules": [Commented("Why it is so; " * 9, {"alert": "A", "expr": "a\n  and b", "for": "0s"})],
            },
        ],
        "empty": [],
        "flat": ["a", 1],
    }
    text = dump(config, header="Generated.\n\nDo not edit.")
    assert text == (
        "# Generated.\n#\n# Do not edit.\n"
        "groups:\n"
        "  - name: g\n"
        "    rules:\n"
        f"      # {'Why it is so; ' * 7}Why it is\n"
        "      # so; Why it is so;\n"
        "      - alert: A\n"
        "        expr: |-\n"
        "          a\n"
        "            and b\n"
        "        for: 0s\n"
        "empty: []\n"
        "flat: [a, 1]\n"
    )
    assert yaml.safe_load(text) == config
