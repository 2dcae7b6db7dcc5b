"""A risk model trained on labelled fleet files: a random forest says how likely a server is in an incident.

Train it on files whose column `incident_phase` tells when the incident was and `problem_child` which servers it hit:

    .venv/bin/python -m demo fleet --seed 1 --output-dir training
    python -m fleet_risk_forest training/fleet.csv --output forest.pickle

and choose it in the exporter's settings:

    sources:
      fleet:
        risk: {model: forest, options: {path: forest.pickle}}

What a server should be compared with is part of the model: it learns each profile's usual values from the calm rows.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from sklearn.ensemble import RandomForestClassifier

from ml_monitoring.exporter.risk import Sample

MEASURES = ("cpu", "memory", "latency", "error", "gc_pause")
INCIDENT = ("escalation", "peak")
# A server that measures nothing is as risky as one that does not answer.
SILENT = 1.0


class ForestModel:
    """Scores servers with a trained forest.

    Args:
        forest: Trained on `features`.
        usual: Each profile's usual values, in the order of `MEASURES`.
    """

    def __init__(self, forest: RandomForestClassifier, usual: dict[str, list[float]]) -> None:
        self.forest = forest
        self.usual = usual

    def score(self, samples: Sequence[Sample]) -> list[float]:
        """Return the probability that each server is in an incident."""
        rows = [features(sample, self.usual) for sample in samples]
        measured = [row for row in rows if row is not None]
        scores = iter(self.forest.predict_proba(measured)[:, 1].tolist() if measured else ())
        return [SILENT if row is None else next(scores) for row in rows]


def load(path: str) -> ForestModel:
    """Return the model that `train` wrote: what the entry point names.

    A pickle runs code when it is loaded: only load files that nobody else can write.
    """
    with Path(path).open("rb") as file:
        model: ForestModel = pickle.load(file)  # noqa: S301  # the operator's own file, see above
    return model


def features(sample: Sample, usual: dict[str, list[float]]) -> list[float] | None:
    """Return a server's measurements as multiples of its profile's usual ones; None when one is missing."""
    values = [getattr(sample, name) for name in MEASURES]
    if any(value is None for value in values):
        return None
    # A profile that the training did not know is judged by its absolute values.
    base = usual.get(sample.profile, [1.0] * len(MEASURES))
    return [value / (normal or 1.0) for value, normal in zip(values, base, strict=True)]


def train(samples: Iterable[Sample], *, seed: int = 0) -> ForestModel:
    """Train a forest on rows that name their phase and say whether the incident hit them."""
    known = [sample for sample in samples if sample.phase is not None]
    calm: dict[str, list[Sample]] = {}
    for sample in known:
        if sample.phase == "stable":
            calm.setdefault(sample.profile, []).append(sample)
    usual = {
        profile: [median(getattr(row, name) for row in rows if getattr(row, name) is not None) for name in MEASURES]
        for profile, rows in calm.items()
    }
    rows = [(features(sample, usual), sample.phase in INCIDENT and bool(sample.problem_child)) for sample in known]
    forest = RandomForestClassifier(n_estimators=50, min_samples_leaf=5, random_state=seed)
    forest.fit([row for row, _hit in rows if row is not None], [hit for row, hit in rows if row is not None])
    return ForestModel(forest, usual)
