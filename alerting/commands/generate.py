"""`alerts generate`: write the files that Prometheus and Alertmanager read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.extensions import unfilled_runbooks
from ml_monitoring.alerting.generate import alertmanager, files, foreign_inhibition, merge, mimir
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.operate.explain import budget_notes, latency_notes
from ml_monitoring.alerting.services.adapter import uncounted
from ml_monitoring.alerting.services.adapters import ADAPTERS
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import UsageError
from ml_monitoring.exporter.regular_files import read_text
from ml_monitoring.exporter.version import CHECKOUT

HELP = "write the files that Prometheus and Alertmanager read"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument(
        "--output-dir",
        type=command_line.path,
        default=None if CHECKOUT is None else files.DEFAULT_DIRECTORY,
        metavar="DIR",
        help="where to write (default in a checkout: alerting/generated)",
    )
    parser.add_argument(
        "--format",
        choices=("prometheus", "mimir"),
        default="prometheus",
        help="files of Prometheus and Alertmanager (the default), or the rules alone for `mimirtool rules sync`",
    )
    parser.add_argument(
        "--rules-per-group",
        type=_number,
        metavar="N",
        help="with --format mimir: split groups with more rules, where the ruler allows no more (default: as they are)",
    )
    parser.add_argument(
        "--into",
        type=command_line.path,
        metavar="FILE",
        help="put our routes, inhibitions and receivers into the alertmanager.yml of others, in place of those that an "
        "earlier run put there; all else in it stays as it is",
    )
    parser.add_argument(
        "--remove", action="store_true", help="with --into, and nothing else: take ours out of that file again"
    )
    parser.add_argument(
        "--compose",
        action="store_true",
        help="also write prometheus.yml and prometheus-scale.yml, for the stack of docker compose (the default where "
        "--output-dir is not given)",
    )
    parser.add_argument("--webhook-url", metavar="URL", help="post notifications here, whatever the settings say")
    parser.add_argument("--exporter-ca", default="", metavar="FILE", help="scrape the exporter by TLS, and trust this")


def run(options: argparse.Namespace) -> int:
    """Write the files and return the exit status.

    Raises:
        ConfigError: A file cannot be used.
        UsageError: Options do not fit each other, or no folder is given.
    """
    if options.remove:
        return _remove_from(options.into)
    if options.output_dir is None:
        raise UsageError(["--output-dir: give the folder to write into"])
    is_mimir = options.format == "mimir"
    is_default = options.output_dir.resolve() == files.DEFAULT_DIRECTORY.resolve()
    if is_mimir and is_default:
        raise UsageError(["--format mimir: give --output-dir, as the default folder is of Prometheus's files"])
    if options.rules_per_group is not None and not is_mimir:
        raise UsageError(["--rules-per-group: add --format mimir; Prometheus takes groups of any size"])
    if options.exporter_ca and not (options.compose or is_default):
        raise UsageError(["--exporter-ca: add --compose; only its prometheus.yml says how the exporter is scraped"])
    thresholds = own.load_to_write(options, files.DEFAULT_DIRECTORY, webhook=options.webhook_url)
    if is_mimir:
        texts = {mimir.FILE: mimir.text(thresholds, most_rules=options.rules_per_group)}
    else:
        texts = files.rules(thresholds) if options.into else files.files(thresholds)
    if options.compose or is_default:
        texts |= files.of_compose(exporter_ca=options.exporter_ca)
    # Both before the notes, so that an error stands alone, and before anything is written.
    files.check_free(texts, options.output_dir)
    is_changed = merge.write_into(options.into, thresholds) if options.into else False
    # Here only, and by `check` of the exporter that serves them, as other commands have no use for them.
    unmeasured = (*unfilled_runbooks(thresholds), *uncounted(thresholds.services, ADAPTERS), *latency_notes(thresholds))
    for sentence in (*unmeasured, *budget_notes(thresholds)):
        print(f"note: {sentence}", file=sys.stderr)
    if options.into:
        _say_what_was_written(options.into, thresholds, is_changed=is_changed)
    if not is_mimir or options.into:
        _say_who_is_not_notified(thresholds)
        for setting, advice in thresholds.notifications.secret_addresses.items():
            print(
                f"note: {setting}: holds what may be a secret, which everybody can read in alertmanager.yml; {advice}",
                file=sys.stderr,
            )
    files.write(texts, options.output_dir)
    print(f"{options.output_dir}: {', '.join(sorted(texts))} written; {_next(options, is_mimir=is_mimir)}")
    return 0


def _remove_from(path: Path | None) -> int:
    if path is None:
        raise UsageError(["--remove: give the file that ours is in, by --into"])
    is_changed = merge.remove_from(path)
    for line in merge.lines_on_ours(read_text(path)):
        print(f'note: {path}:{line}: still says !="{merge.OWN}", which nothing needs any more', file=sys.stderr)
    done = (
        "without ours; reload Prometheus without our rules, and Alertmanager 20 minutes later, or more where a "
        "group_interval is longer than 15: by then it has sent that our alerts ended"
    )
    print(f"{path}: {done if is_changed else 'has nothing of ours'}")
    return 0


def _next(options: argparse.Namespace, *, is_mimir: bool) -> str:
    """Return what is to be done with the files."""
    if is_mimir:
        return "next: mimirtool rules sync"
    # Which file it reads nobody but the user knows.
    too = "" if options.into else ", and Alertmanager where it reads the alertmanager.yml from there"
    return f"next: promtool check rules {options.output_dir}/alerts.yml, then reload Prometheus{too}"


def _say_who_is_not_notified(thresholds: Thresholds) -> None:
    silent = alertmanager.without_channel(alertmanager.build(thresholds=thresholds))
    loud = {f"{team}-{severity}" for team in thresholds.teams for severity in ("critical", "warning")}
    if silent >= {*loud, alertmanager.ESCALATION}:
        print("note: no channel: nobody is notified; see notifications.channels of the settings", file=sys.stderr)
    elif missing := sorted(silent & loud):
        print(f"note: no channel for {', '.join(missing)}: nobody is notified of these", file=sys.stderr)


def _say_what_was_written(path: Path, thresholds: Thresholds, *, is_changed: bool) -> None:
    for line, note in foreign_inhibition.notes(read_text(path), thresholds):
        print(f"note: {path}:{line}: {note}", file=sys.stderr)
    print(f"{path}: {'written; reload Alertmanager, then Prometheus' if is_changed else 'is up to date'}")


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
