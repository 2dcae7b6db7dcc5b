"""`alerts route`: say who is notified of an alert with some labels."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import add_labels
from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.model.notifications import NO_SEVERITY, SEVERITIES
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.operate.explain import why_none
from ml_monitoring.alerting.operate.labels import alert_names, label_names
from ml_monitoring.alerting.operate.routing import BESIDE_OTHERS, stops
from ml_monitoring.exporter.errors import UsageError
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all

HELP = "say who is notified of an alert, or of one with these labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    add_labels(
        parser, "a label of the alert, such as alertname=HostDiskFull or team=mlops; repeat for several", required=True
    )


def run(options: argparse.Namespace) -> int:
    """Print the receivers and return the exit status."""
    thresholds, layers = own.load(options)
    own.say_which(options)
    given = dict(options.labels)
    if twice := [name for name, count in Counter(name for name, _value in set(options.labels)).items() if count > 1]:
        raise UsageError([f"--label: {name} has one value: give it once" for name in twice])
    if problems := list(_problems(given, thresholds)):
        raise UsageError(problems)
    name = given.get("alertname", "")
    if why := why_none(name, thresholds, layers):
        print(f"{name}: no rule is made of it, as {why}")
        return 0
    own_labels = next((alert.labels for alert in load_alerts(thresholds) if alert.name == name), None)
    if name and own_labels is None:
        print(f"note: {name} is no alert of these settings, so by the labels given alone", file=sys.stderr)
    labels = (own_labels or {}) | given
    if added := labels.keys() - given.keys():
        print(
            f"note: {', '.join(f'{one}={labels[one]}' for one in labels if one in added)} as {name} has",
            file=sys.stderr,
        )
    channels = alertmanager.channels_of(thresholds)
    for stop in stops(alertmanager.build(thresholds=thresholds), thresholds.alert_labels | labels):
        through = ", ".join(channels[stop.receiver]) or "nothing"
        print(f"{stop.receiver}: after {stop.group_wait}, again every {stop.repeat_interval}; through {through}")
    if thresholds.alert_labels:
        print(BESIDE_OTHERS)
    return 0


def _problems(labels: Mapping[str, str], thresholds: Thresholds) -> Iterator[str]:
    """Yield labels of which others are meant, so that the answer would be that for an alert without them."""
    known = label_names(thresholds)
    values = {"severity": (*SEVERITIES, NO_SEVERITY), "team": thresholds.teams}
    for name, value in labels.items():
        # Alerts of others have any labels.
        if name not in known and (meant := suggestion(name, known)):
            yield f"--label: no alert has a label {name}{meant}"
        names = alert_names(thresholds) if name == "alertname" else ()
        if value not in names and (meant := suggestion(value, names)):
            yield f"--label: there is no alert {value}{meant}"
        if value not in values.get(name, (value,)):
            yield f"--label: {name} is never {value}{suggestion_or_all(value, values[name])}"
