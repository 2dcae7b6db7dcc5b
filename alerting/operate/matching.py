"""What became of routes and inhibitions, which have no names: they are recognised by what they match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ml_monitoring.exporter.differences import Change

Matchers = tuple[str, ...]

_VALUE: Final = re.compile(r'(?<=[=~])".*"$', re.DOTALL)
_SIDE: Final = re.compile(r"^(?:source|target):")


def pairs(
    before: Iterable[Matchers],
    after: Iterable[Matchers],
    may_be: Callable[[Matchers, Matchers], bool] = lambda _old, _new: True,
) -> dict[Matchers, Matchers]:
    """Return what became of each: it is there as before, or one alone asks for more, for less, or for other values.

    Args:
        before: The matchers of each.
        after: The same afterwards.
        may_be: Whether one that asks for other values may be the same.
    """
    olds, news = ({frozenset(one): one for one in several} for several in (before, after))
    found = {olds[one]: news[one] for one in olds if one in news}
    gone, come = ([one for one in several if one not in others] for several, others in ((olds, news), (news, olds)))
    for one in gone:
        alike = [other for other in come if one and other and (one < other or other < one)]
        if len(alike) == 1 and sum(one < alike[0] or alike[0] < one for one in gone if one) == 1:
            found[olds[one]] = news[alike[0]]
    shapes = [
        [_shape(one) for one in several if names[one] not in taken]
        for several, names, taken in ((gone, olds, {*found}), (come, news, {*found.values()}))
    ]
    for one in gone:
        other = next((other for other in come if _shape(other) == _shape(one)), None)
        if other and one and may_be(olds[one], news[other]) and all(of_it.count(_shape(one)) == 1 for of_it in shapes):
            found.setdefault(olds[one], news[other])
    return found


def matcher_changes(where: str, old: Iterable[str], new: Iterable[str]) -> Iterator[Change]:
    """Return by what a route or an inhibition matches from now on, too, and by what no more."""
    # Both sides of an inhibition mostly have the same.
    lost, gained = (
        [*dict.fromkeys(_SIDE.sub("", label) for label in one if label not in other)]
        for one, other in ((old, {*new}), (new, {*old}))
    )
    if lost and gained and len(lost) == len(gained):
        yield Change(where, "matchers changed", ", ".join(lost), ", ".join(gained))
        return
    for word, found in (("added", gained), ("removed", lost)):
        if found:
            yield Change(where, f"matchers {word}", "", ", ".join(found))


def _shape(matchers: Iterable[str]) -> frozenset[str]:
    return frozenset(_VALUE.sub("", one) for one in matchers)
