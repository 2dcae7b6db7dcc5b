"""Ask for what to read, and try each answer before the next question."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from ml_monitoring.exporter import checks
from ml_monitoring.exporter.init.answers import Answers, lacks_password, with_password

_INTRODUCTION: Final = (
    "What is to be read? Each answer is tried at once; Enter leaves a part out, or takes what is in brackets."
)
_QUESTIONS: Final = {
    "mlflow": "MLflow's backend store or tracking server\n"
    "  (postgresql://user@host/mlflow, mysql://..., sqlite:////data/mlflow.db, https://mlflow.example)",
    "variants": "PostgreSQL with variant tables\n  (postgresql://user@host/app)",
    "fleet": "Fleet file, CSV or Parquet, or a folder of them",
    "prometheus": "Prometheus, for `check`\n  (http://127.0.0.1:9090)",
    "alertmanager": "Alertmanager, for `check`\n  (http://127.0.0.1:9093)",
    "port": "Port to serve metrics on",
}


class Terminal(Protocol):
    """Who is asked."""

    def ask(self, question: str) -> str:
        """Return a line that answers the question."""

    def ask_secret(self, question: str) -> str:
        """Return a line that is not shown while it is typed."""

    def say(self, text: str) -> None:
        """Show a text."""


def ask_all(terminal: Terminal, known: Answers) -> Answers:
    """Return what the questions are answered with.

    Args:
        terminal: Who is asked.
        known: What the answers are where nothing is said.
    """
    terminal.say(_INTRODUCTION)
    for field in _QUESTIONS:
        known = _ask(terminal, known, field)
    return known


def _ask(terminal: Terminal, known: Answers, field: str) -> Answers:
    default = getattr(known, field)
    shown = "" if default is None else f" [{default}]"
    while True:
        text = terminal.ask(f"{_QUESTIONS[field]}{shown}: ").strip()
        if not text:
            return known
        if field in ("mlflow", "variants"):
            text = _completed(terminal, text)
        value = _VALUES.get(field, str)(text)
        if _is_good(terminal, dataclasses.replace(Answers(), **{field: value}), field):
            return dataclasses.replace(known, **{field: value})


def _completed(terminal: Terminal, uri: str) -> str:
    if not lacks_password(uri):
        return uri
    password = terminal.ask_secret("  Its password, which is not shown; Enter for none: ")
    return with_password(uri, password) if password else uri


def _is_good(terminal: Terminal, alone: Answers, field: str) -> bool:
    """Tell whether an answer is to be kept; one that cannot be used is not, one that fails if its giver wants."""
    settings, problems = alone.settings()
    for problem in problems:
        terminal.say(f"  {problem}")
    if settings is None:
        return False
    results = [result for result in checks.run(settings) if result.subject == field]
    for line in checks.lines(results):
        terminal.say(f"  {line}")
    return all(result.ok for result in results) or terminal.ask("  Keep it all the same? [y/N] ").lower() in (
        "y",
        "yes",
    )


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _port(text: str) -> int:
    # What is no number is no port either; the settings say which are.
    return int(text) if text.isdecimal() and len(text) < 10 else -1


_VALUES: Final[dict[str, Callable[[str], Any]]] = {"fleet": _path, "port": _port}
