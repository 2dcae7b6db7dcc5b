"""Metrics of the user's folder: what the files that `ml-monitoring new` writes say about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from ml_monitoring.alerting.extension_files import queries
from ml_monitoring.exporter.catalog import Unit
from ml_monitoring.exporter.errors import UsageError
from ml_monitoring.exporter.suggestions import closest, suggestion_or_all

# The first end of a name that fits says its unit.
_UNITS: Final = {
    "_bytes_per_second": Unit.BYTES_PER_SECOND,
    "_timestamp_seconds": Unit.TIMESTAMP,
    "_seconds": Unit.SECONDS,
    "_bytes": Unit.BYTES,
    "_ratio": Unit.RATIO,
}
_COUNTER_END: Final = "_total"
# Labels that rules set, and the choice that every page has.
_TAKEN_LABELS: Final = frozenset({"severity", "team", "source", "action", "datasource"})


class _Example(NamedTuple):
    """Numbers of an example in one unit.

    Attributes:
        unit: As files write it.
        threshold: The threshold, as files write it.
        high: A value above it.
        low: A value below it.
        template: The value in a description.
        said: What the template makes of the value above.
    """

    unit: str
    threshold: str
    high: float
    low: float
    template: str
    said: str


_EXAMPLES: Final = {
    Unit.COUNT: _Example("count", "100", 150, 50, '{{ $value | printf "%.0f" }}', "150"),
    Unit.ANY: _Example("suffix:/s", "100", 150, 50, '{{ $value | printf "%.0f" }}/s', "150/s"),
    Unit.RATIO: _Example("ratio", "0.5", 0.75, 0.25, "{{ $value | humanizePercentage }}", "75%"),
    Unit.SECONDS: _Example("seconds", "5m", 450, 150, "{{ $value | humanizeDuration }}", "7m 30s"),
    Unit.BYTES: _Example("bytes", str(2**30), 2**31, 2**29, "{{ $value | humanize1024 }}B", "2GiB"),
    Unit.BYTES_PER_SECOND: _Example(
        "bytes_per_second", str(2**20), 2**21, 2**19, "{{ $value | humanize1024 }}B/s", "2MiB/s"
    ),
}


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """A metric that files are about.

    Attributes:
        name: Its name.
        labels: Labels that tell its series apart, without those that rules and pages have themselves.
        is_counter: Whether it only grows.
        source: Source of the exporter that it is from; empty where another job has it.
    """

    name: str
    labels: tuple[str, ...] = ("job",)
    is_counter: bool = False
    source: str = ""

    def words(self) -> dict[str, str]:
        """Return the text that stands for each marker of the templates."""
        example = _EXAMPLES[self._unit()]
        where = {label: "shop" if label == "job" else "a" for label in self.labels}
        target = {} if "job" in where else {"job": "ml-monitoring"}
        series = ", ".join(f'{label}="{value}"' for label, value in (where | target | {"instance": "a:80"}).items())
        expected = (
            where | {"severity": "warning", "team": "platform"} | ({"source": self.source} if self.source else {})
        )
        selector = f"{self.name}{{<filter>}}" if self.labels else self.name
        # What differs is added up only where the sum means something.
        adds_up = self.is_counter or self._unit() in (Unit.COUNT, Unit.BYTES, Unit.BYTES_PER_SECOND)
        together = "sum" if adds_up else "max"
        labelled = ", ".join(f"{{{{ $labels.{label} }}}}" for label in self.labels)
        source = f"source: {self.source}" if self.source else f"# source: queries/{self.name}"
        return {
            "@ALERT_EXPR@": self._value("sum" if self.is_counter else "max", selector, self.labels),
            "@PANEL_EXPR@": self._value(together, self.name if self.source else selector, self.labels),
            "@PAGE_EXPR@": self._value(together, selector, self.labels),
            "@ALL_EXPR@": self._value(together, selector, ()),
            "@LEGEND@": json.dumps(" ".join(f"{{{{{label}}}}}" for label in self.labels) or self.name),
            "@BY@": f"[{', '.join(map(_scalar, self.labels))}]",
            "@VARIABLES@": "".join(map(self._variable, self.labels)) or " []",
            "@EACH@": f" of each {' and '.join(self.labels)}" if self.labels else "",
            "@WHERE@": labelled or self.name,
            "@WHERE_SAID@": ", ".join(where.values()) or self.name,
            "@UNIT@": example.unit,
            "@THRESHOLD@": example.threshold,
            "@VALUE@": example.template,
            "@SAID@": example.said,
            "@SERIES@": f"{self.name}{{{series}}}",
            "@HIGH@": self._values(example.high),
            "@LOW@": self._values(example.low),
            "@EXPECTED@": "{" + ", ".join(f"{_scalar(label)}: {value}" for label, value in expected.items()) + "}",
            "@SOURCE@": source,
            "@METRIC_WORDS@": self.name.removesuffix(_COUNTER_END).replace("_", " ").capitalize(),
        }

    def _unit(self) -> Unit:
        """Return the unit of what is compared and shown."""
        end = self.name.removesuffix(_COUNTER_END) if self.is_counter else self.name
        unit = next((unit for suffix, unit in _UNITS.items() if end.endswith(suffix)), Unit.COUNT)
        if self.is_counter:
            return Unit.BYTES_PER_SECOND if unit is Unit.BYTES else Unit.ANY
        # How long ago it is.
        return Unit.SECONDS if unit is Unit.TIMESTAMP else unit

    @property
    def _is_timestamp(self) -> bool:
        return self.name.endswith("_timestamp_seconds")

    def _value(self, together: str, selector: str, labels: tuple[str, ...]) -> str:
        value = f"rate({selector}[<window>])" if self.is_counter else selector
        found = f"{together} by ({', '.join(labels)}) ({value})" if labels else f"{together}({value})"
        return f"time() - {found}" if self._is_timestamp else found

    def _values(self, value: float) -> str:
        """Return samples of one a minute, without their number."""
        if self.is_counter:
            return f"0+{60 * value:g}" if value < 1 else f"0+{int(60 * value)}"
        return f"-{value:g}+60" if self._is_timestamp else f"{value}"

    def _variable(self, label: str) -> str:
        title = label.replace("_", " ").capitalize()
        return f"\n  - {{label: {_scalar(label)}, metric: {self.name}, title: {_scalar(title)}}}"


def own_metrics(folder: Path) -> dict[str, OwnMetric]:
    """Return the metrics of the folder's queries by their names."""
    found = {}
    for query, settings in queries(folder).items():
        metrics = settings.get("metrics")
        for name, given in metrics.items() if isinstance(metrics, dict) else ():
            labels = given.get("labels") if isinstance(given, dict) else None
            kept = (
                tuple(str(label) for label in labels if label not in _TAKEN_LABELS) if isinstance(labels, list) else ()
            )
            is_counter = isinstance(given, dict) and given.get("type") == "counter"
            found[str(name)] = OwnMetric(str(name), kept, is_counter, f"queries/{query}")
    return found


def named(metric: str, folder: Path) -> OwnMetric:
    """Return a metric of the folder's queries.

    Raises:
        ConfigError: There is none of this name.
    """
    known = own_metrics(folder)
    if metric not in known:
        meant = suggestion_or_all(metric, known)
        raise UsageError([f"--metric: no query in {folder / 'queries'} has a metric {metric!r}{meant}"])
    return known[metric]


def meant(snake: str, known: Mapping[str, OwnMetric], *, also_the_only_one: bool) -> OwnMetric | None:
    """Return which metric something is about, by its name; None where it may be none.

    Args:
        snake: Its name, in small letters with underscores.
        known: The metrics.
        also_the_only_one: Whether a name that says nothing means the only one that there is.
    """
    begun = max((name for name in known if snake.startswith(name)), key=len, default="") or closest(snake, known)
    if not begun and also_the_only_one and len(known) == 1:
        begun = next(iter(known))
    return known.get(begun)


def _scalar(text: str) -> str:
    """Return a text as YAML reads it as one: `on` and `no` are truth values there."""
    return text if yaml.safe_load(text) == text else json.dumps(text)
