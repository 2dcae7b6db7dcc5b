"""Whose targets and series the rules and panels are about, where others use the same Prometheus."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, StrictStr

from ml_monitoring.alerting.model import regex

# Groups of rules and pages about programs that may be watched already by somebody else.
Component = Literal["host", "database", "containers", "monitoring", "logs", "gpus"]
COMPONENTS: Final[tuple[Component, ...]] = get_args(Component)

# Programs of components whose targets are missed when they are gone, by the names of their selectors.
PROGRAMS: Final[Mapping[Component, tuple[str, ...]]] = {
    "host": ("node",),
    "database": ("postgres",),
    "monitoring": ("prometheus", "alertmanager"),
    "logs": ("logs",),
    "gpus": ("gpus",),
}

_MATCHER = r'[a-zA-Z_]\w*(?:=~|!~|!=|=)"(?:[^"\\\n]|\\.)*"'
_MATCHERS = re.compile(rf"{_MATCHER}(?:,{_MATCHER})*")
_KNOWN = r'[abfnrtv\\"]|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}'
_ESCAPE = re.compile(rf"\\(?:(?P<known>{_KNOWN})|.)")


def _matchers(text: str) -> str:
    if not _MATCHERS.fullmatch(text):
        raise ValueError(f'{text!r} is no list of matchers: write job="node",namespace="ml", values in double quotes')
    for escape in _ESCAPE.finditer(text):
        if not escape["known"]:
            raise ValueError(f"{escape[0]} is no escape in quotes of PromQL: write \\{escape[0]}")
    for matcher in re.findall(_MATCHER, text):
        name, quoted = matcher.split('"', 1)
        if name.endswith("~") and (problem := regex.problem_of(ast.literal_eval(f'"{quoted}'))):
            raise ValueError(f"{matcher} is not a regular expression: {problem}")
    return text


Matchers = Annotated[StrictStr, AfterValidator(_matchers)]


class Dashboards(BaseModel):
    """How pages are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Whether pages offer the choice of a cluster and a namespace.
    cluster_variables: bool = False
    # Whether pages of sources that are given by names offer the choice of one.
    store_variable: bool = False


class Selectors(BaseModel):
    """Label matchers of the targets of each program; each has the placeholder of its name in PromQL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exporter: Matchers
    # None: no job but those of adapters, and services that have the library's metrics.
    services: Matchers | None = None
    node: Matchers
    postgres: Matchers
    prometheus: Matchers
    alertmanager: Matchers
    alertlog: Matchers
    containers: Matchers
    logs: Matchers
    gpus: Matchers

    def placeholders(
        self, components: tuple[Component, ...], jobs: Sequence[str], *, alert_log: bool
    ) -> Iterator[tuple[str, str]]:
        """Yield each, and the expressions for targets that are watched: `service_targets`, and `targets` beside them.

        Args:
            components: Those that are watched beside the exporter and services.
            jobs: Those of services that are read by an adapter.
            alert_log: Whether there is one.
        """
        # No target is without a job.
        services = self.services or 'job=""'
        yield from (dict(self) | {"services": services}).items()
        optional = [name for component, names in PROGRAMS.items() if component in components for name in names]
        programs = ["exporter", *(["alertlog"] if alert_log else []), *optional]
        yield "targets", _any_of(getattr(self, name) for name in programs)
        yield "service_targets", _any_of([services, *(f'job="{job}"' for job in jobs)])


def _any_of(matchers: Iterable[str]) -> str:
    return "\nor\n".join(f"up{{{each}}}" for each in matchers)
