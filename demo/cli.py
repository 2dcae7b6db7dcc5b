"""Demo data and the demo inference service: `python -m demo NAME ...`.

A demo is a module with `add_arguments(parser)` and `run(options) -> int`. To add one, write the module and enter it in
`DEMOS`. Only the chosen one is imported: a demo may need packages that the exporter itself does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.command_parser import CommandParser
from ml_monitoring.exporter.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo.

    Attributes:
        module: Where `add_arguments` and `run` are.
        help: What it does, for `--help`.
    """

    module: str
    help: str


DEMOS: Mapping[str, Demo] = {
    "experiments": Demo("demo.experiments", "serve the counters of five experiments of known truth"),
    "fleet": Demo("demo.fleet", "write the files of a reproducible fleet incident"),
    "inference": Demo("demo.inference", "serve two model variants, with traffic and switches for faults"),
    "mlflow": Demo("demo.mlflow", "write an MLflow store by the real MLflow client"),
    "search": Demo("demo.search", "serve searches behind starlette-exporter, with traffic, for an adapter to read"),
    "variants": Demo("demo.variants", "run a variant system with a known truth on PostgreSQL"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a demo and return the exit status: 0 good, 1 not, 2 wrong usage."""
    parser = CommandParser(prog="python -m demo", description="Make demo data or run a demo service.")
    add_arguments(parser)
    parser.set_defaults(command=run)
    return command_line.run(parser, arguments)


class _Module(Protocol):
    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, options: argparse.Namespace) -> int: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the demo's name and everything after it, which the demo itself parses."""
    width = max(map(len, DEMOS))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "demos:\n" + "\n".join(f"  {name:{width}}  {demo.help}" for name, demo in DEMOS.items())
    parser.add_argument("name", choices=DEMOS, metavar="NAME", help="which demo; `NAME --help` shows its options")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="options of that demo")


def run(options: argparse.Namespace) -> int:
    """Import the chosen demo, parse its options and run it.

    Raises:
        ConfigError: A package that the demo needs is not installed.
    """
    demo = DEMOS[options.name]
    parser = CommandParser(prog=f"python -m demo {options.name}", description=demo.help)
    try:
        module = cast(_Module, import_module(demo.module))
        module.add_arguments(parser)
        return module.run(parser.parse_args(options.arguments))
    except ModuleNotFoundError as error:
        known = f"{error.name} is not installed: {command_line.how_to_make_environment()}"
        raise ConfigError([f"demo {options.name}: {known}"]) from error
