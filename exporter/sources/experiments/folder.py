"""Declarations in files: one file, or a folder of them, each a mapping of names to experiments.

They are read again when they have changed, and are not just being written. A file that cannot be used leaves the
experiments that it declared as they were, and touches no other file's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import RootModel, ValidationError

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import Identity, describe_read_error
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration, ExperimentName
from ml_monitoring.exporter.validation import check

_SUFFIXES: Final = frozenset({".yml", ".yaml"})
# Seconds for which a file has to be as it is, so that no part of one ends the experiments in its rest.
_WRITTEN: Final = 1.0


class ExperimentsFile(RootModel[dict[ExperimentName, ExperimentDeclaration]]):
    """A file of experiments by their names."""


@dataclass(slots=True)
class _File:
    identity: Identity
    declared: dict[str, ExperimentDeclaration] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def _holds_names(value: object) -> bool:
    """Tell whether what stands under a name is no experiment, but several or what holds them."""
    return isinstance(value, dict) and bool(value) and not value.keys() & ExperimentDeclaration.model_fields.keys()


class DeclarationFiles:
    """The files of a folder, or one file.

    Args:
        path: The folder, or the file.
        clock: Gives the seconds since the epoch.

    Attributes:
        problems: What cannot be used, one sentence each, with file and line.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._files: dict[Path, _File] = {}
        self.problems: list[str] = []

    def read(self) -> dict[str, ExperimentDeclaration]:
        """Return all experiments that are declared at present."""
        self.problems = []
        try:
            paths = self._paths()
        except OSError as error:
            # A folder that is away for a moment, as while it is mounted again, ends no experiment.
            self.problems.append(f"{self._path}: cannot be read: {describe_read_error(error)}")
            paths = list(self._files)
        self._files = {path: self._file(path) for path in paths}
        declared: dict[str, ExperimentDeclaration] = {}
        first: dict[str, Path] = {}
        for path, file in self._files.items():
            self.problems += file.problems
            for name, declaration in file.declared.items():
                if first.setdefault(name, path) != path:
                    self.problems.append(f"{path}: {name}: is declared in {first[name]} too; that one counts")
                else:
                    declared[name] = declaration
        return declared

    def _paths(self) -> list[Path]:
        if not self._path.is_dir():
            self._path.stat()
            return [self._path]
        return sorted(
            path for path in self._path.iterdir() if path.suffix in _SUFFIXES and not path.name.startswith(".")
        )

    def _file(self, path: Path) -> _File:
        known = self._files.get(path)
        before = known.declared if known else {}
        try:
            status = path.stat()
        except OSError as error:
            return _File(Identity.none(), before, (f"{path}: cannot be read: {describe_read_error(error)}",))
        identity = Identity.of(status)
        if known is not None and (known.identity == identity or 0 <= self._clock() - status.st_mtime < _WRITTEN):
            return known
        try:
            layers = Layers.of_file(path)
        except ConfigError as error:
            return _File(identity, before, error.problems)
        nested = next(
            (key for key in ("experiments", "declared", "sources") if _holds_names(layers.data.get(key))), None
        )
        if nested is not None:
            problem = f"names of experiments belong on the first level of this file, without `{nested}:` above them"
            return _File(identity, before, (layers.problem((nested,), problem),))
        checked = check(layers, ExperimentsFile)
        if checked.usable is not None and not checked.problems:
            return _File(identity, checked.usable.root)
        problems = tuple(layers.sentences(checked.problems))
        return _File(identity, self._usable(layers, before), problems)

    @staticmethod
    def _usable(layers: Layers, before: dict[str, ExperimentDeclaration]) -> dict[str, ExperimentDeclaration]:
        """Return the experiments of a file that can be used; the others as they were before."""
        found: dict[str, ExperimentDeclaration] = {}
        for name, data in layers.data.items():
            try:
                found |= ExperimentsFile.model_validate({name: data}).root
            except ValidationError:
                if name in before:
                    found[name] = before[name]
        return found
