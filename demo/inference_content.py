"""What the demo inference service serves, and the truth about it that its traffic is made to have.

Two classifiers of handwritten digits (scikit-learn's own data set) are the variants A and B. Both make real predictions
on samples that they were not trained on; which samples are asked for is drawn so that exactly the documented share of
them is easy enough for each variant. A regression of the progress of diabetes stands beside them, without variants.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi, sin
from typing import Any, Final

import numpy as np
from sklearn.datasets import load_diabetes, load_digits  # type: ignore[import-untyped]  # carries no types
from sklearn.linear_model import LogisticRegression, Ridge  # type: ignore[import-untyped]  # as above
from sklearn.metrics import precision_score, recall_score  # type: ignore[import-untyped]  # as above
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]  # as above
from sklearn.tree import DecisionTreeClassifier  # type: ignore[import-untyped]  # as above

DIGITS_MODEL: Final = "digits"
PROGRESS_MODEL: Final = "progress"
TEST_SIZE: Final = 0.5
# What a right prediction is worth in the service's own reckoning.
RIGHT_IS_WORTH: Final = 0.02
_SEED: Final = 42
# Share of the traffic that both variants get wrong; it decides how much they agree.
_BOTH_WRONG: Final = 0.1
_BRIGHTEST: Final = 16.0


@dataclass(frozen=True, slots=True)
class VariantTruth:
    """What is true of a variant as long as no scenario is on.

    Attributes:
        version: Version of the model.
        accuracy: Share of right predictions.
        latency: Mean seconds that the service waits for features, the greatest part of the response time.
        error_ratio: Share of requests that fail.
    """

    version: str
    accuracy: float
    latency: float
    error_ratio: float


TRUTH: Final[Mapping[str, VariantTruth]] = {
    "A": VariantTruth(version="1", accuracy=0.782, latency=0.045, error_ratio=0.012),
    "B": VariantTruth(version="2", accuracy=0.818, latency=0.052, error_ratio=0.008),
}
CANDIDATE_SHARE: Final = 0.5

# Each can be switched on while the service runs.
SCENARIOS: Final[Mapping[str, str]] = {
    "degradation": "half of the features of variant B are missing",
    "latency": "every request takes 0.7 s longer",
    "errors": "three of four predictions fail",
    "drift": "only digits below 5 are asked for",
    "imbalance": "variant B gets 20 % of the traffic instead of 50 %",
    "stop": "no traffic at all",
}
SLOWER_BY: Final = 0.7
BURST_ERROR_RATIO: Final = 0.75
IMBALANCED_SHARE: Final = 0.2


def daily_curve(hour: float) -> float:
    """Return the factor on the mean rate at an hour of the day: 0.6 at 3:00, 1.4 at 15:00."""
    return 1 + 0.4 * sin((hour - 9) / 24 * 2 * pi)


class Digits:
    """The two classifiers and the samples that traffic is made of."""

    def __init__(self) -> None:
        features, digits = load_digits(return_X_y=True)
        train, self.samples, train_digits, self.digits = train_test_split(
            features / _BRIGHTEST, digits, test_size=TEST_SIZE, random_state=_SEED
        )
        self.models: dict[str, Any] = {
            "A": DecisionTreeClassifier(max_depth=8, random_state=_SEED).fit(train, train_digits),
            "B": LogisticRegression(max_iter=300).fit(train, train_digits),
        }
        right = {name: model.predict(self.samples) == self.digits for name, model in self.models.items()}
        a, b = TRUTH["A"].accuracy, TRUTH["B"].accuracy
        both = a + b - 1 + _BOTH_WRONG
        # Which share of the traffic comes from the samples that both, one or none of the variants get right.
        self._groups: list[tuple[float, Any]] = [
            (both, np.flatnonzero(right["A"] & right["B"])),
            (a - both, np.flatnonzero(right["A"] & ~right["B"])),
            (b - both, np.flatnonzero(~right["A"] & right["B"])),
            (_BOTH_WRONG, np.flatnonzero(~right["A"] & ~right["B"])),
        ]

    def draw(self, chance: random.Random, *, only_small: bool) -> int:
        """Return the number of a sample; with `only_small` one of a digit below 5, as hard as ever."""
        (group,) = chance.choices([numbers for _, numbers in self._groups], [share for share, _ in self._groups])
        if only_small:
            group = group[self.digits[group] < 5]
        return int(group[chance.randrange(len(group))])

    def weights(self) -> Any:
        """Return how often each sample is asked for."""
        weights = np.zeros(len(self.samples))
        for share, numbers in self._groups:
            weights[numbers] = share / len(numbers)
        return weights

    def predict(self, variant: str, features: Sequence[float], *, degraded: bool) -> tuple[int, float, float]:
        """Return the digit, the confidence, and the score: how likely it is a digit from 5 on."""
        row = np.asarray(features, dtype=float).reshape(1, -1)
        if degraded:
            row = self.degrade(row)
        likely = self.models[variant].predict_proba(row)[0]
        return int(likely.argmax()), float(likely.max()), float(likely[5:].sum())

    @staticmethod
    def degrade(rows: Any) -> Any:
        """Return the features without the lower half of the picture."""
        rows = rows.copy()
        rows[:, 32:] = 0
        return rows

    def metrics(self, variant: str, *, degraded: bool = False) -> dict[str, float]:
        """Return accuracy, precision and recall on traffic as it is drawn."""
        rows = self.degrade(self.samples) if degraded else self.samples
        predicted, weights = self.models[variant].predict(rows), self.weights()
        averaged = {"average": "macro", "sample_weight": weights, "zero_division": 0}
        return {
            "accuracy": float(weights[predicted == self.digits].sum()),
            "precision": float(precision_score(self.digits, predicted, **averaged)),
            "recall": float(recall_score(self.digits, predicted, **averaged)),
        }


class Progress:
    """The regression and its samples."""

    def __init__(self) -> None:
        features, progress = load_diabetes(return_X_y=True)
        train, self.samples, train_progress, self.progress = train_test_split(
            features, progress, test_size=TEST_SIZE, random_state=_SEED
        )
        self._model = Ridge(alpha=0.1).fit(train, train_progress)

    def predict(self, features: Sequence[float]) -> float:
        """Return the predicted progress."""
        return float(self._model.predict(np.asarray(features, dtype=float).reshape(1, -1))[0])
