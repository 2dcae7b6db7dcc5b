"""Read `thresholds.yml`: every number behind an alert, refused with file and line where it cannot be meant."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field
from pydantic import ValidationError as PydanticError

from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.notifications import (
    NO_SEVERITY,
    SEVERITIES,
    Duration,
    Name,
    Notifications,
    Severity,
    Timing,
    base_url,
)
from ml_monitoring.alerting.model.numbers import Links, Numbers
from ml_monitoring.alerting.model.settings import BUSINESS_VARIABLES, Sections, business_overrides
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog import Unit
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.values import merge

__all__ = ["SEVERITIES", "Duration", "Links", "Notifications", "Numbers", "Severity", "Thresholds", "Timing", "read"]

DEFAULT_PATH = Path(__file__).parent.parent / "thresholds.yml"

Location = tuple[str | int, ...]


class Thresholds(Sections):
    """Everything that `thresholds.yml` says."""

    links: Links
    teams: tuple[Name, ...] = Field(min_length=1)
    notifications: Notifications
    alerts: dict[str, Numbers]

    def changed(self, changes: dict[str, Any]) -> Self:
        """Return the same with some settings changed, given as they stand in the file.

        Raises:
            pydantic.ValidationError: A setting is unknown or cannot be used.
        """
        return type(self).model_validate(merge(self.model_dump(by_alias=True), changes))

    def overridden(self, environ: Mapping[str, str], *, webhook: str | None = None) -> Self:
        """Return the same with addresses that belong to one deployment in their place.

        Args:
            environ: GRAFANA_URL, RUNBOOKS_URL, LOGS_URL, ALERT_LOG_URL and the variables of `alerting.settings` are
                taken from here.
            webhook: Where receivers post to.

        Raises:
            ConfigError: An address cannot be used.
        """
        places = {
            "GRAFANA_URL": ("links", "grafana", environ.get("GRAFANA_URL")),
            "RUNBOOKS_URL": ("links", "runbooks", environ.get("RUNBOOKS_URL")),
            "LOGS_URL": ("links", "logs", environ.get("LOGS_URL")),
            "ALERT_LOG_URL": ("notifications", "alert_log", environ.get("ALERT_LOG_URL")),
            "--webhook-url": ("notifications", "webhook", webhook),
        }
        data = self.model_dump(by_alias=True)
        problems = []
        for origin, (section, key, address) in places.items():
            if address:
                try:
                    data[section][key] = base_url(address)
                except ValueError as error:
                    problems.append(f"{origin}: {error}")
        given = business_overrides(environ)
        data["business"] |= given
        try:
            changed = type(self).model_validate(data)
        except PydanticError as error:
            names = {key: name for name, key in BUSINESS_VARIABLES.items()}
            problems += [f"{names.get(str(item['loc'][-1]), item['loc'])}: {_message(item)}" for item in error.errors()]
        if problems:
            raise ConfigError(problems)
        return changed


@dataclass(frozen=True, slots=True)
class _Document:
    """A YAML document that remembers on which line each setting stands."""

    name: str
    data: Any
    lines: Mapping[Location, int]
    duplicates: tuple[Location, ...]

    def problem(self, location: Location, message: str) -> tuple[int, str]:
        """Return the line and the finished sentence about a setting; a missing one has the line of what lacks it."""
        known = location
        while known not in self.lines:
            known = known[:-1]
        where = ".".join(str(part) for part in location) or "the file"
        return self.lines[known], f"{self.name}:{self.lines[known]}: {where}: {message}"


def read(alerts: Sequence[Alert], path: Path = DEFAULT_PATH) -> Thresholds:
    """Read and check the numbers of the given alerts.

    Args:
        alerts: The alerts that exist; each needs its numbers and nothing else may have any.
        path: The file to read.

    Raises:
        ConfigError: The file cannot be used; the problems found are listed with their lines.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None
    document = _compose(path.name, text)
    problems = [document.problem(location, "is given twice") for location in document.duplicates]
    try:
        thresholds = Thresholds.model_validate(document.data)
    except PydanticError as error:
        problems += [document.problem(_written(item), _message(item)) for item in error.errors()]
    else:
        problems += [document.problem(location, message) for location, message in _check(alerts, thresholds)]
    if problems:
        raise ConfigError([message for _, message in sorted(problems)])
    return thresholds


def _compose(name: str, text: str) -> _Document:
    loader = yaml.SafeLoader(text)
    lines: dict[Location, int] = {(): 1}
    duplicates: list[Location] = []
    try:
        node = loader.get_single_node()
        for location, line in _walk(node, ()):
            if location in lines:
                duplicates.append(location)
            lines[location] = line
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([f"{name}:{line}: is not YAML: {error.problem}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{name}: is not YAML: {error}"]) from None
    finally:
        loader.dispose()
    return _Document(name, data, lines, tuple(duplicates))


def _walk(node: yaml.Node | None, location: Location) -> Iterator[tuple[Location, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _walk(value, inner)


def _written(error: Mapping[str, Any]) -> Location:
    location: Location = error["loc"]
    # Which kind of channel it is stands in pydantic's location and not in the file.
    if location[:2] == ("notifications", "channels") and len(location) > 3:
        location = (*location[:3], *location[4:])
    # Of a mapping's key pydantic says so behind the key.
    return location[:-1] if location and location[-1] == "[key]" else location


def _message(error: Mapping[str, Any]) -> str:
    known = {
        "extra_forbidden": "is not a setting",
        "missing": "is missing",
        "union_tag_not_found": "lacks its kind",
    }
    message = known.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _check(alerts: Sequence[Alert], thresholds: Thresholds) -> Iterator[tuple[Location, str]]:
    """Compare what the file gives with what each alert takes."""
    by_name = {alert.name: alert for alert in alerts}
    yield from _check_notifications(thresholds)
    for name, numbers in thresholds.alerts.items():
        if name not in by_name:
            yield ("alerts", name), "no alert has this name"
            continue
        if numbers.team not in thresholds.teams:
            yield ("alerts", name, "team"), f"{numbers.team!r} is not one of the teams: {', '.join(thresholds.teams)}"
        if numbers.action is not None and numbers.action not in thresholds.notifications.actions:
            known = ", ".join(thresholds.notifications.actions) or "none"
            yield ("alerts", name, "action"), f"{numbers.action!r} is not in notifications.actions, which has: {known}"
        if (numbers.severity == NO_SEVERITY) is not by_name[name].always:
            severities = NO_SEVERITY if by_name[name].always else ", ".join(SEVERITIES)
            yield ("alerts", name, "severity"), f"{numbers.severity!r} cannot be meant here, but: {severities}"
        for location, message in (
            *_check_threshold(by_name[name], numbers),
            *_check_parameters(by_name[name], numbers),
        ):
            yield ("alerts", name, *location), message
    for name in by_name.keys() - thresholds.alerts.keys():
        yield ("alerts", name), "is missing; the alert exists"


def _check_notifications(thresholds: Thresholds) -> Iterator[tuple[Location, str]]:
    """Find teams that do not exist."""
    settings = thresholds.notifications
    for section, entries in (("channels", settings.channels), ("mute_times", settings.mute_times)):
        for name, entry in entries.items():
            for team in entry.teams:
                if team not in thresholds.teams:
                    known = ", ".join(thresholds.teams)
                    yield ("notifications", section, name, "teams"), f"{team!r} is not one of the teams: {known}"


def _check_threshold(alert: Alert, numbers: Numbers) -> Iterator[tuple[Location, str]]:
    given = {"threshold": numbers.threshold, "unit": numbers.unit}
    for key, value in given.items():
        if alert.comparison is None and value is not None:
            yield (key,), "this alert compares nothing"
        if alert.comparison is not None and value is None:
            yield (key,), "is missing"
    if alert.comparison is None or numbers.threshold is None or numbers.unit is None:
        return
    if numbers.unit is not alert.signal.unit:
        yield ("unit",), f"the signal {alert.signal.name} is in {alert.signal.unit.value}, not {numbers.unit.value}"
    elif message := _misfit(numbers.threshold, numbers.unit):
        yield ("threshold",), message


def _check_parameters(alert: Alert, numbers: Numbers) -> Iterator[tuple[Location, str]]:
    for name in numbers.parameters.keys() - alert.parameters.keys():
        known = ", ".join(alert.parameters) or "none"
        yield ("parameters", name), f"is not a parameter of this alert; it takes: {known}"
    for name, kind in alert.parameters.items():
        if name not in numbers.parameters:
            yield ("parameters", name), "is missing"
        elif message := _misfit(numbers.parameters[name], kind):
            yield ("parameters", name), message


# What a number in a unit must be, in words and as a range; other units take any number.
_COUNT = (0, sys.float_info.max, "a count")
_RATIO = (0, 1, "a ratio in 0..1 (20 % is 0.2)")
_RANGES: Mapping[Unit | Kind, tuple[float, float, str]] = {
    Unit.RATIO: _RATIO,
    Unit.FLAG: (0, 1, "0 or 1"),
    Unit.COUNT: _COUNT,
    Kind.COUNT: _COUNT,
    Kind.RATIO: _RATIO,
}


def _misfit(value: float | str, unit: Unit | Kind) -> str:
    """Return why the value cannot be meant in this unit, or nothing."""
    if unit in (Unit.SECONDS, Kind.DURATION):
        return _duration_misfit(value)
    if unit is Kind.PATTERN:
        return _pattern_misfit(value)
    if isinstance(value, str):
        return f"{value!r} is not a number"
    lowest, highest, meaning = _RANGES.get(unit, (-sys.float_info.max, sys.float_info.max, "a finite number"))
    return "" if lowest <= value <= highest else f"{value!r} is not {meaning}"


def _duration_misfit(value: float | str) -> str:
    if not isinstance(value, str):
        return f"{value!r} has no unit: write a duration such as 5m, 6h or 1d"
    try:
        durations.parse_positive(value)
    except ValueError as error:
        return str(error)
    return ""


def _pattern_misfit(value: float | str) -> str:
    if not isinstance(value, str):
        return f"{value!r} is not a regular expression: write it in quotes"
    try:
        re.compile(value)
    except re.error as error:
        return f"{value!r} is not a regular expression: {error}"
    return ""


def line_of(path: Path, location: Location) -> int:
    """Return the line on which a setting stands; 1 where it does not.

    Raises:
        ConfigError: The file is not YAML.
        OSError: The file cannot be read.
    """
    return _compose(path.name, path.read_text(encoding="utf-8")).lines.get(location, 1)
