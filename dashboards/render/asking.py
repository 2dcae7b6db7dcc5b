"""What the commands share: their options become a Prometheus, a time range and choices; progress on the terminal."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from ml_monitoring.dashboards.render.engine import DashboardData, PanelData, load
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.intervals import TimeRange, parse_duration, parse_range
from ml_monitoring.dashboards.render.model import Dashboard, Panel
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.variables import parse_choices
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_file import read_yaml

GENERATED = Path(__file__).parent.parent / "generated"


@dataclass(frozen=True, slots=True)
class Asking:
    """How dashboards are asked for their data.

    Attributes:
        prometheus: Whom to ask.
        start: Begin of the time range; None takes the dashboard's.
        end: Its end.
        choices: Values of variables.
        scrape: The data source's scrape interval in seconds.
        now: What `now` means, the same for all dashboards of a run.
    """

    prometheus: Prometheus
    start: str | None
    end: str | None
    choices: dict[str, list[str]]
    scrape: float
    now: float

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """Return it from a command's options."""
        return cls(
            Prometheus(options.prometheus, timeout=options.timeout),
            options.start,
            options.end,
            parse_choices(options.var),
            parse_duration(options.scrape_interval),
            time.time(),
        )

    def span(self, dashboard: Dashboard) -> TimeRange:
        """Return the time range of a dashboard."""
        start, end = dashboard.time
        return parse_range(self.start or start, self.end or end, now=self.now, zone=dashboard.timezone)

    def load(
        self,
        dashboard: Dashboard,
        *,
        width: int = 1600,
        only: Panel | None = None,
        on_panel: Callable[[PanelData], None] = lambda _: None,
    ) -> DashboardData:
        """Run a dashboard's queries. A variable that this dashboard has not is no mistake when another has it."""
        names = {str(variable.get("name")) for variable in dashboard.variables}
        choices = {name: values for name, values in self.choices.items() if name in names}
        return load(
            dashboard,
            self.prometheus,
            self.span(dashboard),
            choices=choices,
            width=width,
            scrape=self.scrape,
            only=only,
            on_panel=on_panel,
        )

    def check_choices(self, dashboards: list[Dashboard]) -> list[str]:
        """Return a message for each chosen variable that none of the dashboards has."""
        names = {str(variable.get("name")) for dashboard in dashboards for variable in dashboard.variables}
        known = ", ".join(sorted(names)) or "no variables"
        return [
            f"--var {name}: none of the dashboards has it; they have {known}"
            for name in self.choices
            if name not in names
        ]


def say(text: str) -> None:
    """Write a result to standard output."""
    sys.stdout.write(text + "\n")


def read_settings(path: Path) -> dict[str, Any]:
    """Return the mapping of a YAML file.

    Raises:
        RenderError: It cannot be read, is no YAML, or holds something else.
    """
    try:
        return read_yaml(path)
    except ConfigError as error:
        raise RenderError(str(error)) from None


def complain(text: str) -> None:
    """Write a message to standard error."""
    sys.stderr.write(text + "\n")


class Progress:
    """A bar on a terminal for work that lasts; nothing where the output is not read by a person."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        """Make a bar that is not yet drawn.

        Args:
            total: Steps of the whole work.
            stream: Where to; standard error by default.
        """
        self._stream = stream or sys.stderr
        self._total, self._done, self._begun = max(1, total), 0, time.monotonic()
        self._shown = self._stream.isatty()

    def step(self, what: str = "") -> None:
        """Count a step."""
        self._done += 1
        # Short work needs no bar.
        if not self._shown or time.monotonic() - self._begun < 0.5:
            return
        share = min(1.0, self._done / self._total)
        bar = "█" * round(share * 24)
        self._stream.write(f"\r\x1b[K{bar:░<24} {share:4.0%}  {what[:60]}")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
