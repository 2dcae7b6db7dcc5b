"""Read the numbers behind alerts and what becomes of them, refused with file and line where they cannot be meant.

The defaults are `thresholds.yml` and `notifications.yml`; a user's own files are laid over them.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, StrictStr
from pydantic import ValidationError as PydanticError

from ml_monitoring.alerting.model.alert import Alert, Kind, promql_value
from ml_monitoring.alerting.model.evidence import deviations
from ml_monitoring.alerting.model.foreign import TARGET_LABELS
from ml_monitoring.alerting.model.misfits import misfits
from ml_monitoring.alerting.model.notifications import (
    NO_SEVERITY,
    SEVERITIES,
    Duration,
    Name,
    Notifications,
    Severity,
    Timing,
    base_url,
    link,
)
from ml_monitoring.alerting.model.numbers import Links, Numbers, number
from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.model.scope import COMPONENTS, Component, Dashboards, Selectors
from ml_monitoring.alerting.model.services import Services
from ml_monitoring.alerting.model.settings import BUSINESS_VARIABLES, SHORTEST_WINDOW, Sections, business_overrides
from ml_monitoring.exporter import own_files
from ml_monitoring.exporter.errors import ConfigError, UsageError, collecting
from ml_monitoring.exporter.settings_file import Layers, copied
from ml_monitoring.exporter.settings_hints import (
    LABEL_PATTERN,
    LABEL_VALUE_PATTERN,
    Location,
    fields_at,
    without_indented,
)
from ml_monitoring.exporter.settings_words import words
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all
from ml_monitoring.exporter.validation import Checked, check, fitting
from ml_monitoring.exporter.values import merge
from ml_monitoring.exporter.yaml_files import Places, is_left_empty
from ml_monitoring.exporter.yaml_files import read as read_layer

__all__ = ["SEVERITIES", "Duration", "Links", "Notifications", "Numbers", "Severity", "Thresholds", "Timing", "read"]

# What says whose an alert is.
AlertLabel = Annotated[str, Field(strict=True, pattern=LABEL_PATTERN)]
AlertLabelValue = Annotated[str, Field(strict=True, pattern=LABEL_VALUE_PATTERN)]
# What is written in place of an alert's numbers by who does not want it.
_OFF_WORDS = (False, "off", "no", "none", "false", "disabled")
_VARIABLE = re.compile(r"\$\{[A-Za-z_]")
_OFF = "to switch an alert off write null"
_LABELS_OF_ALERTS = frozenset({"alertname", "alertstate", "severity", "team", "action", "source"})

DEFAULT_PATHS = tuple(Path(__file__).parent.parent / name for name in ("thresholds.yml", "notifications.yml"))


class Thresholds(Sections):
    """Everything that can be set."""

    links: Links
    # None: all of them, but on Kubernetes none.
    components: tuple[Component, ...] | None = None
    selectors: Selectors
    services: Services = Services()
    dashboards: Dashboards = Dashboards()
    # Folder of alerts, rules, pages and panels of a user's own, from where the file is that names it.
    extensions: StrictStr | None = None
    teams: tuple[Name, ...] = Field(min_length=1)
    # Labels that every alert gets, so that it can be told from those of others.
    alert_labels: dict[AlertLabel, AlertLabelValue] = Field(default_factory=dict)
    notifications: Notifications
    # How long alerts go on after their condition no longer holds, or has no data.
    keep_firing_for: Duration
    alerts: dict[str, Numbers]
    _own_alerts: tuple[Alert, ...] = PrivateAttr(default=())
    _own_records: tuple[Record, ...] = PrivateAttr(default=())

    @property
    def own_alerts(self) -> tuple[Alert, ...]:
        """Return the alerts of the folder of extensions."""
        return self._own_alerts

    @property
    def own_records(self) -> tuple[Record, ...]:
        """Return the recording rules of the folder of extensions."""
        return self._own_records

    def with_own(self, alerts: Sequence[Alert], records: Sequence[Record]) -> Self:
        """Return the same with alerts of the user's own, whose numbers it has, and recording rules."""
        changed = self.model_copy()
        # Of a copy of its own.
        changed._own_alerts, changed._own_records = tuple(alerts), tuple(records)
        return changed

    @property
    def ours(self) -> tuple[str, ...]:
        """Return matchers of the alerts of this stack, where others send theirs to the same Alertmanager."""
        return (f'team=~"{"|".join(self.teams)}"', *(f'{name}="{value}"' for name, value in self.alert_labels.items()))

    @property
    def watched(self) -> tuple[Component, ...]:
        """Return the components whose rules are made."""
        return COMPONENTS if self.components is None else self.components

    def scope(self) -> dict[str, str]:
        """Return what the placeholders of selectors stand for, and those of the alerts' numbers."""
        selectors = dict(
            self.selectors.placeholders(
                self.watched, self.services.jobs, alert_log=self.notifications.alert_log is not None
            )
        )
        return {**selectors, "own_alerts": ",".join(self.ours), **dict(self._numbers_of_alerts())}

    def unless_on(self, components: Collection[str]) -> str:  # noqa: ARG002  # what is still open needs them
        """Return what stands behind PromQL that needs one of these components to be on: nothing, as it is decided."""
        return ""

    def _numbers_of_alerts(self) -> Iterator[tuple[str, str]]:
        """Yield every number of an alert that a signal or a recording rule may name, disabled alerts' too."""
        for alert, numbers in self.alerts.items():
            if numbers.threshold is not None:
                yield f"{alert}.threshold", _in_promql(numbers.threshold)
            for name, value in numbers.parameters.items():
                yield f"{alert}.{name}", _in_promql(value)
            if numbers.confidence is not None:
                yield f"{alert}.deviations", f"{deviations(numbers.confidence):.4g}"

    def changed(self, changes: dict[str, Any]) -> Self:
        """Return the same with some settings changed, given as they stand in the file.

        Raises:
            pydantic.ValidationError: A setting is unknown or cannot be used.
        """
        changed = type(self).model_validate(merge(self.model_dump(by_alias=True), changes))
        return changed.with_own(self._own_alerts, self._own_records)

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
                    data[section][key] = (link if section == "links" else base_url)(address)
                except ValueError as error:
                    problems.append(f"{origin}: {error}")
        given = business_overrides(environ)
        data["business"] |= given
        try:
            changed = type(self).model_validate(data)
        except PydanticError as error:
            names = {key: name for name, key in BUSINESS_VARIABLES.items()}
            for item in error.errors():
                # What is wrong with the whole section names the key itself.
                said = words(item, item["input"])
                key, message = said.split(": ", 1) if len(item["loc"]) == 1 else (str(item["loc"][-1]), said)
                problems.append(f"{names.get(key, key)}: {message}")
        if problems:
            raise (UsageError if all(one.startswith("--") for one in problems) else ConfigError)(problems)
        return changed.with_own(self._own_alerts, self._own_records)


def load_layers(
    paths: Sequence[Path] = (),
    defaults: Sequence[Path] = DEFAULT_PATHS,
    extensions: Sequence[tuple[dict[str, Any], Places]] = (),
) -> Layers:
    """Return a user's files laid over the defaults, the last one uppermost.

    `null` in place of an alert switches it off; else it takes away what the layers below say.

    Args:
        paths: The user's files.
        defaults: What they are laid over.
        extensions: What is laid between them: numbers of alerts of the user's own, see `alerting.extensions`.

    Raises:
        ConfigError: A file cannot be used.
    """
    layers = Layers()
    problems: list[str] = []
    of_files = []
    for path in paths:
        with collecting(problems):
            data, places = read_layer(path)
            own_files.refuse(path, data)
            # Of a section all may be commented out.
            known = data.keys() & Thresholds.model_fields.keys()
            empty = {key for key in known if data[key] is None and is_left_empty(*places[key,], key)}
            of_files.append(({key: value for key, value in data.items() if key not in empty}, places))
    if problems:
        raise ConfigError(problems)
    below = (*map(read_layer, defaults), *extensions)
    for count, (data, places) in enumerate((*below, *of_files), start=1):
        alerts = data.get("alerts")
        off_at: dict[tuple[str | int, ...], tuple[str, int]] = {}
        if isinstance(alerts, dict):
            # Its numbers stay: recording rules that others use too are made with them.
            off = {name: {"enabled": False} for name, numbers in alerts.items() if numbers is None}
            alerts |= off
            # What switched it off stays known where a later file gives numbers for it.
            off_at = {("alerts", name, "enabled"): places["alerts", name] for name in off}
        layers.add(data, {**places, **off_at})
        if count == len(below):
            layers.defaults = copied(layers.data)
    return layers


def read(alerts: Sequence[Alert], paths: Sequence[Path] = (), defaults: Sequence[Path] = DEFAULT_PATHS) -> Thresholds:
    """Read and check the numbers of the given alerts.

    Args:
        alerts: The alerts that exist; each needs its numbers and nothing else may have any.
        paths: A user's own files, see `load_layers`.
        defaults: What they are laid over.

    Raises:
        ConfigError: A file cannot be used; the problems found are listed with their lines.
    """
    return validated(alerts, load_layers(paths, defaults))


def validated(alerts: Sequence[Alert], layers: Layers) -> Thresholds:
    """Return the checked settings.

    Raises:
        ConfigError: Something cannot be meant; each problem names the uppermost file that has a part in it.
    """
    problems: list[str] = []
    thresholds = examine(alerts, layers, problems)
    if problems or thresholds is None:
        raise ConfigError(problems)
    return thresholds


def examine(
    alerts: Sequence[Alert],
    layers: Layers,
    problems: list[str],
    *,
    unread: Collection[str] = (),
    left_out: Collection[Location] = (),
) -> Thresholds | None:
    """Return what of the settings can be used; all that is wrong is added to the problems.

    Args:
        alerts: The alerts that exist.
        layers: The settings.
        problems: Gets a sentence for each problem, naming the uppermost file that has a part in it.
        unread: Names of alerts whose files cannot be used, so that nothing is said of them.
        left_out: Settings of which nothing can be said, as what they come from cannot be used.
    """
    by_name = {alert.name: alert for alert in alerts}
    known = copy.copy(layers)
    known.data = dict(layers.data)
    found: list[tuple[Location, str]] = []
    if isinstance(given := layers.data.get("alerts"), dict):
        unknown = given.keys() - by_name.keys() - set(unread)
        found += [(("alerts", name), _of_unknown(str(name), by_name)) for name in unknown]
        known.data["alerts"] = {name: numbers for name, numbers in given.items() if name in by_name}
    checked = check(known, Thresholds)
    variables = {at for at in layers.locations if isinstance(text := layers.value(at), str) and _VARIABLE.search(text)}
    found += [
        (at, _OFF if at[:1] == ("alerts",) and len(at) == 2 and layers.value(at) in _OFF_WORDS else said)
        for at, said in ((at, _of_parameter(at, said, by_name)) for at, said in checked.problems)
        if at not in variables
    ]
    found += [(at, "variables such as ${NAME} do not count in this file") for at in variables]
    checked.left_out |= set(left_out) | variables
    if checked.usable is not None:
        found += fitting(checked, _check(by_name, checked.usable))
        found += _unknown_names(layers, checked)
    found += without_indented(_left_empty(layers), found)
    problems += layers.sentences(found)
    return checked.usable


def _check(by_name: Mapping[str, Alert], thresholds: Thresholds) -> Iterator[tuple[Location, str]]:
    """Compare what the files give with what each alert takes: yield the settings that do not fit, and why."""
    taken = {label for alert in by_name.values() for label in alert.signal.by} | _LABELS_OF_ALERTS | TARGET_LABELS
    for label in sorted(thresholds.alert_labels.keys() & taken):
        yield ("alert_labels", label), "is a label that alerts have already"
    for window in thresholds.traffic.too_short():
        yield ("traffic", window), f"must be at least {SHORTEST_WINDOW}, as a rate needs some scrapes"
    for name, numbers in thresholds.alerts.items():
        if (numbers.severity == NO_SEVERITY) is not by_name[name].always:
            severities = NO_SEVERITY if by_name[name].always else ", ".join(SEVERITIES)
            yield ("alerts", name, "severity"), f"{numbers.severity!r} cannot be meant here, but: {severities}"
        for location, message in misfits(by_name[name], numbers):
            yield ("alerts", name, *location), message
    for name in by_name.keys() - thresholds.alerts.keys():
        yield ("alerts", name), "is missing; the alert exists"


def _of_unknown(name: str, alerts: Mapping[str, Alert]) -> str:
    """Return what is wrong with a name that no alert has."""
    hint = suggestion(name, alerts) or f"; one of your own is a file that `ml-monitoring new alert {name}` writes"
    if name in fields_at(Numbers, ()):
        hint = "; it is a key of an alert: indent it below the alert"
    elif any(name in alert.parameters for alert in alerts.values()):
        hint = "; it is a parameter: indent it below `parameters` of its alert"
    return f"no alert has this name{hint}"


def _of_parameter(location: Location, message: str, alerts: Mapping[str, Alert]) -> str:
    """Return the message about a setting; of a parameter that stands beside `parameters` it says where it belongs."""
    if message.startswith("unknown key") and len(location) == 1 and location[0] in alerts:
        return "unknown key; it belongs below alerts"
    if message.startswith("unknown key") and len(location) == 3 and location[0] == "alerts":
        _, name, key = map(str, location)
        if key in alerts[name].parameters:
            return f"unknown key; did you mean parameters.{key}?"
    return message


def _left_empty(layers: Layers) -> Iterator[tuple[Location, str]]:
    """Find what has a name and no settings, without `null`, which takes it away on purpose."""
    for at in layers.locations:
        match at:
            case ("notifications", "channels" | "actions" | "mute_times", _) if layers.is_left_empty(at):
                yield at, "is empty: give its settings, delete it, or write null to take away what is below it"
            # No severities are none, but no teams would be all.
            case ("notifications", "channels", _, "teams") if layers.value(at) == []:
                yield at, "names none: name some, or leave the line out for all teams"


def switched_off(layers: Layers) -> Iterator[str]:
    """Yield a sentence about each alert that is switched off, and nothing says that this is meant."""
    for at in layers.locations:
        if at[:1] == ("alerts",) and len(at) == 3 and at[2] == "enabled" and layers.value(at) is False:
            place = layers.place(at)
            if place is not None and place.line and place == layers.place(at[:2]) and layers.is_written_empty(at[:2]):
                yield f"{at[1]} is switched off ({place}); write `null` to say so on purpose"


def _unknown_names(layers: Layers, checked: Checked[Thresholds]) -> Iterator[tuple[Location, str]]:
    """Find teams and actions that do not exist, also where something else of what names them cannot be used.

    A team of the defaults is lacking where others took their place, once for all that name it.
    """
    assert checked.usable is not None  # noqa: S101  # asked for only then
    refused = {at for at, _ in checked.problems}
    lacking: dict[str, list[Location]] = {}
    for at in layers.locations:
        those: Location
        names: Collection[str]
        match at:
            case ("alerts", _, "team") | ("notifications", "channels" | "mute_times", _, "teams", _):
                those, names, said = ("teams",), checked.usable.teams, "one of the teams"
            case ("alerts", _, "action"):
                those = "notifications", "actions"
                names, said = checked.usable.notifications.actions, "in notifications.actions"
            case _:
                continue
        name = layers.value(at)
        if not isinstance(name, str) or name in names or at in refused or checked.touches(those):
            continue
        if those == ("teams",) and name in layers.defaults.get("teams", ()):
            lacking.setdefault(name, []).append(at)
        else:
            hint = suggestion(name, names) or f"{suggestion_or_all(name, names)}; or add it to {'.'.join(those)}"
            yield at, f"{name!r} is not {said}{hint}"
    for name, (first, *more) in lacking.items():
        verb = f"and {len(more)} more name" if more else "names"
        yield ("teams",), f"lacks {name!r}, which {'.'.join(map(str, first))} {verb}"


def _in_promql(value: float | str) -> str:
    return promql_value(Kind.PATTERN, value) if isinstance(value, str) else number(float(value))
