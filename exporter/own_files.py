"""Files that are none of settings, of a user's own folder and of other programs: where each of them belongs."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from os.path import relpath
from pathlib import Path
from typing import Any, Final

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_hints import ALERTING_KEYS, EXPORTER_KEYS, Location
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all

# Of entry points; here, as sources take long to import.
GROUP: Final = "ml_monitoring.sources"
# Keys of the files of each kind, how many of them no other file has together, and what such a file is of.
_TELLING: Final[Mapping[str, tuple[int, str, frozenset[str]]]] = {
    "alerts": (3, "an alert", frozenset({"expr", "threshold", "for", "severity", "summary", "description"})),
    "rules": (1, "recording rules", frozenset({"rules"})),
    "pages": (1, "a page", frozenset({"rows"})),
    "panels": (3, "a panel", frozenset({"page", "title", "question", "kind", "expr", "alert", "queries", "unit"})),
}

# The same of other programs' files, and where those belong.
_OTHERS: Final[tuple[tuple[int, frozenset[str], str], ...]] = (
    (
        2,
        frozenset({"global", "scrape_configs", "rule_files", "alerting", "remote_write", "scrape_config_files"}),
        "Prometheus's own file, which its --config.file takes",
    ),
    (
        2,
        frozenset({"global", "route", "receivers", "inhibit_rules", "templates", "time_intervals"}),
        "Alertmanager's own file, which its --config.file takes",
    ),
    (
        1,
        frozenset({"tls_server_config", "basic_auth_users", "http_server_config"}),
        "a file of TLS and users, which --web.config.file takes",
    ),
    (
        2,
        frozenset({"databases", "queries"}),
        "a file of query-exporter, which `ml-monitoring queries import` turns into settings",
    ),
    (
        1,
        frozenset({"jobs", "target", "collectors", "collector_name"}),
        "a file of sql_exporter, which `ml-monitoring queries import` turns into settings",
    ),
)
# What experiments have together; a file of them is a mapping of names.
_OF_EXPERIMENTS: Final = frozenset({"start", "arms", "metrics"})


def refuse(path: Path, data: Mapping[str, Any]) -> None:
    """Refuse a file that is none of settings, but of a user's folder, of another program or of experiments.

    Raises:
        ConfigError: It is one.
    """
    for kind, (enough, what, keys) in _TELLING.items():
        if len(data.keys() & keys) >= enough:
            own = path.parent.name == kind
            todo = (
                f"`extensions: {path.parent.parent}` in the alerting settings (--settings) names its folder"
                if own
                else f"move it into {kind} of the folder that `extensions` in the alerting settings (--settings) names"
            )
            raise ConfigError([f"{path}: this looks like the file of {what}, not like settings; {todo}"])
    other = next((what for enough, keys, what in _OTHERS if len(data.keys() & keys) >= enough), "")
    if data and all(isinstance(each, dict) and each.keys() >= _OF_EXPERIMENTS for each in data.values()):
        other = "a file of experiments, which sources.experiments.files names"
    if other and not data.keys() & (EXPORTER_KEYS | ALERTING_KEYS):
        raise ConfigError([f"{path}: this does not look like settings, but like {other}"])


def of_source(at: Location, message: str, known: Iterable[str], files: Collection[Path]) -> str:
    """Return what is wrong with a setting; of a section of a source that no package has, how to install it.

    Args:
        at: The setting.
        message: What is wrong with it.
        known: The sources that there are.
        files: The files of settings, near which folders of sources are looked for.
    """
    if len(at) != 2 or at[0] != "sources" or not message.startswith("unknown key"):
        return message
    name = str(at[1])
    if not name.isidentifier():
        return message
    folders = {folder.name: folder for folder in _sources(files)}
    missing = f"no installed package has a source {name}"
    if folder := folders.get(name):
        return f"{missing}; `pip install {shlex.quote(f'./{relpath(folder)}')}` installs yours"
    if message != "unknown key":
        return message
    return missing + (suggestion(name, folders) or suggestion_or_all(name, known))


def _sources(files: Collection[Path]) -> Iterator[Path]:
    """Yield the folders of sources that `ml-monitoring new` wrote, whatever the folder around them is called."""
    for folder in dict.fromkeys([Path(), *(path.parent for path in files)]):
        yield from (path for pattern in ("*/sources", "../sources") for path in sources_in(folder, pattern))


def sources_in(folder: Path, pattern: str = "sources") -> Iterator[Path]:
    """Yield the folders of packages of sources in folders that a pattern finds."""
    for path in sorted(folder.glob(f"{pattern}/*/pyproject.toml")):
        if GROUP in path.read_text("utf-8", errors="replace"):
            yield path.parent
