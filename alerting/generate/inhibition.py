"""What mutes what: while one alert fires, another that only follows from it is not sent.

To let critical alerts of a new domain mute its warnings, add what they have in common to `_SUBJECTS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_monitoring.alerting.model.foreign import STORE_LABEL
from ml_monitoring.alerting.model.yamltext import Commented

MATCHER = re.compile(r'(?P<label>\w+)(?P<operator>=~|!~|!=|=)"(?P<value>.*)"')

# Labels that together say what an alert is about; a critical alert about the same mutes warnings.
_SUBJECTS: tuple[tuple[str, ...], ...] = (
    ("job", "instance", "source"),
    ("job", "experiment"),
    ("job", "instance", "mountpoint"),
    ("job", "instance", "datname"),
    ("job", "persona"),
    ("job", "server"),
    ("job", "model", "model_version"),
)
# What may have the same name in several stores.
_SEVERAL = frozenset({"experiment", "persona", "server", "model"})


@dataclass(frozen=True, slots=True)
class Inhibition:
    """One rule.

    Attributes:
        reason: Why, in one sentence; a comment in the generated file.
        source: Matchers of the alert that mutes.
        target: Matchers of the alerts that are muted.
        equal: Labels whose values both must share, and have.
        alike: Labels that both must share where either has them.
    """

    reason: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    equal: tuple[str, ...]
    alike: tuple[str, ...] = ()

    def rule(self, ours: Sequence[str]) -> Commented:
        """Return the rule as Alertmanager reads it.

        Args:
            ours: Matchers of the alerts that it is for: a rule holds for all that an Alertmanager has, others' too.
        """
        # Alertmanager takes a label that both alerts lack for equal, so alerts about nothing in common would mute each
        # other. Hence both must have every one of them.
        present = [f'{label}!=""' for label in self.equal]
        return Commented(
            self.reason,
            {
                "source_matchers": [*ours, *self.source, *present],
                "target_matchers": [*ours, *self.target, *present],
                "equal": [*self.equal, *self.alike],
            },
        )

    def mutes(self, source: Mapping[str, str], target: Mapping[str, str]) -> bool:
        """Tell whether an alert with the labels of `source` mutes one with those of `target`."""
        return (
            all(matches(matcher, source) for matcher in self.source)
            and all(matches(matcher, target) for matcher in self.target)
            and all(source.get(label) and source.get(label) == target.get(label) for label in self.equal)
            and all(source.get(label, "") == target.get(label, "") for label in self.alike)
        )


def matches(matcher: str, labels: Mapping[str, str]) -> bool:
    """Tell whether labels meet a matcher as Alertmanager takes it; a label that is missing is empty.

    Raises:
        ValueError: The text is no matcher.
    """
    parts = MATCHER.fullmatch(matcher)
    if parts is None:
        raise ValueError(f'{matcher!r} is not a matcher such as team="mlops"')
    value = labels.get(parts["label"], "")
    if parts["operator"] in ("=~", "!~"):
        equal = re.fullmatch(parts["value"], value) is not None
    else:
        equal = value == parts["value"]
    return equal is not parts["operator"].startswith("!")


INHIBITIONS: tuple[Inhibition, ...] = (
    Inhibition(
        "Without the exporter nothing that it says can be trusted, not even that a problem ended.",
        source=('alertname="MlMonitoringDown"',),
        target=('alertname!="MlMonitoringDown"',),
        equal=("job",),
    ),
    Inhibition(
        "What is derived from a source that cannot be read is old.",
        source=('alertname="MlMonitoringSourceDown"',),
        target=('alertname!~"MlMonitoring.+"',),
        equal=("job", "source"),
    ),
    *(
        Inhibition(
            f"A critical alert mutes warnings about the same {subject[-1]}.",
            source=('severity="critical"',),
            target=('severity=~"warning|info"',),
            equal=subject,
            alike=() if _SEVERAL.isdisjoint(subject) else (STORE_LABEL,),
        )
        for subject in _SUBJECTS
    ),
)
