"""Alerts and recording rules of a user's own: YAML files in a folder that no upgrade touches.

The setting `extensions` names the folder. It holds `alerts/<Name>.yml`, `rules/<name>.yml`, `runbooks/<Name>.md` and
`tests/<Name>.test.yml`; pages and panels beside them are read by `dashboards.extensions`. What is read here becomes
`Thresholds.own_alerts` and `own_records`, so that all that knows ours knows these: rules, routes, colours, tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ml_monitoring.alerting.domains import ALERTS, SIGNALS, load_alerts
from ml_monitoring.alerting.extension_alerts import OwnAlert
from ml_monitoring.alerting.extension_files import (
    PLACEHOLDERS,
    definitions,
    read_definition,
    read_each,
    without_value,
)
from ml_monitoring.alerting.extension_pages import OwnPage, OwnPanelFile
from ml_monitoring.alerting.extension_rules import OwnRules, rule_problems
from ml_monitoring.alerting.model.alert import Alert
from ml_monitoring.alerting.model.foreign import TARGET_LABELS
from ml_monitoring.alerting.model.placeholders import UnknownPlaceholderError
from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.model.signal import UID_PREFIX
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import describe_read_error, read_text
from ml_monitoring.exporter.runbooks import unfilled
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all
from ml_monitoring.exporter.validation import fitting
from ml_monitoring.exporter.yaml_files import Places

# No page of ours begins so.
OWN_UID_PREFIX: Final = f"{UID_PREFIX}own-"
RUNBOOK_HEADINGS: Final = ("Meaning", "Impact", "Diagnosis", "Causes", "Mitigation", "Silence", "Configuration")
# What the folder may hold; others are not looked into.
FOLDERS: Final = ("alerts", "rules", "runbooks", "tests", "pages", "panels", "queries", "sources", "schemas")

_YAML: Final = (".yml", ".yaml")
_DEFINING: Final = (*_YAML, ".py")
# What is read directly in each folder; sources are packages, and editors read schemas.
_ENDINGS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("alerts", "rules", "panels", "queries"), _YAML),
    "pages": _DEFINING,
    "runbooks": (".md",),
    "tests": (".test.yml",),
}
# What is taken for a definition where only those stand: Grafana's JSON, Prometheus's rules, a text.
_NEARLY_DEFINING: Final = (".json", ".txt", ".rules", ".toml", ".jsonnet", ".libsonnet")
_DEFINED: Final = ("alerts", "rules", "panels", "queries", "pages")
_OTHERS_OWN: Final = ("sources", "schemas")

_CALLED: Final = "call the file by at most 22 small letters, digits and dashes"
_OWN_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,21}")
_ALERT_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]*")
_LABEL_IN_TEMPLATE: Final = re.compile(r"\$labels\.(\w+)")
# A comparison with a number at the end of PromQL, and what may stand before it so that it guards another value.
_COMPARES: Final = re.compile(r"([<>]=?\s*(?:[-+]?[\d.]+(?:e[-+]?\d+)?|<\w+\.threshold>))\s*$", re.IGNORECASE)
_SETS: Final = re.compile(r"\b(?:and|or|unless)\b", re.IGNORECASE)
_OF_RULES: Final = ("severity", "team", "source", "action")


@dataclass(slots=True)
class Extensions:
    """What the folder says of alerts and recording rules.

    Attributes:
        folder: The folder.
        alerts: The alerts.
        layers: Their numbers as settings, each with its file and line; see `load_layers`.
        files: The file of each alert as it was read, by name, of those too that cannot be used.
        records: The recording rules, each with its file and its place there, in their order.
        left_out: Settings of alerts of which nothing can be said, as they stand for what cannot be used.
    """

    folder: Path
    alerts: list[Alert] = field(default_factory=list)
    layers: list[tuple[dict[str, Any], Places]] = field(default_factory=list)
    files: dict[str, Layers] = field(default_factory=dict)
    records: list[tuple[Record, Layers, Location]] = field(default_factory=list)
    left_out: set[Location] = field(default_factory=set)

    def problems(self, thresholds: Thresholds) -> Iterator[str]:
        """Yield where alerts and rules name something that there is not, each with its file and line."""
        ours = {alert.name for alert in self.alerts}
        for bound in load_alerts(thresholds):
            if bound.name in ours and ("alerts", bound.name, "expr") not in self.left_out:
                try:
                    bound.rule  # noqa: B018  # the placeholders are filled
                except UnknownPlaceholderError as error:
                    said = without_value(error, (*bound.scope, *PLACEHOLDERS))
                    yield self.files[bound.name].problem(("expr",), said)
                except ValueError:
                    # A threshold that is none is named where it stands, by `misfits`.
                    continue
        values = thresholds.section_placeholders() | thresholds.scope()
        for record, layers, place in self.records:
            try:
                record.rule(values)
            except ValueError as error:
                yield layers.problem((*place, "expr"), without_value(error, values))


def folder_of(layers: Layers, *, begun: bool = True) -> Path | None:
    """Return the folder that the settings name.

    Args:
        layers: The settings.
        begun: Whether it must be there.

    Raises:
        ConfigError: It is none.
    """
    given = layers.data.get("extensions")
    if not isinstance(given, str):
        return None
    place = layers.place(("extensions",))
    folder = (Path(place.origin).parent if place else Path()) / Path(given).expanduser()
    if not folder.is_dir():
        if not begun and not folder.exists():
            return folder
        hint = "" if folder.exists() else "; `ml-monitoring new` makes it"
        raise ConfigError([layers.problem(("extensions",), f"{folder} is no folder{hint}")])
    unknown = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in FOLDERS]
    if meant := [
        f"{folder / name}: nothing reads this folder{near}" for name in unknown if (near := suggestion(name, FOLDERS))
    ]:
        raise ConfigError(meant)
    return folder


def read(folder: Path, problems: list[str]) -> Extensions:
    """Return the alerts and recording rules of a folder, as far as they can be used.

    Args:
        folder: The folder.
        problems: Gets all that is wrong with its files, each with file and line.
    """
    own = Extensions(folder)
    for path, checked, layers in read_each(folder, "alerts", OwnAlert, problems):
        name, given = path.stem, checked.usable
        own.files[name] = layers
        problems += _check_runbook(folder / "runbooks" / f"{name}.md", name)
        if given is None:
            continue
        checked.problems += fitting(checked, _check(name, given, folder))
        own.alerts.append(given.alert(name, page_uid(given.page, folder) or given.page))
        own.layers.append(_numbers(name, given, layers))
        own.left_out |= {("alerts", name, *location) for location in checked.left_out}
        if checked.touches(("threshold",)) or checked.touches(("unit",)):
            own.left_out |= {("alerts", name, "threshold"), ("alerts", name, "unit")}
    own.records += _records(folder, problems)
    _check_pages(folder, problems)
    return own


def _records(folder: Path, problems: list[str]) -> Iterator[tuple[Record, Layers, Location]]:
    """Yield the recording rules in their order; what is wrong with them is added to the problems."""
    taken: dict[str, Path] = {}
    for path, checked, layers in read_each(folder, "rules", OwnRules, problems):
        if checked.usable is None:
            continue
        found = rule_problems(path, checked.usable, taken)
        checked.problems += fitting(checked, found)
        for number, rule in enumerate(checked.usable.rules):
            if not checked.touches(at := checked.original(("rules", number))):
                yield rule.record_of(), layers, at


def _check_pages(folder: Path, problems: list[str]) -> None:
    """Add what is wrong with the files of pages and panels; who draws them reads them again."""
    list(read_each(folder, "pages", OwnPage, problems))
    pages = definitions(folder, "pages", [], _DEFINING)
    problems += [f"{path}: {problem}" for path in pages if (problem := page_name_problem(path.stem))]
    for _, checked, layers in read_each(folder, "panels", OwnPanelFile, problems):
        page = layers.value(("page",))
        if isinstance(page, str) and page and not page_uid(page, folder):
            checked.problems.append((("page",), no_page(page, folder)))


def page_uid(name: str, folder: Path) -> str:
    """Return the uid of a page of ours or of the folder; empty where there is none of this name."""
    uid = name if name.startswith(UID_PREFIX) else f"{UID_PREFIX}{name}"
    if uid in our_pages():
        return uid
    stem = name.removeprefix(OWN_UID_PREFIX)
    exists = any((folder / "pages" / f"{stem}{suffix}").is_file() for suffix in (".yml", ".yaml", ".py"))
    return own_uid(stem) if exists else ""


def own_uid(name: str) -> str:
    """Return the uid of a page of the folder."""
    return f"{OWN_UID_PREFIX}{name}"


def page_name_problem(name: str) -> str:
    """Return why a file cannot be a page, by its name; empty where it can."""
    called = panel_name_problem(name)
    return f"{called}: it is a part of the page's address" if called else ""


def panel_name_problem(name: str) -> str:
    """Return why a panel's file cannot be called so; empty where it can."""
    return "" if _OWN_NAME.fullmatch(name) else _CALLED


def alert_name_problem(name: str) -> str:
    """Return why an alert cannot be called so; empty where it can."""
    if not _ALERT_NAME.fullmatch(name):
        return "call it in letters and digits with a capital first, such as ShopOrdersWaiting"
    if name in {alert.name for alert in ALERTS}:
        return f"the stack has an alert {name}; its numbers are changed in the settings, this one needs another name"
    return ""


def runbooks(thresholds: Thresholds) -> dict[str, Path]:
    """Return the runbooks of the user's own alerts by the alerts' names."""
    folder = Path(thresholds.extensions or "") / "runbooks"
    return {alert.name: folder / f"{alert.name}.md" for alert in thresholds.own_alerts}


def unread(folder: Path) -> Iterator[str]:
    """Yield the sentence about each file of a folder that looks like a definition, and is where nothing reads it."""
    others = [name for name in FOLDERS if name not in ("alerts", *_OTHERS_OWN)]
    for path in sorted(folder.rglob("*")):
        kind, *below = path.relative_to(folder).parts
        read_as = (*_DEFINING, *_NEARLY_DEFINING) if kind in _DEFINED and below else _DEFINING
        if path.suffix.lower() not in read_as or any(part.startswith((".", "_")) for part in (kind, *below)):
            continue
        endings = _ENDINGS.get(kind, ())
        if kind in _OTHERS_OWN or (len(below) == 1 and path.name.endswith(endings) and path.is_file()):
            continue
        why = (
            f"here it would end in {' or '.join(endings)}"
            if len(below) == 1 and endings
            else f"alerts belong into {folder / 'alerts'}, the others into {', '.join(others)} beside it"
        )
        yield f"{path}: nothing reads it; {why}"


def unfilled_runbooks(thresholds: Thresholds) -> Iterator[str]:
    """Yield the sentence about each own runbook that still has text of the template."""
    yield from filter(None, map(unfilled, runbooks(thresholds).values()))


def recorded_by_file(folder: Path) -> dict[str, list[str]]:
    """Return the series that each file of rules records, by the file's name.

    Raises:
        ConfigError: A file cannot be used.
    """
    read_files = ((path.stem, read_definition(path, OwnRules)[0]) for path in definitions(folder, "rules", []))
    return {name: [rule.record for rule in given.rules] for name, given in read_files}


def our_pages() -> frozenset[str]:
    """Return the uids of the stack's own pages."""
    return frozenset(signal.dashboard for signal in SIGNALS)


def no_page(name: str, folder: Path) -> str:
    """Return the sentence about a page that there is not."""
    known = [uid.removeprefix(UID_PREFIX) for uid in sorted(our_pages())]
    known += [path.stem for path in definitions(folder, "pages", [], (".yml", ".yaml", ".py"))]
    return f"no page is called {name!r}{suggestion_or_all(name, known)}"


def _check(name: str, given: OwnAlert, folder: Path) -> Iterator[tuple[Location, str]]:
    if problem := alert_name_problem(name):
        yield (), problem
    if not page_uid(given.page, folder):
        yield ("page",), no_page(given.page, folder)
    if (compares := _COMPARES.search(given.expr)) and not _SETS.search(given.expr):
        yield (
            ("expr",),
            f"compares with `{compares[1]}` at its end, which `comparison` and `threshold` are for: keep these, and "
            "take it out here, or put it in brackets where it only selects series",
        )
    labels = {*given.by, *TARGET_LABELS, *_OF_RULES}
    # What `by` and `expr` contradict each other in is said by itself.
    for label in dict.fromkeys(_LABEL_IN_TEMPLATE.findall(given.description)):
        if label not in labels and not re.search(rf"\b{label}\b", given.expr):
            yield ("description",), f"the series have no label {label}{suggestion(label, labels)} (see `by`)"
    for taken in sorted({"severity", "team"} & set(given.by)):
        yield ("by",), f"{taken} is a label of the rule, which would take the place of the series' own"


def _check_runbook(path: Path, name: str) -> Iterator[str]:
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        needed = ", ".join(f"`## {heading}`" for heading in RUNBOOK_HEADINGS)
        write = f"; write it: `# {name}`, {needed}" if isinstance(error, FileNotFoundError) else ""
        yield f"{path}: the runbook of {name} cannot be read: {describe_read_error(error)}{write}"
        return
    if not text.startswith(f"# {name}\n"):
        yield f"{path}:1: does not begin with `# {name}`"
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    if missing := [heading for heading in RUNBOOK_HEADINGS if heading not in headings]:
        yield f"{path}: lacks {', '.join(f'`## {heading}`' for heading in missing)}"
    elif headings != list(RUNBOOK_HEADINGS):
        yield f"{path}: its sections are not {', '.join(RUNBOOK_HEADINGS)}, in this order"


def _numbers(name: str, given: OwnAlert, layers: Layers) -> tuple[dict[str, Any], Places]:
    """Return what may be overridden, as `thresholds.yml` has it, each with its place."""
    keys = {"threshold": given.threshold, "for": given.for_, "severity": given.severity, "team": given.team}
    keys |= {"unit": given.unit.unit.value} | ({"action": given.action} if given.action else {})
    keys |= {"keep_firing_for": given.keep_firing_for} if given.keep_firing_for else {}
    places: dict[Location, tuple[str, int]] = {}
    for location in ((), *((key,) for key in keys)):
        if place := layers.place(location):
            places["alerts", name, *location] = (place.origin, place.line)
    return {"alerts": {name: keys}}, places
