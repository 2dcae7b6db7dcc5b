"""What a part of the demo is: data or a service, and what it adds to the exporter, Prometheus and the screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class Server(Protocol):
    """What can be started and stopped: `tools.processes.Process`, `tools.postgres.PostgresServer` and the like."""

    @property
    def running(self) -> bool:
        """Tell whether it runs."""

    def start(self) -> object:
        """Start it and wait until it is ready."""

    def stop(self) -> None:
        """Stop it; nothing happens when it does not run."""


@dataclass(frozen=True, slots=True)
class PortUse:
    """A port that people reach a part under; what only the demo itself uses takes any free one.

    Attributes:
        name: Key in `Place.ports`; unique over all parts.
        what: What listens there, for messages.
        default: Port without `--port-base`.
    """

    name: str
    what: str
    default: int


@dataclass(frozen=True, slots=True)
class Place:
    """What a part is given to prepare itself.

    Attributes:
        directory: Empty folder of the part's own.
        logs: Folder for the logs of its servers.
        ports: The ports that it asked for, by name.
        run: Start a server now, show it in the table under a name and an address (may be empty), and stop it at the
            end, after the exporter and before what was started earlier.
        say: Print a line on what is going on.
        prometheus_url: Where Prometheus will be.
        calm: Let nothing go wrong.
    """

    directory: Path
    logs: Path
    ports: Mapping[str, int]
    run: Callable[[str, str, Server], None]
    say: Callable[[str], None]
    prometheus_url: str = ""
    calm: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Return what programs of the demo that know both are started with."""
        return ("--calm",) if self.calm else ()


@dataclass(frozen=True, slots=True)
class Look:
    """Something to look at first.

    Attributes:
        text: What is to be seen, in a sentence.
        page: The dashboard that shows it: its uid, without what all begin with, and what is chosen there.
        command: What to type to see it.
        url: Where to see it.
    """

    text: str
    page: str = ""
    command: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a part adds to the stack.

    Attributes:
        settings: Fragment of the exporter's settings, such as `{"sources": {"mlflow": {...}}}`.
        jobs: Further entries of Prometheus's `scrape_configs`.
        looks: What to look at first.
        webhook_url: Where Alertmanager posts notifications; at most one part may say.
        thresholds: Fragment of `alerting/thresholds.yml` that makes rules look back over minutes instead of days.
        alert_log_url: Where the alert log takes notifications; at most one part may say.
        history: What Prometheus would have scraped before the demo began, in OpenMetrics with a time in each line.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    jobs: Sequence[Mapping[str, Any]] = ()
    looks: Sequence[Look] = ()
    webhook_url: str | None = None
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    alert_log_url: str = ""
    history: Sequence[str] = ()


class Part(Protocol):
    """One part of the demo."""

    @property
    def name(self) -> str:
        """Name of its folder."""

    @property
    def doing(self) -> str:
        """What goes on while it is prepared, in a few words."""

    @property
    def ports(self) -> Sequence[PortUse]:
        """Ports that it is reached under."""

    def prepare(self, place: Place) -> Contribution:
        """Make the data and start what must run before the exporter does."""
