"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse
from typing import Final

from ml_monitoring.alerting.model.notifications import base_url
from ml_monitoring.exporter import command_line

# Servers that commands ask, by the names of their options.
SERVERS: Final = ("alertmanager", "prometheus")


def add_labels(parser: argparse.ArgumentParser, help_text: str, *, required: bool = False) -> None:
    """Add the option `--label`, which may be repeated; without it there are none."""
    parser.add_argument(
        "--label",
        action="append",
        type=_label,
        default=[],
        required=required,
        metavar="NAME=VALUE",
        dest="labels",
        help=help_text,
    )


def _label(text: str) -> tuple[str, str]:
    name, equal, value = text.partition("=")
    if not equal or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def add_server(parser: argparse.ArgumentParser, name: str, default: str) -> None:
    """Add the address of a server, by default that of the environment variable `<NAME>_URL`."""
    variable = f"{name.upper()}_URL"
    parser.add_argument(
        f"--{name}",
        type=_url,
        default=command_line.variable_or(variable, default),
        metavar="URL",
        help=f"default: ${variable} or {default}",
    )


def add_alertmanager(parser: argparse.ArgumentParser) -> None:
    """Add the address of Alertmanager."""
    add_server(parser, "alertmanager", "http://127.0.0.1:9093")


def _url(text: str) -> str:
    try:
        return base_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
