"""What a new version of dashboards changes for those who look at them, on about two screens, as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from textwrap import indent
from typing import Any, Final

from ml_monitoring.dashboards.publish import same_changes
from ml_monitoring.dashboards.publish.changes import OWN, pages_of, title_of
from ml_monitoring.dashboards.publish.looks import is_of_looks
from ml_monitoring.dashboards.publish.words import in_words, line_of
from ml_monitoring.exporter.differences import MOST_ALIKE, Change, escaped, few

Json = dict[str, Any]

# So many changes of a page are listed one by one, or so many of all pages; of more, panels are named.
_FEW: Final = 6
_FEW_IN_ALL: Final = 30
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
# What has another name.
_WAS: Final = ("title", "renamed")
# Of what came so much is said.
_LONGEST: Final = 200


def digest(old: Mapping[str, Json], new: Mapping[str, Json], commands: Mapping[str, str]) -> str:
    """Return the differences of dashboards by uid, own ones first; empty when there are none.

    Pages that came and went are followed by what many pages have in common, then by what each has of its own. Of a
    single page, or where there are few changes, all is listed but what changes looks.

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
    folded = same_changes.same_changes({uid: _of_meaning(changes) for uid, changes in changed.items()})
    ids = [(uid, one) for uid, changes in changed.items() for one in changes if one.what == "id changed"]
    ids = ids if len(ids) > MOST_ALIKE else []
    alike = {(uid, change) for found in (*folded.values(), ids) for uid, change in found}
    rest = {uid: [one for one in _of_meaning(changes) if (uid, one) not in alike] for uid, changes in changed.items()}
    common = _common(rest)
    own = {
        uid: [change for change in changes if uid not in common.get(_key(change), ())] for uid, changes in rest.items()
    }
    listed = {uid: [*_together(changes)] for uid, changes in own.items()}
    is_all_short = len(pages) == 1 or sum(map(len, listed.values())) <= _FEW_IN_ALL
    is_short = {uid: is_all_short or len(changes) <= _FEW for uid, changes in listed.items()}
    is_tight = len(is_short) - sum(is_short.values()) > _MOST_PAGES
    sections = {
        "Pages that are gone": [f"- **{escaped(titles[uid])}** (`{uid}`)" for uid in pages if uid not in new],
        "New pages": [
            f"- **{escaped(titles[uid])}** (`{uid}`): {new[uid].get('description') or changes[0].what}"
            for uid, changes in pages.items()
            if uid not in old
        ],
        "In many places": [*same_changes.lines(folded, titles)],
        "On several pages": [
            "\n".join(_common_lines(key, uids, rest, titles))
            for key, uids in sorted(common.items(), key=lambda one: -len(one[1]))
        ],
        "Changed pages": [
            "\n".join(
                [
                    f"- **{escaped(titles[uid])}** (`{uid}`): {_rest(changed[uid], changes)}",
                    *(
                        indent(line, "  ")
                        for line in (
                            [line_of(_cut(change)) for change in listed[uid]]
                            if is_short[uid]
                            else _lines(changes, is_tight=is_tight and not uid.startswith(OWN))
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
    if ids:
        numbers = Counter(uid for uid, _change in ids)
        named = ", ".join(
            few([f"{escaped(titles[uid])} ({number})" for uid, number in numbers.most_common()], _MOST_NAMED)
        )
        summary.append(
            f"- links to a single panel: {len(ids)} panels have another number (`--all` lists them): {named}"
        )
    summary += [
        f"- {escaped(titles[uid])} (`{uid}`): unchanged" for uid in pages if uid.startswith(OWN) and not pages[uid]
    ]
    said = [f"### {title}\n\n" + "\n".join(lines) for title, lines in sections.items() if lines]
    return "\n\n".join(["\n".join(summary), *said, *_hint(changed, is_short, titles, commands)])


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
    """Return what changes what a page says."""
    return [change for change in changes if not is_of_looks(change)]


def _together(changes: Iterable[Change]) -> Iterator[Change]:
    """Return the changes, and one in place of those that are the same of more than a few parts."""
    alike: dict[tuple[str, str, str], list[Change]] = {}
    for change in changes:
        # What came and went is named.
        key = (change.what, change.old, change.new) if _verb(change) == "changed" else (change.where, change.what, "")
        alike.setdefault(key, []).append(change)
    for same in alike.values():
        if len(same) <= MOST_ALIKE:
            yield from same
            continue
        kind = "places" if any(_is_part(change) or ", query " in change.where for change in same) else "panels"
        named = ", ".join(few([change.where for change in same], _FEW_NAMED))
        yield replace(same[0], where=f"{len(same)} {kind} ({named})")


def _cut(change: Change) -> Change:
    """Return a change without the end of a long query that came: there is nothing to compare it with."""
    is_long = _verb(change) == "added" and len(change.new) > _LONGEST
    return replace(change, new=f"{change.new[:_LONGEST]}...") if is_long else change


def _word(change: Change) -> str:
    return change.what.partition(" ")[0]


def _verb(change: Change) -> str:
    """Return the kind of a change; all of a panel that is there before and after are one."""
    word = _word(change)
    return word if word in ("added", "removed", "renamed", "title") else "changed"


def _key(change: Change) -> tuple[str, str, str]:
    """Return by what the same change is recognised on another page, in other words perhaps."""
    verb = _verb(change)
    return change.where, verb, change.old if verb in _WAS else ""


def _common(pages: Mapping[str, Sequence[Change]]) -> dict[tuple[str, str, str], list[str]]:
    """Return the changes that many pages have, each with their uids."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for uid, changes in pages.items():
        for change in changes:
            if change.where != "dashboard" or _word(change) not in ("uid", "title"):
                found.setdefault(_key(change), {})[uid] = None
    return {key: [*uids] for key, uids in found.items() if len(uids) > MOST_ALIKE}


def _common_lines(
    key: tuple[str, str, str], uids: Sequence[str], pages: Mapping[str, Sequence[Change]], titles: Mapping[str, str]
) -> Iterator[str]:
    """Yield what many pages have in common, and what of it changed on how many of them."""
    where, verb, before = key
    words = {verb: f"is {word}" for verb, word in _WORDS.items()} | dict.fromkeys(_WAS, f"was {escaped(before)}")
    others = [uid for uid in pages if uid not in uids]
    which = f"all but {_titles(others, titles)}" if others and len(others) < len(uids) else _titles(uids, titles)
    yield f"- **{escaped(where)}** {words.get(verb, verb)} on {len(uids)} pages: {which if others else 'all'}"
    if verb in words:
        return
    found: dict[str, list[tuple[str, Change]]] = {}
    for uid in uids:
        for change in pages[uid]:
            if _key(change) == key:
                found.setdefault(change.what, []).append((uid, change))
    kinds = sorted(found.values(), key=lambda same: -len(same))
    for same in kinds[:_FEW_NAMED]:
        yield from (f"  {line}" for line in _examples(same, len(uids), titles))
    if rest := sum(map(len, kinds[_FEW_NAMED:])):
        yield f"  - {rest} more changes, which `--all` lists"


def _examples(same: Sequence[tuple[str, Change]], pages: int, titles: Mapping[str, str]) -> Iterator[str]:
    """Yield one kind of change with its values: each where there are few, else the shortest one."""
    values: dict[tuple[str, str], list[tuple[str, Change]]] = {}
    for uid, change in same:
        values.setdefault((change.old, change.new), []).append((uid, change))
    is_few = len(values) <= MOST_ALIKE
    groups = [*values.values()] if is_few else [[*same]]
    for group in groups:
        uids = [*dict.fromkeys(uid for uid, _change in group)]
        uid, example = min(group, key=lambda one: len(one[1].old) + len(one[1].new))
        which = "all" if len(uids) == pages else _titles(uids, titles)
        if len(uids) not in (pages, *range(1, MOST_ALIKE + 1)):
            which = f"{len(uids)} of them"
        where = which if is_few else f"{which}, such as {escaped(titles[uid])}"
        yield from replace(in_words(_cut(example)), where=where).line().splitlines()


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
    return ", ".join(escaped(titles[uid]) for uid in uids)


def _rest(changes: Sequence[Change], own: Sequence[Change]) -> str:
    """Return how many changes of a page there are, of meaning and of looks."""
    meaning = len(_of_meaning(changes))
    shared = f" ({meaning - len(own)} of them above)" if meaning > len(own) else ""
    looks = sum(map(is_of_looks, changes))
    return f"{meaning} of meaning{shared}{f', {looks} of looks' if looks else ''}"


def _only_looks(
    uids: Iterable[str], changed: Mapping[str, Sequence[Change]], titles: Mapping[str, str]
) -> Iterator[str]:
    """Yield a line for the pages of which only looks are not said yet."""
    counts = {uid: sum(map(is_of_looks, changed[uid])) for uid in uids}
    if named := ", ".join(f"{escaped(titles[uid])} ({count})" for uid, count in counts.items() if count):
        yield f"- only looks, which `--all` lists: {named}"


def _lines(changes: Sequence[Change], *, is_tight: bool) -> list[str]:
    """Return the lines below a page: the panels by what became of them, on a line where it is tight."""
    panels = [change for change in changes if not _is_part(change)]
    found = {
        "gone": [change.where for change in panels if _verb(change) == "removed"],
        "new": [change.where for change in panels if _verb(change) == "added"],
        "renamed": [
            f"{change.old} → {change.where.removeprefix('row ')}" for change in panels if _verb(change) == "title"
        ],
        **_changed(panels),
        # Bookmarks and links name them.
        "variables": [*_listed("variable", changes)],
        "annotations": [*_listed("annotation", changes)],
        "also": few(_others(changes), _MOST_NAMED),
    }
    said = {word: [*map(escaped, dict.fromkeys(names))] for word, names in found.items() if names}
    if is_tight:
        parts = (f"{word}: {'; '.join(few(names, _FEW_NAMED))}" for word, names in said.items())
        return [f"- {'. '.join(f'{part[:1].upper()}{part[1:]}' for part in parts)}."]
    return [f"- {word}: {'; '.join(names)}" for word, names in said.items()]


def _listed(kind: str, changes: Iterable[Change]) -> Iterator[str]:
    """Yield the variables or annotations that came, went, or have another name."""
    for change in changes:
        if change.where.startswith(f"{kind} ") and change.what in (*_WORDS, "renamed"):
            what = f"was {change.old}" if change.what == "renamed" else f"is {_WORDS[change.what]}"
            yield f"{change.where.partition(' ')[2]} {what}"


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
