"""Alerts and recording rules of a user's own: YAML files in a folder that no upgrade touches.

The setting `extensions` names the folder. It holds `alerts/<Name>.yml`, `rules/<name>.yml`, `runbooks/<Name>.md` and
`tests/<Name>.test.yml`; pages and panels beside them are read by `dashboards.extensions`. What is read here becomes
`Thresholds.own_alerts` and `own_records`, so that all that knows ours knows these: rules, routes, colours, tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, StrictStr, field_validator

from ml_monitoring.alerting.domains import ALERTS, SIGNALS, load_alerts
from ml_monitoring.alerting.extension_files import (
    PLACEHOLDERS,
    LabelName,
    OwnUnit,
    Text,
    definitions,
    read_definition,
    read_each,
    unknown_series,
    without_value,
)
from ml_monitoring.alerting.extension_pages import OwnPage, OwnPanelFile
from ml_monitoring.alerting.extension_rules import OwnRules, rule_problems
from ml_monitoring.alerting.model.alert import Alert
from ml_monitoring.alerting.model.evidence import Comparison
from ml_monitoring.alerting.model.foreign import TARGET_LABELS
from ml_monitoring.alerting.model.notifications import Duration, Name, Severity, StrictModel
from ml_monitoring.alerting.model.numbers import Scalar
from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.model.signal import UID_PREFIX, Signal
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter.catalog import Unit
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import describe_read_error, read_text
from ml_monitoring.exporter.runbooks import unfilled
from ml_monitoring.exporter.settings_file import Layers, Places
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all

# No page of ours begins so.
OWN_UID_PREFIX: Final = f"{UID_PREFIX}own-"
RUNBOOK_HEADINGS: Final = ("Meaning", "Impact", "Diagnosis", "Causes", "Mitigation", "Silence", "Configuration")
# What the folder may hold; others are not looked into.
FOLDERS: Final = ("alerts", "rules", "runbooks", "tests", "pages", "panels", "queries", "sources", "schemas")

# Units in which lines say nothing.
NO_LINES: Final = (Unit.TIMESTAMP, Unit.INFO)

_YAML: Final = (".yml", ".yaml")
_DEFINING: Final = (*_YAML, ".py")
# What is read directly in each folder; sources are packages, and editors read schemas.
_ENDINGS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("alerts", "rules", "panels", "queries"), _YAML),
    "pages": _DEFINING,
    "runbooks": (".md",),
    "tests": (".test.yml",),
}
_OTHERS_OWN: Final = ("sources", "schemas")

_OWN_PAGE: Final = re.compile(r"[a-z][a-z0-9-]{0,21}")
_ALERT_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]*")
_LABEL_IN_TEMPLATE: Final = re.compile(r"\$labels\.(\w+)")
_OF_RULES: Final = ("severity", "team", "source", "action")


class OwnAlert(StrictModel):
    """One alert of your own; the name of the file is its name.

    Attributes:
        expr: PromQL of the value that is compared. `<window>` stands for the range of a rate, `<filter>` for what
            pages narrow by, `<Alert.threshold>` for the number of any alert.
        unit: Unit of the value; `suffix:kg` where none of ours fits.
        title: Title of the panel that shows it.
        question: What the panel answers, in one sentence.
        by: Labels that tell the series apart.
        legend: How series are named in the panel; by default by these labels.
        comparison: Whether the value is too high or too low.
        threshold: With what it is compared, in the unit; a duration such as 5m where the unit is seconds.
        for: How long the condition must hold before anybody is notified.
        severity: How bad it is.
        team: Who is notified.
        action: Of the settings `notifications.actions`, what is called too.
        condition: When it fires, in words; `<threshold>` stands for the number.
        summary: What is wrong, in one sentence without placeholders; titles notifications.
        description: Which series and how bad, as a template such as `{{ $labels.region }}: {{ $value }} orders wait.`
        page: Page that shows it and that its notifications link to; one of ours, such as `operations-overview`, or
            the name of a file in `pages`.
        source: Source of the exporter that its series are from, such as `queries/orders`, whose failure mutes it.
        absent: What answers when its series are missing, as the name of an alert or a sentence.
    """

    expr: Text
    unit: OwnUnit
    title: Text
    question: Text
    by: tuple[LabelName, ...] = ()
    legend: StrictStr = ""
    comparison: Comparison = ">"
    threshold: Scalar
    for_: Duration = Field(alias="for")
    keep_firing_for: Duration | None = None
    severity: Severity
    team: Name
    action: Name | None = None
    condition: StrictStr = ""
    summary: Text
    description: Text
    page: Annotated[str, Field(strict=True, pattern=rf"^({UID_PREFIX})?[a-z][a-z0-9-]*$")]
    source: StrictStr = ""
    absent: StrictStr = ""

    @field_validator("summary", "description", "condition", "question")
    @classmethod
    def _is_sentence(cls, text: str) -> str:
        if text and not text.rstrip().endswith((".", "?")):
            raise ValueError("ends without a full stop: write a sentence")
        return text

    @field_validator("summary")
    @classmethod
    def _is_static(cls, text: str) -> str:
        if "{{" in text:
            raise ValueError("is static, as it titles a group; what differs belongs in the description")
        return text

    def alert(self, name: str, dashboard: str) -> Alert:
        """Return the alert as our own are.

        Args:
            name: Its name.
            dashboard: uid of the page.
        """
        word = "above" if self.comparison == ">" else "below"
        return Alert(
            name=name,
            condition=self.condition or f"{self.title} {word} <threshold>.",
            signal=Signal(
                name=f"own_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()}",
                title=self.title,
                question=self.question,
                expr=self.expr.strip(),
                unit=self.unit.unit,
                suffix=self.unit.suffix,
                dashboard=dashboard,
                by=self.by,
                filters=self.by if "<filter>" in self.expr else (),
                legend=self.legend,
                # What is of no unit of ours may be below 0.
                signed=self.unit.unit is Unit.ANY,
                over_time=self.unit.unit not in NO_LINES,
            ),
            summary=self.summary,
            description=self.description,
            comparison=self.comparison,
            source=self.source,
            absent=self.absent or ("" if self.source else "Nothing watches that its series are there."),
        )


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the folder says of alerts and recording rules.

    Attributes:
        folder: The folder.
        alerts: The alerts.
        layers: Their numbers as settings, each with its file and line; see `load_layers`.
        files: The file of each alert as it was read, by name.
        records: The recording rules, each with its file and its place there, in their order.
    """

    folder: Path
    alerts: tuple[Alert, ...]
    layers: tuple[tuple[dict[str, Any], Places], ...]
    files: dict[str, Layers]
    records: tuple[tuple[Record, Layers, Location], ...] = ()

    def check(self, thresholds: Thresholds) -> None:
        """Refuse alerts and rules that name something that there is not.

        Raises:
            ConfigError: Each problem with its file and line.
        """
        ours = {alert.name: alert for alert in self.alerts}
        problems = []
        for bound in load_alerts(thresholds):
            if bound.name in ours:
                try:
                    bound.rule  # noqa: B018  # the placeholders are filled
                except ValueError as error:
                    said = without_value(error, (*bound.scope, *PLACEHOLDERS))
                    problems.append(self.files[bound.name].problem(("expr",), said))
        values = thresholds.section_placeholders() | thresholds.scope()
        for record, layers, place in self.records:
            try:
                record.rule(values)
            except ValueError as error:
                problems.append(layers.problem((*place, "expr"), without_value(error, values)))
        if problems:
            raise ConfigError(problems)


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


def read(folder: Path) -> Extensions:
    """Return the alerts and recording rules of a folder.

    Raises:
        ConfigError: Something cannot be used; all problems are listed with file and line.
    """
    alerts: list[Alert] = []
    settings: list[tuple[dict[str, Any], Places]] = []
    files: dict[str, Layers] = {}
    problems: list[str] = []
    for path, given, layers in read_each(folder, "alerts", OwnAlert, problems):
        problems += [layers.problem(*problem) for problem in _check(path.stem, given, folder)]
        problems += _check_runbook(folder / "runbooks" / f"{path.stem}.md", path.stem)
        files[path.stem] = layers
        alerts.append(given.alert(path.stem, page_uid(given.page, folder) or given.page))
        settings.append(_numbers(path.stem, given, layers))
    records = list(_records(folder, problems))
    # What is wrong with these, too; who draws them reads them again.
    list(read_each(folder, "pages", OwnPage, problems))
    list(read_each(folder, "panels", OwnPanelFile, problems))
    if problems:
        raise ConfigError(problems)
    return Extensions(folder, tuple(alerts), tuple(settings), files, tuple(records))


def _records(folder: Path, problems: list[str]) -> Iterator[tuple[Record, Layers, Location]]:
    """Yield the recording rules in their order; what is wrong with them is added to the problems."""
    taken: dict[str, Path] = {}
    for path, given, layers in read_each(folder, "rules", OwnRules, problems):
        problems += [layers.problem(*problem) for problem in rule_problems(path, given, taken)]
        for number, rule in enumerate(given.rules):
            yield rule.record_of(), layers, ("rules", number)


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
    if _OWN_PAGE.fullmatch(name):
        return ""
    return "call the file by at most 22 small letters, digits and dashes: it is a part of the page's address"


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
        if path.suffix.lower() not in _DEFINING or any(part.startswith((".", "_")) for part in (kind, *below)):
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
    labels = {*given.by, *TARGET_LABELS, *_OF_RULES}
    for label in dict.fromkeys(_LABEL_IN_TEMPLATE.findall(given.description)):
        if label not in labels:
            yield ("description",), f"the series have no label {label}{suggestion(label, labels)} (see `by`)"
    for taken in sorted({"severity", "team"} & set(given.by)):
        yield ("by",), f"{taken} is a label of the rule, which would take the place of the series' own"
    for problem in unknown_series(given.expr):
        yield ("expr",), problem


def _check_runbook(path: Path, name: str) -> Iterator[str]:
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        yield f"{path}: the runbook of {name} cannot be read: {describe_read_error(error)}"
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
