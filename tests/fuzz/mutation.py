"""Strategies that change inputs as faults and attackers do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_NASTY = (
    *(b"\0", b"\r", b"\n", b"\xff\xfe", b"\xc3", b'"', b"'", b"\\", b"\xe2\x80\xa8"),
    *(b"%00", b"{{", b"${", b"1e999", b"-0", b"NaN"),
)
# Values of YAML and JSON where something else is expected.
SCALARS: SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["1s", "-1s", "1e400", "9" * 400, "NaN", "0x10", "1:30", "*", "{{ . }}", "${HOME}", "\0", "\ud800"]
    ),
)


def nested(keys: SearchStrategy[str]) -> SearchStrategy[Any]:
    """Return trees of lists and mappings with these keys."""
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=8,
    )


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Return one of the seeds with pieces taken out, put in, doubled or replaced."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        piece = draw(
            st.one_of(
                st.just(b""),
                st.binary(max_size=8),
                st.sampled_from(_NASTY),
                st.just(content[start:end] * 3),
            )
        )
        content = content[:start] + piece + content[end:]
    return content


@st.composite
def changed(draw: st.DrawFn, tree: Any, values: SearchStrategy[Any]) -> Any:
    """Return a tree of mappings and lists in which one to three nodes are replaced, removed or renamed."""
    for _ in range(draw(st.integers(1, 3))):
        tree = _change(draw, tree, values)
    return tree


def _change(draw: st.DrawFn, node: Any, values: SearchStrategy[Any]) -> Any:
    if isinstance(node, dict) and node and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(node, key=str)))
        how = draw(st.sampled_from(["into", "into", "into", "remove", "rename", "replace"]))
        rest = {name: value for name, value in node.items() if name != key}
        if how == "remove":
            return rest
        if how == "rename":
            return {**rest, draw(st.text(max_size=12)): node[key]}
        return {**node, key: _change(draw, node[key], values) if how == "into" else draw(values)}
    if isinstance(node, list) and node and draw(st.integers(0, 3)):
        place = draw(st.integers(0, len(node) - 1))
        return [*node[:place], _change(draw, node[place], values), *node[place + 1 :]]
    return draw(values)
