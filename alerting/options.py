"""The option `--settings`: a user's own numbers, teams, channels, links and extensions, for commands that take them."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from ml_monitoring.alerting import extensions
from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.extension_files import definitions
from ml_monitoring.alerting.extension_slips import slips
from ml_monitoring.alerting.extension_sources import unknown_sources
from ml_monitoring.alerting.model.misfits import always
from ml_monitoring.alerting.model.thresholds import Thresholds, examine, load_layers, switched_off
from ml_monitoring.alerting.operate.promtool import refuse_broken
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import ConfigError, collecting
from ml_monitoring.exporter.references import PREFIX
from ml_monitoring.exporter.settings_file import Layers, files_of, first_of
from ml_monitoring.exporter.version import CHECKOUT

VARIABLE: Final = f"{PREFIX}ALERTING_SETTINGS"
# Of these the first that exists counts where nothing is given; in a checkout also what `make deploy` takes.
DEFAULT_PLACES: Final = (
    Path("ml-monitoring-alerting.yml"),
    *([CHECKOUT / "docker" / "alerting.yml"] if CHECKOUT else []),
    Path("/etc/ml-monitoring/alerting.yml"),
)
# Where `ml-monitoring new` writes unless the settings name another folder.
DIRECTORY: Final = Path("monitoring")
# How files of pages end, and so those of all kinds.
_DEFINING: Final = (".yml", ".yaml", ".py")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the option to a command."""
    parser.add_argument(
        "--settings",
        action="append",
        type=command_line.path,
        metavar="FILE",
        help="your own numbers, teams, channels and links, laid over the defaults; repeat for several: the last one "
        f"goes first (default: the files of ${VARIABLE}, separated by colons, else the first that exists of "
        "./ml-monitoring-alerting.yml, docker/alerting.yml in a checkout, /etc/ml-monitoring/alerting.yml)",
    )


def settings_files(
    options: argparse.Namespace,
    environ: Mapping[str, str] = os.environ,
    places: Sequence[Path] = DEFAULT_PLACES,
) -> list[Path]:
    """Return the files that are laid over the defaults.

    Raises:
        ConfigError: The variable names a file that there is not, or a default one has another ending.
    """
    if options.settings is not None:
        return list(options.settings)
    if given := environ.get(VARIABLE):
        return files_of(VARIABLE, given)
    return first_of(places)


def load(options: argparse.Namespace, *, webhook: str | None = None) -> tuple[Thresholds, Layers]:
    """Return the settings in force, and where each was given.

    Args:
        options: What `add_settings` added.
        webhook: Where receivers post to, whatever the files say.

    Raises:
        ConfigError: A file cannot be used.
    """
    problems: list[str] = []
    thresholds, layers = _examine(options, problems, webhook=webhook)
    if problems or thresholds is None:
        raise ConfigError(problems)
    return thresholds, layers


def _examine(
    options: argparse.Namespace, problems: list[str], *, webhook: str | None
) -> tuple[Thresholds | None, Layers]:
    """Return what of the settings can be used, and where each was given; all that is wrong is added to the problems."""
    problems += _misplaced(os.environ)
    files = settings_files(options)
    layers = load_layers(files)
    own = None
    with collecting(problems):
        if folder := extensions.folder_of(layers):
            own = extensions.read(folder, problems)
            layers = load_layers(files, extensions=own.layers)
            # As seen from where the command is started, like all files that messages name.
            layers.data["extensions"] = str(folder)
    alerts = (*ALERTS, *(own.alerts if own else ()))
    thresholds = examine(
        alerts, layers, problems, unread=own.files.keys() if own else (), left_out=own.left_out if own else ()
    )
    if thresholds is not None:
        if own:
            thresholds = thresholds.with_own(own.alerts, [record for record, _, _ in own.records])
            problems += own.problems(thresholds)
        with collecting(problems):
            thresholds = thresholds.overridden(os.environ, webhook=webhook)
    return thresholds, layers


def _misplaced(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with variables that say settings as the exporter's may be said, or nearly the files' name."""
    for name in environ:
        section = name.removeprefix(PREFIX).partition("__")[0].lower()
        if name.startswith(PREFIX) and "__" in name and section in Thresholds.model_fields:
            yield f"{name}: settings of alerts are given in files only, by --settings or {VARIABLE}"
        elif name.startswith(f"{PREFIX}ALERTING") and name != VARIABLE:
            yield f"{name}: unknown setting; did you mean {VARIABLE}?"


def load_to_write(
    options: argparse.Namespace, committed: Path | None = None, *, webhook: str | None = None
) -> Thresholds:
    """Return the settings in force, for a command that writes files into its `--output-dir`.

    Args:
        options: What `add_settings` added, and `output_dir`.
        committed: Where git keeps what the defaults make.
        webhook: As in `load`.

    Raises:
        ConfigError: A file cannot be used, PromQL of the user's own is broken, or own settings would be written to
            where git keeps what the defaults make.
        MonitorError: promtool fails.
    """
    if committed is not None:
        _refuse_committed(options, committed)
    problems: list[str] = []
    thresholds, layers = _examine(options, problems, webhook=webhook)
    if thresholds is not None:
        with collecting(problems):
            refuse_broken(thresholds)
    if problems or thresholds is None:
        raise ConfigError(problems)
    note_unnamed_folder(options, thresholds)
    for sentence in switched_off(layers):
        _note(sentence)
    for alert in ALERTS:
        usual = layers.defaults["alerts"][alert.name].get("threshold")
        if said := always(alert, thresholds.alerts[alert.name], usual):
            _note(layers.problem(("alerts", alert.name, "threshold"), said))
    say_slips(options, thresholds)
    say_which(options)
    return thresholds


def say_slips(options: argparse.Namespace, thresholds: Thresholds) -> None:
    """Say what the folder nearly names, and which of its files nothing reads."""
    folder = Path(thresholds.extensions) if thresholds.extensions else None
    for sentence in (*unknown_sources(folder), *slips(folder, thresholds)) if folder else ():
        _note(sentence)
    # A folder that holds the settings as well may hold anything.
    if folder and folder.resolve() not in {path.resolve().parent for path in settings_files(options)}:
        for sentence in extensions.unread(folder):
            _note(sentence)


def say_which(options: argparse.Namespace) -> None:
    """Say whose settings were found, where none were given: a file of another name counts nowhere."""
    found = settings_files(options)
    # Who names the empty file wants the defaults.
    if options.settings is not None or found == [Path(os.devnull)]:
        return
    files = ", ".join(map(str, found))
    _note(f"by the settings of {files}" if files else f"no settings found, so by the defaults; {how_to_name()}")


def how_to_name() -> str:
    """Return how settings are named that were not found."""
    file = above()
    return f"did you mean --settings {shlex.quote(str(file))}?" if file else "--settings names a file"


def above() -> Path | None:
    """Return the settings of the nearest folder above that has some; None where none has."""
    up = Path(os.pardir)
    for _ in Path.cwd().parents:
        if (file := up / DEFAULT_PLACES[0]).is_file():
            return file
        up /= os.pardir
    return None


def named(options: argparse.Namespace) -> str:
    """Return the settings by which a command goes, for a sentence that says what is not in them."""
    files = ", ".join(str(path) for path in settings_files(options) if path != Path(os.devnull))
    return files or "the defaults (no settings were found)"


def note_unnamed_folder(
    options: argparse.Namespace, thresholds: Thresholds, unknown: Sequence[str] | None = None
) -> None:
    """Say, where no settings name the folder that `ml-monitoring new` writes, that nothing in it counts.

    Args:
        options: What `add_settings` added.
        thresholds: The settings in force.
        unknown: Alerts, or uids of pages, one of which there is not; nothing is said where the folder has none of them.
    """
    own = {path.stem for path in definitions(DIRECTORY, "alerts", [])}
    own |= {extensions.own_uid(path.stem) for path in definitions(DIRECTORY, "pages", [], _DEFINING)}
    if unknown is not None and own.isdisjoint(unknown):
        return
    if thresholds.extensions is None and (unnamed := unnamed_folder(settings_files(options))):
        _note(f"there is ./{DIRECTORY}, but no settings name it, so nothing in it counts: {unnamed}")


def naming(folder: Path, file: Path) -> str:
    """Return the command by which a file of settings names a folder of extensions."""
    return f"echo 'extensions: {os.path.relpath(folder, file.parent)}' >> {shlex.quote(str(file))}"


def unnamed_folder(files: Sequence[Path]) -> str:
    """Return what names the folder that `ml-monitoring new` writes by default; empty where it has nothing.

    Args:
        files: The settings, which name no folder.
    """
    found = any(definitions(DIRECTORY, kind, [], _DEFINING) for kind in ("alerts", "rules", "panels", "pages"))
    if not found or Path(os.devnull) in files:
        return ""
    return naming(DIRECTORY, files[-1] if files else DEFAULT_PLACES[0])


def _note(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr)  # noqa: T201  # for all commands that take settings


def _refuse_committed(options: argparse.Namespace, committed: Path) -> None:
    own = [str(path) for path in settings_files(options) if path != Path(os.devnull)]
    if own and CHECKOUT is not None and options.output_dir.resolve() == committed.resolve():
        raise ConfigError(
            [
                f"{', '.join(own)}: own settings need an output folder of their own (--output-dir): "
                f"git keeps in {committed} what the defaults make"
            ]
        )
