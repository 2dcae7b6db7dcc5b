"""The command `init`."""

from __future__ import annotations

import argparse
import getpass
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ml_monitoring.exporter import checks, command_line, version
from ml_monitoring.exporter.command_line import Commands, spelled
from ml_monitoring.exporter.config import read
from ml_monitoring.exporter.errors import ConfigError, UsageError
from ml_monitoring.exporter.init import files
from ml_monitoring.exporter.init.answers import Answers, holds_secret
from ml_monitoring.exporter.init.questions import ask_all
from ml_monitoring.exporter.init.text import text

_PURPOSE = "write a file of settings from questions or flags, try it, and say how Prometheus scrapes the exporter"
_EPILOG = """\
Without flags that say what to read it asks, where it runs in a terminal. An address that holds a password goes into a
file of its own beside the settings, which only you can read; ${NAME} in an address stays a reference to a variable of
the environment, such as postgresql://exporter:${MLFLOW_DB_PASSWORD}@db.example/mlflow in single quotes.
"""
_ANYWHERE: Final = ("0.0.0.0", "::", "")  # noqa: S104  # compared with, not bound


def add_command(commands: Commands) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "init",
        help=_PURPOSE,
        description=_PURPOSE,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mlflow-uri", metavar="URI", help="MLflow's backend store, or its tracking server")
    parser.add_argument("--variants-uri", metavar="URI", help="PostgreSQL with the variant tables")
    parser.add_argument(
        "--fleet-file",
        type=command_line.path,
        metavar="PATH",
        help="CSV or Parquet file that grows, or a folder of such files",
    )
    parser.add_argument("--prometheus-url", metavar="URL", help="the Prometheus that `check` tries")
    parser.add_argument("--alertmanager-url", metavar="URL", help="the Alertmanager that `check` tries")
    parser.add_argument("--host", default=Answers().host, help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=Answers().port, help="port to listen on (default: 9847)")
    parser.add_argument(
        "--output",
        type=command_line.path,
        default=Path("ml-monitoring.yml"),
        metavar="FILE",
        help="the file to write (default: ml-monitoring.yml)",
    )
    parser.add_argument("--force", action="store_true", help="replace the file, and those of passwords, if they exist")
    parser.add_argument(
        "--inline-passwords",
        action="store_true",
        help="write passwords into the settings, which only you can read then",
    )
    parser.set_defaults(command=_run)


# The options that give settings.
_OPTIONS: Final = {
    "sources.mlflow.uri": "--mlflow-uri",
    "sources.variants.uri": "--variants-uri",
    "sources.fleet.path": "--fleet-file",
    "prometheus.url": "--prometheus-url",
    "alertmanager.url": "--alertmanager-url",
    "web.port": "--port",
    "web.host": "--host",
}


class _Console:
    """The terminal that the command runs in."""

    def ask(self, question: str) -> str:
        return input(question)

    def ask_secret(self, question: str) -> str:
        return getpass.getpass(question)

    def say(self, text: str) -> None:
        print(text)


def _run(options: argparse.Namespace) -> int:
    output: Path = options.output.expanduser().absolute()
    # Before anybody answers in vain.
    files.refuse_existing([output], force=options.force)
    answers = _answers(options)
    kept = {} if options.inline_passwords else _kept(answers, output)
    files.refuse_existing(kept.values(), force=options.force)
    for source, path in kept.items():
        files.write(path, f"{answers.uris[source]}\n", private=True)
    private = any(holds_secret(uri) for source, uri in answers.uris.items() if source not in kept)
    files.write(
        output, text(answers, {source: files.reference(path) for source, path in kept.items()}), private=private
    )
    print(
        f"{output} is written" + "".join(f", and {path} with the address of {source}" for source, path in kept.items())
    )
    succeeded = _check(output)
    print(_next(answers, output, kept, succeeded=succeeded))
    return 0 if succeeded else 1


def _answers(options: argparse.Namespace) -> Answers:
    given = Answers(
        mlflow=options.mlflow_uri and _from_anywhere(options.mlflow_uri),
        variants=options.variants_uri,
        fleet=options.fleet_file and options.fleet_file.expanduser().absolute(),
        prometheus=options.prometheus_url,
        alertmanager=options.alertmanager_url,
        port=options.port,
        host=options.host,
    )
    is_said = bool(given.uris) or given.fleet is not None
    if not is_said and not sys.stdin.isatty():
        raise UsageError(
            [
                "init: nothing says what to read, and this is no terminal to ask in: "
                "give --mlflow-uri, --variants-uri or --fleet-file"
            ]
        )
    if not is_said:
        try:
            given = ask_all(_Console(), given)
        except EOFError:
            raise ConfigError(["init: the answers ended too early; nothing is written"]) from None
        if not given.uris and given.fleet is None:
            raise ConfigError(["init: there is nothing to read; nothing is written"])
    _settings, problems = given.settings()
    if problems:
        raise UsageError([_by_option(problem) for problem in problems]) if is_said else ConfigError(problems)
    return given


def _by_option(problem: str) -> str:
    """Return what is wrong with a setting, by the name of the option that gave it."""
    setting, separator, said = problem.partition(": ")
    option = _OPTIONS.get(setting)
    return f"{option}{separator}{said}" if option else problem


def _from_anywhere(uri: str) -> str:
    """Return an address whose file of SQLite is found wherever the exporter is started, as the settings are."""
    relative = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/:$?][^$?]*)(\?[^$]*)?", uri)
    if relative is None:
        return uri
    # In a file of settings `${` begins a reference.
    path = str(Path(relative[2]).absolute()).replace("${", "$${")
    return f"{relative[1]}{path}{relative[3] or ''}"


def _kept(answers: Answers, output: Path) -> dict[str, Path]:
    """Return where addresses that hold passwords are kept, by their sources."""
    return {source: output.with_name(f"{source}_uri") for source, uri in answers.uris.items() if holds_secret(uri)}


def _check(output: Path) -> bool:
    try:
        settings, layers = read([output])
    except ConfigError as error:
        # Variables of the environment can make good settings bad.
        results = [checks.Result("settings", False, problem) for problem in error.problems]
    else:
        results = [checks.Result("settings", True, str(output)), *checks.run(settings, layers)]
    for line in checks.lines(results):
        print(line)
    return all(result.ok for result in results)


def _next(answers: Answers, output: Path, kept: Mapping[str, Path], *, succeeded: bool) -> str:
    host = platform.node() if answers.host in _ANYWHERE else answers.host
    target = f"[{host}]:{answers.port}" if ":" in host else f"{host}:{answers.port}"
    command = spelled("serve" if succeeded else "check", f"--config.file={output}")
    secrets = "\nKeep the files of passwords out of version control.\n" if kept else ""
    corrected = " or ".join(map(str, (*kept.values(), output)))
    first = (
        "Then start it" if succeeded else f"Something is not well yet, see above. Correct {corrected}, and try it again"
    )
    scraped = "Let" if succeeded else "Once it is well, let"
    return f"""{secrets}
{scraped} Prometheus scrape it, in the configuration of Prometheus:

scrape_configs:
  - job_name: {version.NAME}
    static_configs: [{{targets: ["{target}"]}}]

{first}:

{command}"""
