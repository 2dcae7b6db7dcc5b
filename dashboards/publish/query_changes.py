"""The same change of many queries: matchers that came or went, or one word in place of another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ml_monitoring.alerting.model.promql import matchers_changed
from ml_monitoring.exporter.differences import MOST_ALIKE, Change, escaped, few

_QUERY: Final = re.compile(r"(?:query|definition|expr)\b.* changed$")
_TOKEN: Final = re.compile(r"[\w:.$]+|.")
# So many kinds of changes are said, and so many pages of each are named.
_MOST_KINDS: Final = 3
_MOST_PAGES: Final = 6

Found = dict[str, list[tuple[str, Change]]]


def same_changes(pages: Mapping[str, Iterable[Change]]) -> Found:
    """Return the changes of more than a few queries in which the same changed, and nothing else.

    Args:
        pages: Changes by the uid of their page.

    Returns:
        Changes with the uid of their page, by what changed in words.
    """
    found: Found = {}
    for uid, changes in pages.items():
        for change in changes:
            if _QUERY.match(change.what) and (words := _words(change)):
                found.setdefault(words, []).append((uid, change))
    return {words: same for words, same in found.items() if len(same) > MOST_ALIKE}


def lines(found: Found, titles: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each of the changes that most queries have, and one for how many have others."""
    listed = sorted(found.items(), key=lambda one: -len(one[1]))
    yield from (_line(words, queries, titles) for words, queries in listed[:_MOST_KINDS])
    if rest := sum(len(queries) for _words, queries in listed[_MOST_KINDS:]):
        yield f"- {rest} more queries with other matchers or words, and nothing else (`--all` lists them)"


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
    return f"- **{len(found)} queries {where}**: {words}{named}; such as {escaped(example.where)}"
