"""Files of the folder of extensions: found, read, and what each kind may say in common."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, StrictStr, WithJsonSchema

from ml_monitoring.exporter.catalog import CATALOG, Unit
from ml_monitoring.exporter.errors import ConfigError, collecting
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import LABEL_PATTERN
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all
from ml_monitoring.exporter.validation import Checked, check
from ml_monitoring.exporter.values import refuse
from ml_monitoring.exporter.yaml_files import read_yaml

LabelName = Annotated[str, Field(strict=True, pattern=LABEL_PATTERN)]
Text = Annotated[StrictStr, Field(min_length=1)]


class Measure(NamedTuple):
    """Unit of values of a user's.

    Attributes:
        unit: One of ours.
        suffix: What stands behind each number, where none of ours fits.
    """

    unit: Unit
    suffix: str = ""


def _measure(given: object) -> Measure:
    text = given if isinstance(given, str) else ""
    if text in list(Unit):
        return Measure(Unit(text))
    # As Grafana writes it.
    kind, _, suffix = text.partition(":")
    if kind == "suffix" and suffix.strip() and suffix.isprintable():
        return Measure(Unit.ANY, suffix.strip())
    meant = suggestion_or_all(str(given), list(Unit))
    raise ValueError(f"{given!r} is no unit{meant}; one of your own is written suffix:kg")


OwnUnit = Annotated[
    Measure,
    PlainValidator(_measure),
    WithJsonSchema({"anyOf": [{"enum": list(Unit)}, {"type": "string", "pattern": r"^suffix:\s*\S"}]}),
]

# Of every expression, beside those of the settings.
PLACEHOLDERS: Final = ("filter", "place", "window")
# Names that only the exporter gives out; quoted texts come first, so that none of them is taken for one.
_RESERVED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|\b(ml_monitoring_\w+)')
# Keys that files of one kind have, and none of another kind.
_TELLING: Final[Mapping[str, Sequence[str]]] = {
    "alerts": ("threshold", "for", "severity", "summary", "description"),
    "rules": ("rules",),
    "pages": ("rows",),
    "panels": ("kind", "alert", "thresholds", "width"),
    "queries": ("sources",),
}
_Model = TypeVar("_Model", bound=BaseModel)


def _of_known_series(expr: str) -> str:
    refuse(unknown_series(expr))
    return expr


PromQL = Annotated[StrictStr, AfterValidator(_of_known_series)]


def definitions(
    folder: Path, kind: str, problems: list[str], suffixes: Sequence[str] = (".yml", ".yaml")
) -> list[Path]:
    """Return the files of one kind in their order; those of which two have one name are problems."""
    found: dict[str, Path] = {}
    for path in sorted((folder / kind).glob("*")):
        if path.suffix in suffixes and not path.name.startswith((".", "_")):
            if other := found.get(path.stem):
                problems.append(f"{path}: {other.name} has this name too")
            found.setdefault(path.stem, path)
    return list(found.values())


def queries(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the settings of the folder's queries by their names; files that cannot be read are for `check` to name."""
    found: dict[str, dict[str, Any]] = {}
    for path in definitions(folder, "queries", []):
        try:
            sources = read_yaml(path).get("sources")
        except ConfigError:
            continue
        given = sources.get("queries") if isinstance(sources, dict) else None
        for name, query in given.items() if isinstance(given, dict) else ():
            if isinstance(query, dict):
                found[str(name)] = query
    return found


def read_definition(path: Path, model: type[_Model]) -> tuple[_Model, Layers]:
    """Return what a YAML file says, and where.

    Raises:
        ConfigError: It cannot be meant; each problem with its line.
    """
    layers = Layers.of_file(path)
    checked = check(layers, model)
    if checked.problems or checked.usable is None:
        raise ConfigError(layers.sentences(checked.problems))
    return checked.usable, layers


def _other_kind(kind: str, data: Mapping[str, Any]) -> str:
    """Return the folder that a file belongs into by its keys; empty where that is its own, or nobody can tell."""
    if any(key in data for key in _TELLING[kind]):
        return ""
    others = [other for other, keys in _TELLING.items() if any(key in data for key in keys)]
    return others[0] if len(others) == 1 else ""


def alert_of_prometheus(name: object) -> str:
    """Return what is to be done with an alert as Prometheus has it."""
    alert = f" {name}" if re.fullmatch(r"\w+", str(name)) else ""
    return (
        f"is an alert as Prometheus has it: `ml-monitoring new alert{alert}` writes one of your own, which takes its "
        "`expr`; or name this file in `rule_files` of Prometheus"
    )


def _of_prometheus(kind: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the key by which a file is one of Prometheus's rules, and what is to be done with it; None for others."""
    groups = data.get("groups")
    given = [group.get("rules") for group in groups if isinstance(group, dict)] if isinstance(groups, list) else []
    rules = [rule for each in (*given, data.get("rules")) if isinstance(each, list) for rule in each]
    alerts = [rule["alert"] for rule in rules if isinstance(rule, dict) and "alert" in rule]
    if kind == "alerts" and "alert" in data:
        return "alert", alert_of_prometheus(data["alert"])
    if alerts and (groups or kind == "alerts"):
        return ("groups" if groups else "rules"), alert_of_prometheus(alerts[0])
    if groups:
        return "groups", (
            "are rules as Prometheus has them: `ml-monitoring new rule` writes a file of your own, whose `rules` take "
            "them; or name this file in `rule_files` of Prometheus"
        )
    return None


def read_each(
    folder: Path, kind: str, model: type[_Model], problems: list[str]
) -> Iterator[tuple[Path, Checked[_Model], Layers]]:
    """Yield the files of one kind, with what of each can be used; what is wrong is then added to the problems.

    What is found until the next one is asked for belongs into `Checked.problems`, too.
    """
    for path in definitions(folder, kind, problems):
        with collecting(problems):
            layers = Layers.of_file(path)
            if not layers.data:
                new = f"`ml-monitoring new {kind.removesuffix('s')} {shlex.quote(path.stem)}`"
                raise ConfigError([f"{path}: is empty: delete it; {new} writes one that works"])
            if foreign := _of_prometheus(kind, layers.data):
                raise ConfigError([layers.problem((foreign[0],), foreign[1])])
            if other := _other_kind(kind, layers.data):
                raise ConfigError([f"{path}: this looks like one of {other}: it belongs into {folder / other}"])
            checked = check(layers, model)
            yield path, checked, layers
            problems += layers.sentences(checked.problems)


def without_value(error: ValueError, known: Iterable[str]) -> str:
    """Return the sentence about a placeholder that stands for nothing, without all that there are."""
    said = str(error).partition(" in ")[0]
    return f"{said}{suggestion(said.partition('<')[2].rstrip('>'), known)}"


def unknown_series(expr: str) -> Iterator[str]:
    """Yield what is wrong with names in PromQL that only the exporter can give out."""
    known = {name for metric in CATALOG.values() for name in metric.sample_names}
    for name in dict.fromkeys(filter(None, _RESERVED.findall(expr))):
        if name not in known:
            yield f"the exporter has no metric {name}{suggestion(name, known)}"
