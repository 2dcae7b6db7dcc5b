"""What was read, beside the exporter: for experiments that run for longer than Prometheus keeps samples.

Nothing else depends on it: without the file, or with one of another declaration, everything is read again.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from ml_monitoring.exporter import state_files
from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.sources.experiments.counters import Counters, Target
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration
from ml_monitoring.exporter.sources.experiments.evidence import ExperimentEvidence
from ml_monitoring.exporter.sources.experiments.tracked import TrackedExperiment

# Of the form of the files.
_VERSION: Final = 3
_KEYS: Final = frozenset({"fingerprint", "batches"})
# What may be declared otherwise without reading everything again; the length of a batch follows from the end.
_OF_NO_EFFECT: Final = {"title", "team", "link", "end", "stopped", "minimum_duration", "batch", "data_within"}


class ReadingCache:
    """A folder with a file for each experiment.

    Args:
        folder: Made where it does not exist.

    Attributes:
        refused: By experiment, why its file is not ours, and therefore never written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.refused: dict[str, SourceError] = {}

    def load(self, name: str, declaration: ExperimentDeclaration) -> TrackedExperiment | None:
        """Return an experiment as it was written; None where that is not known, or was declared otherwise."""
        self.refused.pop(name, None)
        try:
            content = state_files.read(self._path(name), "what was read of an experiment", _KEYS, "cache")
        except SourceError as error:
            self.refused[name] = error
            return None
        try:
            if content is not None and content["fingerprint"] == fingerprint(declaration):
                return _tracked(name, declaration, content)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return None

    def save(self, tracked: TrackedExperiment) -> None:
        """Write what was read of an experiment.

        Raises:
            OSError: The folder cannot be written.
            SourceError: The file is not ours.
        """
        if error := self.refused.get(tracked.name):
            raise error
        history = tracked.history
        content = {
            "fingerprint": fingerprint(tracked.declaration),
            "batches": history.batches,
            "first": history.first,
            "last": history.last,
            "totals": [[*counted, total] for counted, total in history.totals.items()],
            "targets": [[key, each.seen, list(each.values.items())] for key, each in tracked.counters.targets.items()],
            "evidence": tracked.evidence.dump(),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(tracked.name)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with gzip.open(partial, "wt", compresslevel=1, encoding="utf-8") as file:
                json.dump(content, file, separators=(",", ":"))
            partial.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise

    def _path(self, name: str) -> Path:
        # The names of experiments are names of files too.
        return self._folder / f"{name}.json.gz"


def fingerprint(declaration: ExperimentDeclaration) -> str:
    """Return what changes when something else is to be read, or is judged from the start in another way."""
    # Without what is not declared, so that a key that comes with a later version changes nothing.
    kept = declaration.model_dump(mode="json", exclude=_OF_NO_EFFECT, exclude_defaults=True)
    return hashlib.sha256(json.dumps([_VERSION, declaration.step, kept], sort_keys=True).encode()).hexdigest()


def _tracked(name: str, declaration: ExperimentDeclaration, content: Any) -> TrackedExperiment:
    tracked = TrackedExperiment.of(name, declaration)
    history = tracked.history
    # Files of before do not have the first.
    history.first = int(content.get("first", 0))
    history.batches, history.last = int(content["batches"]), int(content["last"])
    history.totals = {(str(what), str(arm)): float(total) for what, arm, total in content["totals"]}
    tracked.evidence = ExperimentEvidence.load(declaration, content["evidence"])
    tracked.counters = Counters(
        {
            int(key): Target(float(seen), {int(series): float(value) for series, value in values})
            for key, seen, values in content["targets"]
        }
    )
    tracked.saved = history.batches
    return tracked
