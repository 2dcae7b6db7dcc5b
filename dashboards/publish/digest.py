"""What a new version of dashboards changes for those who look at them, on about two screens, as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any, Final

from ml_monitoring.alerting.model.promql import matchers_changed
from ml_monitoring.dashboards.publish.changes import OWN, pages_of, title_of
from ml_monitoring.dashboards.publish.looks import is_of_looks
from ml_monitoring.dashboards.publish.words import in_words
from ml_monitoring.exporter.differences import MOST_ALIKE, Change, few

Json = dict[str, Any]

# So many changes of a page are listed one by one; of more, panels are named.
_FEW: Final = 6
# Of more pages with that many changes each is two lines.
_MOST_PAGES: Final = 5
# So many panels of a kind are named there, and so many matchers of many queries.
_FEW_NAMED: Final = 3
# Of a panel that is there before and after: what it says.
_MEANING: Final = ("query", "type", "thresholds", "unit")
# Panels with another query are many in most releases: so many are named.
_MOST_NAMED: Final = 6
# Kinds of which the values are short enough to be named.
_SHORT: Final = ("type", "unit")
_WORDS: Final = {"added": "new", "removed": "gone"}


def digest(old: Mapping[str, Json], new: Mapping[str, Json], commands: Mapping[str, str]) -> str:
    """Return the differences of dashboards by uid, own ones first; empty when there are none.

    Pages that came and went are followed by what many pages have in common, then by what each has of its own. Of a
    single page all is listed but what changes its looks.

    Args:
        old: Before.
        new: After.
        commands: What shows the changes of one page, by uid.
    """
    pages = pages_of(old, new)
    changed = {uid: changes for uid, changes in pages.items() if changes and uid in old and uid in new}
    titles = {uid: title_of(uid, old, new) for uid in pages}
    if not any(pages.values()):
        return ""
    folded = _same_matchers(changed)
    ids = [(uid, one) for uid, changes in changed.items() for one in changes if one.what == "id changed"]
    ids = ids if len(ids) > MOST_ALIKE else []
    alike = {(uid, change) for found in (*folded.values(), ids) for uid, change in found}
    rest = {uid: [one for one in _of_meaning(changes) if (uid, one) not in alike] for uid, changes in changed.items()}
    common = _common(rest)
    own = {
        uid: [change for change in changes if uid not in common.get(_key(change), ())] for uid, changes in rest.items()
    }
    is_short = {uid: len(changes) <= _FEW or len(pages) == 1 for uid, changes in own.items()}
    is_tight = len(is_short) - sum(is_short.values()) > _MOST_PAGES
    sections = {
        "Pages that are gone": [f"- **{titles[uid]}** (`{uid}`)" for uid in pages if uid not in new],
        "New pages": [
            f"- **{titles[uid]}** (`{uid}`): {new[uid].get('description') or changes[0].what}"
            for uid, changes in pages.items()
            if uid not in old
        ],
        "In many queries": [*_matchers_lines(folded, titles)],
        "On several pages": [
            _common_line(key, uids, rest, titles) for key, uids in sorted(common.items(), key=lambda one: -len(one[1]))
        ],
        "Changed pages": [
            "\n".join(
                [
                    f"- **{titles[uid]}** (`{uid}`): {_rest(changed[uid], changes)}",
                    *(
                        indent(line, "  ")
                        for line in _lines(
                            changes, one_by_one=is_short[uid], is_tight=is_tight and not uid.startswith(OWN)
                        )
                    ),
                ]
            )
            for uid, changes in own.items()
            if changes
        ]
        + [*_only_looks([uid for uid, changes in own.items() if not changes], changed, titles)],
    }
    counts = {"added": pages.keys() - old.keys(), "removed": pages.keys() - new.keys(), "changed": changed}
    summary = [f"- pages: {', '.join(f'{len(uids)} {word}' for word, uids in counts.items() if uids)}"]
    summary += [f"- links to a single panel: {len(ids)} panels have another number"] if ids else []
    summary += [f"- {titles[uid]} (`{uid}`): unchanged" for uid in pages if uid.startswith(OWN) and not pages[uid]]
    listed = [f"### {title}\n\n" + "\n".join(lines) for title, lines in sections.items() if lines]
    return "\n\n".join(["\n".join(summary), *listed, *_hint(changed, is_short, titles, commands)])


def _hint(
    changed: Mapping[str, Sequence[Change]],
    is_short: Mapping[str, bool],
    titles: Mapping[str, str],
    commands: Mapping[str, str],
) -> Iterator[str]:
    """Yield how to see what is not listed."""
    left_out = [uid for uid, whole in is_short.items() if not whole]
    if left_out:
        most = max(left_out, key=lambda uid: len(_of_meaning(changed[uid])))
        yield f"All changes of {titles[most]}, which has most: `{commands[most]}`; `--all` lists those of all pages."


def _of_meaning(changes: Iterable[Change]) -> list[Change]:
    """Return what changes what a page says, but for the queries of new panels."""
    changes = list(changes)
    new = {change.where for change in changes if change.what.startswith("added")}
    return [
        change
        for change in changes
        if not is_of_looks(change) and (not change.what.startswith("query ") or change.where not in new)
    ]


def _word(change: Change) -> str:
    return change.what.partition(" ")[0]


def _verb(change: Change) -> str:
    """Return the kind of a change; all of a panel that is there before and after are one."""
    word = _word(change)
    return word if word in ("added", "removed", "renamed", "title") else "changed"


def _key(change: Change) -> tuple[str, str, str]:
    """Return by what the same change is recognised on another page, in other words perhaps."""
    verb = _verb(change)
    return change.where, verb, change.old if verb == "title" else ""


def _same_matchers(pages: Mapping[str, Sequence[Change]]) -> dict[str, list[tuple[str, Change]]]:
    """Return the changes of more than a few queries in which the same matchers came or went, and nothing else."""
    found: dict[str, list[tuple[str, Change]]] = {}
    for uid, changes in pages.items():
        for change in _of_meaning(changes):
            if re.match(r"(?:query|definition|expr)\b.* changed$", change.what):
                sides = zip(matchers_changed(change.old, change.new), ("added", "removed"), strict=True)
                words = " and ".join(f"`{','.join(sorted(one))}` {word}" for one, word in sides if one)
                if words:
                    found.setdefault(words, []).append((uid, change))
    return {words: same for words, same in found.items() if len(same) > MOST_ALIKE}


def _matchers_lines(folded: Mapping[str, list[tuple[str, Change]]], titles: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each of the matchers that most queries gained or lost, and one for how many others did."""
    found = sorted(folded.items(), key=lambda one: -len(one[1]))
    yield from (_matchers_line(words, queries, titles) for words, queries in found[:_FEW_NAMED])
    if rest := sum(len(queries) for _words, queries in found[_FEW_NAMED:]):
        yield f"- {rest} more queries with other matchers, and nothing else (`--all` lists them)"


def _matchers_line(words: str, found: Sequence[tuple[str, Change]], titles: Mapping[str, str]) -> str:
    pages = Counter(uid for uid, _change in found)
    named = few([f"{titles[uid]} ({number})" for uid, number in pages.most_common()], _MOST_NAMED)
    if len(pages) == 1:
        where, named = f"of {_titles(pages, titles)}", []
    else:
        where = f"on {len(pages)} pages"
    example = min((change for _uid, change in found), key=lambda change: len(change.old))
    return f"- **{len(found)} queries {where}**: {words}{': ' * bool(named)}{', '.join(named)}; such as {example.where}"


def _common(pages: Mapping[str, Sequence[Change]]) -> dict[tuple[str, str, str], list[str]]:
    """Return the changes that many pages have, each with their uids."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for uid, changes in pages.items():
        for change in changes:
            if change.where != "dashboard":
                found.setdefault(_key(change), {})[uid] = None
    return {key: [*uids] for key, uids in found.items() if len(uids) > MOST_ALIKE}


def _common_line(
    key: tuple[str, str, str], uids: Sequence[str], pages: Mapping[str, Sequence[Change]], titles: Mapping[str, str]
) -> str:
    """Return one line for what many pages have in common."""
    where, verb, before = key
    same = [change for uid in uids for change in pages[uid] if _key(change) == key]
    words = {verb: f"is {word}" for verb, word in _WORDS.items()} | {"title": f"was {before}"}
    kinds = ", ".join(dict.fromkeys(map(_kind, same)))
    others = [uid for uid in pages if uid not in uids]
    which = f"all but {_titles(others, titles)}" if others and len(others) < len(uids) else _titles(uids, titles)
    return f"- **{where}** {words.get(verb, f'changed ({kinds})')} on {len(uids)} pages: {which if others else 'all'}"


def _kind(change: Change) -> str:
    """Return in a word or some what of a panel changed."""
    said = in_words(change).what
    word = said.partition(" ")[0]
    return (
        word
        if word in (*_MEANING, "mapping")
        else re.sub(r"(?: of (?:column|series) .+)? (?:added|removed|changed)\b.*", "", said)
    )


def _titles(uids: Iterable[str], titles: Mapping[str, str]) -> str:
    return ", ".join(titles[uid] for uid in uids)


def _rest(changes: Sequence[Change], own: Sequence[Change]) -> str:
    """Return how many changes of a page there are, of meaning and of looks."""
    meaning = len(_of_meaning(changes))
    shared = f" ({meaning - len(own)} of them above)" if meaning > len(own) else ""
    looks = sum(map(is_of_looks, changes))
    return f"{meaning} of meaning{shared}, {looks} of looks"


def _only_looks(
    uids: Iterable[str], changed: Mapping[str, Sequence[Change]], titles: Mapping[str, str]
) -> Iterator[str]:
    """Yield a line for the pages of which only looks are not said yet."""
    counts = {uid: sum(map(is_of_looks, changed[uid])) for uid in uids}
    if named := ", ".join(f"{titles[uid]} ({count})" for uid, count in counts.items() if count):
        yield f"- only looks, which `--all` lists: {named}"


def _lines(changes: Sequence[Change], *, one_by_one: bool, is_tight: bool) -> list[str]:
    """Return the lines below a page: each change, or the panels by what became of them, on a line where it is tight."""
    if one_by_one:
        return [in_words(change).line() for change in changes]
    panels = [change for change in changes if not _is_part(change)]
    found = {
        "gone": [change.where for change in panels if _verb(change) == "removed"],
        "new": [change.where for change in panels if _verb(change) == "added"],
        "renamed": [
            f"{change.old} → {change.where.removeprefix('row ')}" for change in panels if _verb(change) == "title"
        ],
        **_changed(panels),
        # Bookmarks and links name them.
        "variables": [
            f"{change.where.partition(' ')[2]} {f'was {change.old}' if change.old else f'is {_WORDS[change.what]}'}"
            for change in changes
            if change.where.startswith("variable ") and change.what in (*_WORDS, "renamed")
        ],
        "also": few(_others(changes), _MOST_NAMED),
    }
    said = {word: [*dict.fromkeys(names)] for word, names in found.items() if names}
    if is_tight:
        parts = (f"{word}: {'; '.join(few(names, _FEW_NAMED))}" for word, names in said.items())
        return [f"- {'. '.join(f'{part[:1].upper()}{part[1:]}' for part in parts)}."]
    return [f"- {word}: {'; '.join(names)}" for word, names in said.items()]


def _is_part(change: Change) -> bool:
    """Tell whether a change is of a variable, an annotation or the page, not of a panel."""
    return change.where.startswith(("variable ", "annotation ")) or change.where == "dashboard"


def _changed(changes: Iterable[Change]) -> dict[str, list[str]]:
    """Return panels with what is other in them, those with no more than another query by themselves."""
    found = _kinds(change for change in changes if _word(change) in _MEANING)
    asking = [where for where, kinds in found.items() if kinds == ["query"]]
    return {
        "changed": [f"{where} ({', '.join(kinds)})" for where, kinds in found.items() if where not in asking],
        "other query": few(asking, _MOST_NAMED),
    }


def _others(changes: Iterable[Change]) -> list[str]:
    """Return all else that changed, of the page, its variables and its panels."""
    changes = [*changes]
    said = {
        change.where
        for change in changes
        if not _is_part(change) and (_verb(change) != "changed" or _word(change) in _MEANING)
    }
    found = _kinds(change for change in changes if _verb(change) == "changed" and change.where not in said)
    return [f"{where} ({', '.join(kinds)})" for where, kinds in found.items()]


def _kinds(changes: Iterable[Change]) -> dict[str, list[str]]:
    """Return of each part in words what changed, with values that are short."""
    found: dict[str, dict[str, None]] = {}
    for change in changes:
        kind = _kind(change)
        said = f"{change.what.removesuffix(' changed')} {change.old} → {change.new}" if kind in _SHORT else kind
        found.setdefault(change.where, {})[said] = None
    return {where: [*kinds] for where, kinds in found.items()}
