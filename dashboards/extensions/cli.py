"""`ml-monitoring new`: write files of a metric, a recording rule, an alert, a panel, a page or a source."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from ml_monitoring.alerting import extensions
from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.extension_alerts import OwnAlert
from ml_monitoring.alerting.extension_pages import OwnPage, OwnPanelFile
from ml_monitoring.alerting.extension_rules import OwnRules, rules_name_problem
from ml_monitoring.alerting.model.thresholds import load_layers
from ml_monitoring.dashboards.extensions.metrics import OwnMetric, meant, named, own_metrics
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.config import Settings
from ml_monitoring.exporter.database.uri import DatabaseUri
from ml_monitoring.exporter.environment import DEFAULT_FILES, STORE_VARIABLES, settings_files
from ml_monitoring.exporter.errors import ConfigError, UsageError
from ml_monitoring.exporter.init.answers import holds_secret
from ml_monitoring.exporter.json_schema import schema_of
from ml_monitoring.exporter.references import PREFIX
from ml_monitoring.exporter.settings_words import words
from ml_monitoring.exporter.sources import SOURCES
from ml_monitoring.exporter.sources.queries.settings import MetricName

_TEMPLATES: Final = Path(__file__).with_name("templates")
_GENERATED: Final = "generated"
# Where MLflow keeps what it has, unless it is given another place.
_STORE: Final = "sqlite:///mlflow.db"
# What a first query asks there, and what any database answers.
_SQL_OF_MLFLOW: Final = "SELECT lifecycle_stage AS stage, count(*) AS number FROM experiments GROUP BY lifecycle_stage"
_SQL_OF_ANY: Final = "SELECT 'active' AS stage, 1 AS number"
# Template of each file, by its place in the folder.
_FILES: Final[Mapping[str, Mapping[str, str]]] = {
    "metric": {"queries/@NAME@.yml": "metric.yml.txt"},
    "rule": {"rules/@NAME@.yml": "rule.yml.txt", "tests/@NAME@.test.yml": "rule.test.yml.txt"},
    "alert": {
        "alerts/@NAME@.yml": "alert.yml.txt",
        "runbooks/@NAME@.md": "runbook.md.txt",
        "tests/@NAME@.test.yml": "alert.test.yml.txt",
    },
    "panel": {"panels/@NAME@.yml": "panel.yml.txt"},
    "page": {"pages/@NAME@.yml": "page.yml.txt"},
    "page of a metric": {"pages/@NAME@.yml": "page.metric.yml.txt"},
    "python page": {"pages/@NAME@.py": "page.py.txt"},
    "source": {
        "sources/@NAME@/pyproject.toml": "source-pyproject.txt",
        "sources/@NAME@/ml_monitoring_source_@NAME@.py": "source.py.txt",
    },
}
_NAMING: Final = {
    "rule": rules_name_problem,
    "alert": extensions.alert_name_problem,
    "panel": extensions.panel_name_problem,
    "page": extensions.page_name_problem,
}
# What can be about a metric of the user's queries.
_OF_A_METRIC: Final = ("alert", "panel", "page")
_SOURCE: Final = re.compile(r"[a-z][a-z0-9_]*")
_PURPOSES: Final = {
    "metric": ("a metric by a query, as settings of the exporter", "shop_orders_waiting"),
    "rule": ("a file of recording rules and its test", "shop_orders"),
    "alert": ("an alert, its runbook and its test", "ShopOrdersWaiting"),
    "panel": ("a panel on one of the pages", "orders"),
    "page": ("a page of dashboards", "shop"),
    "source": ("a source of the exporter in Python, as a package", "weather"),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas of the files by name, so that editors complete them."""
    return {
        "alert.json": schema_of(OwnAlert, "An alert of your own", references=False),
        "page.json": schema_of(OwnPage, "A page of your own", references=False),
        "panel.json": schema_of(OwnPanelFile, "A panel of your own on a page", references=False),
        "rule.json": schema_of(OwnRules, "Recording rules of your own", references=False),
    }


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
    for kind, (purpose, example) in _PURPOSES.items():
        parser = commands.add_parser(
            kind, help=f"write {purpose}", description=f"Write {purpose}, and say what is next."
        )
        parser.add_argument("name", metavar="NAME", help=f"such as {example}")
        parser.add_argument(
            "--directory",
            type=command_line.path,
            metavar="DIR",
            help="your folder (default: the one that the alerting settings name as `extensions`, else ./monitoring)",
        )
        if kind == "page":
            parser.add_argument("--python", action="store_true", help="in Python, for all that our own pages can do")
        if kind in _OF_A_METRIC:
            parser.add_argument(
                "--metric",
                help="the metric of your queries that it is about (default: the one that NAME begins with, else the "
                "only one)",
            )
        if kind == "metric":
            parser.add_argument(
                "--uri", help="a database of your own, such as sqlite:////data/shop.db (default: that of MLflow)"
            )
        own.add_settings(parser)
        parser.set_defaults(command=_run, kind=kind, uri=None, metric=None)


def _run(options: argparse.Namespace) -> int:
    if problem := _name_problem(options.kind, options.name):
        raise UsageError([f"{options.name}: {problem}"])
    if options.uri is not None:
        _check_uri(options.uri)
    if options.metric is not None and options.kind == "page" and options.python:
        raise UsageError(["--metric: is for pages in YAML; leave out --python"])
    place = _Place.of(options)
    metric = _metric_meant(options, place.folder)
    kind = options.kind
    if kind == "page":
        kind = "python page" if options.python else "page of a metric" if metric else "page"
    words = _words(options, metric)
    texts = {
        place.folder / _filled(path, words): _filled((_TEMPLATES / template).read_text("utf-8"), words)
        for path, template in _FILES[kind].items()
    }
    if there := [str(path) for path in texts if path.exists()]:
        raise ConfigError([f"{path}: is there already: edit it, or choose another name" for path in there])
    # Before anything is written, so that an error in it leaves nothing behind.
    commands = list(_next(options.kind, options, place))
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            # A full disk does not say which.
            error.filename = str(path)
            raise
        print(path)
    if kind not in ("python page", "source"):
        _write_schemas(place.folder / "schemas", options.kind)
    if kind == "alert":
        print(
            f"\nThe exporter serves the runbook where its settings say: web: {{runbooks_dir: {place.folder}/runbooks}}"
        )
    print(f"\nEdit {'it, which works' if len(texts) == 1 else 'them, which work'} as written too, and then:\n")
    for command in commands:
        print(f"  {command}")
    if kind == "metric":
        parts = _snake(options.name).split("_")
        # No longer than the name of a panel may be.
        panel = "-".join(filter(None, parts))[:22].strip("-")
        alert = "".join(part.capitalize() for part in parts)
        print(
            f"\nOnce its values are there, `{command_line.spelled('new', 'panel', panel)}` shows it, "
            f"and `{command_line.spelled('new', 'alert', alert)}` watches it."
        )
    return 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where files go, and which settings know it.

    Attributes:
        folder: The user's folder.
        settings: The settings that name it, or that are to.
        named: Whether they do.
    """

    folder: Path
    settings: Path
    named: bool

    @classmethod
    def of(cls, options: argparse.Namespace) -> _Place:
        files = [path for path in own.settings_files(options) if path != Path(os.devnull)]
        # The last may be one that the first of the commands makes, as it names the folder.
        begun = files if not files or files[-1].exists() else files[:-1]
        if begun != files and not (parent := files[-1].parent).is_dir():
            raise ConfigError([f"{files[-1]}: there is no such folder; make it: mkdir -p {shlex.quote(str(parent))}"])
        layers = load_layers(begun)
        named = extensions.folder_of(layers, begun=False)
        if named is not None:
            # No command makes one then.
            load_layers(files)
        if named is not None and options.directory is not None and named.resolve() != options.directory.resolve():
            raise ConfigError([layers.problem(("extensions",), f"is {named}, not {options.directory}")])
        folder = named or options.directory or own.DIRECTORY
        return cls(folder, files[-1] if files else own.DEFAULT_PLACES[0], named is not None)


def _next(kind: str, options: argparse.Namespace, place: _Place) -> Iterator[str]:
    """Yield the commands that come next, as they can be pasted."""
    spelled = command_line.spelled
    settings = settings_files(None)
    if kind == "metric":
        given = settings or any(name.startswith(f"{PREFIX}SOURCES__MLFLOW__") for name in os.environ)
        if options.uri is None and not given:
            settings = list(DEFAULT_FILES[:1])
            # Of MLflow's own variables the exporter takes what the settings leave open.
            store = "{}" if any(map(os.environ.get, STORE_VARIABLES)) else f'{{uri: "{_STORE}"}}'
            yield f"[ -e {settings[0]} ] || echo 'sources: {{mlflow: {store}}}' > {settings[0]}"
        files = [*settings, place.folder / "queries" / f"{options.name}.yml"]
        yield spelled("check", *(word for path in files for word in ("--config", str(path))))
        return
    if kind == "source":
        yield f"pip install {shlex.quote(f'./{os.path.relpath(place.folder)}/sources/{options.name}')}"
        yield f"echo 'sources: {{{options.name}: {{}}}}' > {options.name}.yml"
        files = [*(path for path in settings if path.is_file()), Path(f"{options.name}.yml")]
        yield spelled("check", *(word for path in files for word in ("--config", str(path))))
        return
    if not place.named:
        # Once, also where it is pasted twice.
        is_named = f"grep -qs '^extensions:' {shlex.quote(str(place.settings))}"
        yield f"{is_named} || {own.naming(place.folder, place.settings)}"
    named = [word for path in options.settings or () for word in ("--settings", str(path))]
    if kind in ("alert", "rule"):
        yield spelled("alerts", "test", *named)
        yield spelled("alerts", "generate", *named, "--output-dir", f"{_GENERATED}/alerting")
    if kind == "rule":
        return
    yield spelled("dashboards", "generate", *named, "--output-dir", f"{_GENERATED}/dashboards")


def _name_problem(kind: str, name: str) -> str:
    """Return why nothing of this kind can be called so; empty where it can."""
    if kind in _NAMING:
        return _NAMING[kind](name)
    if kind == "metric":
        try:
            TypeAdapter(MetricName).validate_python(name)
        except ValidationError as error:
            return words(error.errors()[0], name)
        return ""
    if not _SOURCE.fullmatch(name):
        return "call it in small letters, digits and underscores, and begin with a letter"
    return (
        "the exporter has a source of this name: choose another one"
        if name in {source.name for source in SOURCES}
        else ""
    )


def _write_schemas(folder: Path, kind: str) -> None:
    """Write what the first lines of the files name, for editors; as this version has it, whatever was there."""
    name = "settings.json" if kind == "metric" else f"{kind}.json"
    schema = (
        schema_of(Settings, "Settings of ml-monitoring's exporter", references=True)
        if kind == "metric"
        else schemas()[name]
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _metric_meant(options: argparse.Namespace, folder: Path) -> OwnMetric | None:
    """Return the metric of the folder's queries that the new files are about; None where it may be none."""
    if options.kind in ("metric", "source"):
        return None
    if options.metric is not None:
        return named(options.metric, folder)
    of_one = options.kind in _OF_A_METRIC
    return meant(_snake(options.name), own_metrics(folder), also_the_only_one=of_one)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")


def _check_uri(uri: str) -> None:
    try:
        DatabaseUri.parse(uri)
    except ValueError as error:
        raise UsageError([f"--uri: {error}"]) from None
    if holds_secret(uri):
        raise UsageError(["--uri: holds a password: leave it out, and let `uri_file` in the file name what holds it"])


def _words(options: argparse.Namespace, metric: OwnMetric | None) -> dict[str, str]:
    """Return the text that stands for each marker of the templates."""
    name, uri = options.name, options.uri
    snake = _snake(name)
    words = {
        "@NAME@": name,
        "@SNAKE@": snake,
        "@METRIC@": metric.name if metric else snake,
        "@DASHED@": snake.replace("_", "-"),
        "@WORDS@": snake.replace("_", " ").capitalize(),
        "@CLASS@": "".join(part.capitalize() for part in snake.split("_")) + "Source",
        "@SQL@": _SQL_OF_MLFLOW if uri is None else _SQL_OF_ANY,
        "@DATABASE@": "store: mlflow" if uri is None else f"uri: {json.dumps(uri)}",
    }
    example = OwnMetric("http_requests_total", is_counter=True) if options.kind == "panel" else OwnMetric(snake)
    return words | (metric or example).words()


def _filled(text: str, words: Mapping[str, str]) -> str:
    for marker, value in words.items():
        text = text.replace(marker, value)
    return text
