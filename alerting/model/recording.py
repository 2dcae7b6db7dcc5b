"""What a recording rule is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent

from ml_monitoring.alerting.model.placeholders import fill


@dataclass(frozen=True, slots=True)
class Record:
    """One recording rule.

    Attributes:
        name: `level:metric:operations`.
        meaning: What a sample says, in one sentence; a comment in the generated file. It may hold placeholders.
        expr: PromQL. `<Alert.threshold>` and `<Alert.parameter>` stand for numbers of `thresholds.yml`, so that an
            alert and what is computed beside it cannot disagree; `<section.key>` for any number of its other sections.
        by: Labels that tell the resulting series apart. Target labels such as `job` may survive beside them.
    """

    name: str
    meaning: str
    expr: str
    by: tuple[str, ...]

    def rule(self, values: Mapping[str, str]) -> dict[str, object]:
        """Return the rule as Prometheus reads it.

        Args:
            values: Numbers of `thresholds.yml` by `Alert.parameter`, and those by `section.key`.

        Raises:
            ValueError: The expression names another value.
        """
        return {"record": self.name, "expr": fill(dedent(self.expr).strip(), values)}
