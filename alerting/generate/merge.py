"""Our branch of Alertmanager's configuration in a file of somebody else: between marks, all else as it was.

The text is spliced, not written by a YAML library: that would keep comments, but lose those beside entries of ours
that are replaced, and indent all lists in one way.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from ml_monitoring.alerting.generate import alertmanager, files
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.model.yamltext import list_lines
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import describe_read_error, read_text, replace_text
from ml_monitoring.exporter.yaml_syntax import describe

# Before the names of our receivers and times, and of the file of templates.
OWN: Final = "ml-monitoring"
_BEGIN: Final = f"# BEGIN {OWN}: written by `ml-monitoring alerts generate --into`, which replaces it"
_END: Final = f"# END {OWN}"
_MARKED: Final = re.compile(rf"[ \t]*# BEGIN {OWN}\b(?:(?!# BEGIN {OWN}\b).)*?# END {OWN}\b[^\n]*(?:\n|\Z)", re.DOTALL)
# What Alertmanager reads at the top of its file.
_SECTIONS: Final = frozenset(
    {"global", "templates", "route", "inhibit_rules", "receivers", "mute_time_intervals", "time_intervals", "tracing"}
)
_NULL: Final = "tag:yaml.org,2002:null"

Json = dict[str, Any]
# The lists that have entries of ours, by where they are.
_ROUTES: Final = ("route", "routes")
_Lists = Mapping[tuple[str, ...], Sequence[Any]]


def template_files() -> dict[str, str]:
    """Return the names of the templates beside their file, each with its name beside ours."""
    return {f"{OWN}-{name}": name for name in alertmanager.TEMPLATES}


def write_into(path: Path, thresholds: Thresholds) -> bool:
    """Put our branch into a file, and its templates beside it; return whether the file was changed.

    Raises:
        ConfigError: The file cannot be read, or is no configuration of Alertmanager, or ours has no place in it.
        OSError: Something cannot be written; then the file is as it was.
    """
    theirs = _text_of(path)
    text = merged(theirs, thresholds, str(path))
    # A link stays one.
    path = path.resolve()
    texts = files.templates()
    files.write({own: texts[name] for own, name in template_files().items()}, path.parent)
    return _replace(path, theirs, text)


def remove_from(path: Path) -> bool:
    """Give a file back as it was before ours came into it, and remove its templates; return whether it was changed.

    Raises:
        ConfigError: The file cannot be read, or lacks one of our marks.
        OSError: Something cannot be written.
    """
    text = _text_of(path)
    without = _without_ours(text, str(path))
    path = path.resolve()
    is_changed = _replace(path, text, without)
    for name in template_files():
        (path.parent / name).unlink(missing_ok=True)
    return is_changed


def lines_on_ours(text: str) -> list[int]:
    """Return the numbers of the lines of others that leave our alerts out, as `foreign_inhibition` asked for."""
    return [number for number, line in enumerate(text.splitlines(), 1) if f'!="{OWN}"' in line]


def _text_of(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {describe_read_error(error)}"]) from None


def _replace(path: Path, old: str, new: str) -> bool:
    if new == old:
        return False
    status = path.stat()

    def keep_rights(file: Path) -> None:
        os.chown(file, status.st_uid, status.st_gid)
        file.chmod(status.st_mode)

    replace_text(path, new, open_up=keep_rights)
    return True


def _without_ours(text: str, origin: str) -> str:
    bare = _MARKED.sub("", text)
    if f"# BEGIN {OWN}" in bare or f"# END {OWN}" in bare:
        raise ConfigError(list(_lost_marks(text, origin)))
    # A file without a newline at its end keeps that with ours in it, too.
    return bare if text.endswith("\n") else bare.removesuffix("\n")


def _lost_marks(text: str, origin: str) -> Iterator[str]:
    """Yield which marks lack the one that belongs to them."""
    begun = 0
    for number, line in enumerate(text.splitlines(), 1):
        is_begin, is_end = f"# BEGIN {OWN}" in line, f"# END {OWN}" in line
        if begun and is_begin:
            yield f"{origin}:{begun}: {_lost(f'# BEGIN {OWN}', _END, 'below')}"
        if is_end and not begun:
            yield f"{origin}:{number}: {_lost(_END, f'# BEGIN {OWN}', 'above')}"
        if is_begin or is_end:
            begun = number if is_begin else 0
    if begun:
        yield f"{origin}:{begun}: {_lost(f'# BEGIN {OWN}', _END, 'below')}"


def _lost(mark: str, other: str, where: str) -> str:
    return f"one of our marks, `{mark}`, has no `{other}` {where} it: delete that line, and what is ours {where} it"


def merged(theirs: str, thresholds: Thresholds, origin: str) -> str:
    """Return the text of their configuration with our branch in it, in place of the one that is in it.

    Args:
        theirs: The text of their file.
        thresholds: Our settings.
        origin: What the file is called in messages.

    Raises:
        ConfigError: The file is no configuration of Alertmanager, or ours has no place in it.
    """
    if not thresholds.alert_labels:
        raise ConfigError(
            [
                "--into: alert_labels of the settings has no label that tells our alerts from those of others: "
                f"add e.g. `alert_labels: {{stack: {OWN}}}`"
            ]
        )
    bare = _without_ours(theirs, origin)
    has_end = bare.endswith("\n")
    if not has_end:
        bare += "\n"
    before = _read(bare, origin)
    ours = _lists(thresholds)
    _refuse_same_names(before, ours, origin)
    text = _Text(bare, origin)
    for path, items in ours.items():
        text.add(path, items)
    result = text.spliced() if has_end else text.spliced().removesuffix("\n")
    if _without(_read(result, origin), ours) != _without(before, {}):
        raise ConfigError(
            [f"{origin}: ours has no place in it: write out what anchors, aliases and merge keys stand for"]
        )
    return result


def _lists(thresholds: Thresholds) -> _Lists:
    config = alertmanager.build(thresholds=thresholds)
    # The labels alone: whatever has them is ours, also where a team has no route.
    matchers = [f'{name}="{value}"' for name, value in thresholds.alert_labels.items()]
    lists: dict[tuple[str, ...], Sequence[Any]] = {
        ("templates",): list(template_files()),
        ("time_intervals",): [_renamed(interval) for interval in config.get("time_intervals", ())],
        _ROUTES: [_routed({"matchers": matchers, **config["route"]})],
        ("inhibit_rules",): config["inhibit_rules"],
        ("receivers",): [_renamed(receiver) for receiver in config["receivers"]],
    }
    return {path: items for path, items in lists.items() if items}


def _own(name: str) -> str:
    return f"{OWN}-{name}"


def _renamed(named: Mapping[str, Any]) -> Json:
    return {**named, "name": _own(named["name"])}


def _routed(route: Mapping[str, Any]) -> Json:
    """Return a route with our names of receivers and times."""
    changed = dict(route)
    if "receiver" in route:
        changed["receiver"] = _own(route["receiver"])
    if "mute_time_intervals" in route:
        changed["mute_time_intervals"] = [_own(name) for name in route["mute_time_intervals"]]
    if "routes" in route:
        changed["routes"] = [_routed(child) for child in route["routes"]]
    return changed


def _read(text: str, origin: str) -> Json:
    """Return what a configuration of Alertmanager holds."""
    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        # Without the excerpt, which may hold a password.
        where = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError([f"{origin}{where}: not valid YAML: {describe(error)}"]) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        raise ConfigError([f"{origin}: not valid YAML"]) from None
    problem = _why_no_configuration(content)
    if problem:
        raise ConfigError([f"{origin}: is no configuration of Alertmanager: {problem}"])
    configuration: Json = content
    return configuration


def _why_no_configuration(content: object) -> str:
    if not isinstance(content, dict):
        return "it is no mapping of sections"
    foreign = sorted(str(key) for key in content if key not in _SECTIONS)
    if foreign:
        return f"Alertmanager knows no {', '.join(foreign)}"
    route = content.get("route")
    if not isinstance(route, dict) or "receiver" not in route:
        return "it has no route with a receiver, where all alerts go at first"
    receivers = content.get("receivers")
    if not isinstance(receivers, list) or not all(isinstance(one, dict) and "name" in one for one in receivers):
        return "it has no list of receivers with names"
    return ""


def _refuse_same_names(before: Json, ours: _Lists, origin: str) -> None:
    for section in ("receivers", "time_intervals"):
        own = {one["name"] for one in ours.get((section,), ())}
        found = [one["name"] for one in before.get(section) or () if one["name"] in own]
        if found:
            names = ", ".join(found)
            raise ConfigError([f"{origin}: {section}: {names}: has a name of ours, outside of our marks: delete it"])


def _without(config: Json, ours: _Lists) -> Json | None:
    """Return a configuration without our entries and what is empty; None where ours are not as they should be."""
    rest = deepcopy(config)
    for path, items in ours.items():
        *above, name = path
        holder = rest
        for step in above:
            holder = holder[step]
        found = holder.get(name) or []
        if found[: len(items)] != json.loads(json.dumps(items)):
            return None
        holder[name] = found[len(items) :]
    # An empty list is one that is not there.
    for holder in (rest, rest["route"]):
        for name in [key for key, value in holder.items() if value is None or value == []]:
            del holder[name]
    return rest


@dataclass(frozen=True, slots=True)
class _Splice:
    index: int
    text: str


class _Text:
    """Their text, and what is put into it where."""

    def __init__(self, text: str, origin: str) -> None:
        self._text = text
        self._origin = origin
        self._newline = "\r\n" if "\r\n" in text else "\n"
        # `_read` saw that it is one.
        self._root = cast("yaml.MappingNode", yaml.compose(text, Loader=yaml.SafeLoader))
        self._splices: list[_Splice] = []

    def add(self, path: Sequence[str], items: Sequence[Any]) -> None:
        """Put items at the head of a list, which is made where there is none."""
        above, place = self._root, self._root.end_mark.index
        for name in path[:-1]:
            entry = _entry(above, name)
            # A merge key may hold what `_read` found.
            if entry is None or not isinstance(entry[1], yaml.MappingNode):
                raise ConfigError([f"{self._origin}: {name}: write it out, so that ours has a place"])
            place, above = self._after_line(entry[0]), entry[1]
        found = _entry(above, path[-1])
        if found is None:
            self._add_key(above, path[-1], items, place)
            return
        key, value = found
        is_empty = value.tag == _NULL and value.start_mark.index == value.end_mark.index
        if isinstance(value, yaml.SequenceNode) and value.start_mark.index > key.start_mark.index:
            if value.flow_style:
                self._splice(value.start_mark.index + 1, _inline(items))
            else:
                self._splice(self._after_line(key), list_lines(items), column=value.start_mark.column)
        elif is_empty and not above.flow_style:
            self._splice(self._after_line(key), list_lines(items), column=key.start_mark.column + 2)
        else:
            where = f"{self._origin}:{key.start_mark.line + 1}"
            raise ConfigError([f"{where}: {'.'.join(path)}: write it as a list, so that ours has a place"])

    def spliced(self) -> str:
        """Return the text with all that was added."""
        parts, taken = [], 0
        # In the order of their places; what has the same one, in the order in which it was added.
        for splice in sorted(self._splices, key=lambda one: one.index):
            parts += [self._text[taken : splice.index], splice.text]
            taken = splice.index
        return "".join((*parts, self._text[taken:]))

    def _add_key(self, above: yaml.MappingNode, name: str, items: Sequence[Any], place: int) -> None:
        if above.flow_style:
            self._splice(above.start_mark.index + 1, [f"{json.dumps(name)}: [", *_inline(items), "],"])
        else:
            column = 0 if above is self._root else above.start_mark.column
            self._splice(place, [f"{name}:", *(f"  {line}" for line in list_lines(items))], column=column)

    def _splice(self, index: int, lines: Iterable[str], *, column: int | None = None) -> None:
        """Add marked lines: at a column from where a line begins, or behind an opening bracket."""
        indented = " " * (2 if column is None else column)
        first = " " if column is None else indented
        marked = (first + _BEGIN, *(f"{indented}{line}" for line in lines), indented + _END, "")
        self._splices.append(_Splice(index, self._newline.join(marked)))

    def _after_line(self, node: yaml.Node) -> int:
        """Return where the line after the one that a node ends in begins."""
        end = self._text.find("\n", node.end_mark.index)
        return len(self._text) if end < 0 else end + 1


def _entry(mapping: yaml.MappingNode, name: str) -> tuple[yaml.Node, Any] | None:
    return next(((key, value) for key, value in mapping.value if key.value == name), None)


def _inline(items: Sequence[Any]) -> Iterator[str]:
    """Yield the entries of a list in brackets."""
    yield from (f"{json.dumps(item, ensure_ascii=False)}," for item in items)
