"""Whether an expression has no result at all because series that it reads are gone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

# Of nothing these make something.
_OF_NOTHING: Final = frozenset({"absent", "absent_over_time", "scalar"})


def is_empty(expr: Iterable[str], gone: Collection[str]) -> bool:
    """Tell whether an expression, given as tokens, has no result without some series, whatever others there are."""
    levels = [_Level("")]
    last = ""
    for token in expr:
        word = token.lower()
        if token in ("(", "["):
            levels.append(_Level(last))
        elif token in (")", "]"):
            inner = levels.pop()
            if not levels:
                return False
            levels[-1].read(is_empty=inner.is_empty() and inner.function not in _OF_NOTHING)
        elif word in ("or", ",", "and", "unless"):
            levels[-1].separate(word)
        else:
            levels[-1].read(is_empty=token in gone)
        last = word
    return levels[0].is_empty()


@dataclass(slots=True)
class _Level:
    """What stands in brackets: arguments, of sides of `or`, of which one empty part makes an empty one."""

    function: str
    arguments: list[bool] = field(default_factory=list)
    sides: list[bool] = field(default_factory=list)
    is_side_empty: bool = False
    is_excluded: bool = False

    def read(self, *, is_empty: bool) -> None:
        self.is_side_empty |= is_empty and not self.is_excluded

    def separate(self, word: str) -> None:
        # What is excluded by nothing is all there.
        self.is_excluded = word == "unless"
        if word in ("or", ","):
            self.sides.append(self.is_side_empty)
            self.is_side_empty = False
        if word == ",":
            self.arguments.append(all(self.sides))
            self.sides = []

    def is_empty(self) -> bool:
        return any([*self.arguments, all([*self.sides, self.is_side_empty])])
