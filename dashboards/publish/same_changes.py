"""The same change in many places: matchers of queries that came or went, one word of them, or one value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ml_monitoring.alerting.model.promql import matchers_changed
from ml_monitoring.dashboards.publish.words import in_words
from ml_monitoring.exporter.differences import MOST_ALIKE, Change, escaped, few

_QUERY: Final = re.compile(r"(?:query|definition|expr)\b.* changed$")
_TOKEN: Final = re.compile(r"[\w:.$]+|.")
# So many kinds of changes are said, and so many pages of each are named.
_MOST_KINDS: Final = 3
_MOST_PAGES: Final = 6
# The same value of no more places is said of each page.
_FEW_PLACES: Final = 20
# Values of so many characters in all are said.
_LONGEST: Final = 160

Found = dict[str, list[tuple[str, Change]]]


def same_changes(pages: Mapping[str, Iterable[Change]]) -> Found:
    """Return the changes that more than a few queries, or many places on several pages, have in common.

    Args:
        pages: Changes by the uid of their page.

    Returns:
        Changes with the uid of their page, by what changed in words.
    """
    found: Found = {}
    for uid, changes in pages.items():
        for change in changes:
            words = _words(change) if _is_of_query(change) else _values(change)
            if words:
                found.setdefault(words, []).append((uid, change))
    return {words: same for words, same in found.items() if _are_many(same)}


def lines(found: Found, titles: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each of the changes that most queries have, and one for how many have others."""
    listed = sorted(found.items(), key=lambda one: -len(one[1]))
    yield from (_line(words, queries, titles) for words, queries in listed[:_MOST_KINDS])
    if rest := sum(len(queries) for _words, queries in listed[_MOST_KINDS:]):
        yield f"- {rest} more of the kind (`--all` lists them)"


def _is_of_query(change: Change) -> bool:
    return _QUERY.match(change.what) is not None


def _are_many(same: Sequence[tuple[str, Change]]) -> bool:
    """Tell whether a change is worth a line: one of a single panel on many pages is said of the panel."""
    if all(_is_of_query(change) for _uid, change in same):
        return len(same) > MOST_ALIKE
    places, pages = {change.where for _uid, change in same}, {uid for uid, _change in same}
    return len(places) > _FEW_PLACES and len(pages) > 1


def _values(change: Change) -> str:
    """Return what a part was and is, where that is short."""
    is_short = change.old and change.new and len(change.old) + len(change.new) <= _LONGEST
    return f"{in_words(change).what}: `{in_words(change).old}` → `{in_words(change).new}`" if is_short else ""


def _words(change: Change) -> str:
    """Return what of a query changed; empty where more than one thing did."""
    sides = zip(matchers_changed(change.old, change.new), ("added", "removed"), strict=True)
    matchers = " and ".join(f"`{','.join(sorted(one))}` {word}" for one, word in sides if one)
    return matchers or _replaced(change.old, change.new)


def _replaced(old: str, new: str) -> str:
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    if len(before) != len(after):
        return ""
    pairs = {(one, other) for one, other in zip(before, after, strict=True) if one != other}
    return " and ".join(f"`{one}` is `{other}` now" for one, other in pairs) if len(pairs) == 1 else ""


def _line(words: str, found: Sequence[tuple[str, Change]], titles: Mapping[str, str]) -> str:
    pages = Counter(uid for uid, _change in found)
    if len(pages) == 1:
        (where,) = (f"of {escaped(titles[uid])}" for uid in pages)
        named = ""
    else:
        where = f"on {len(pages)} pages"
        each = [f"{escaped(titles[uid])} ({number})" for uid, number in pages.most_common()]
        named = f": {', '.join(few(each, _MOST_PAGES))}"
    example = min((change for _uid, change in found), key=lambda change: len(change.old))
    kind = "queries" if all(_is_of_query(change) for _uid, change in found) else "places"
    return f"- **{len(found)} {kind} {where}**: {words}{named}; such as {escaped(example.where)}"
