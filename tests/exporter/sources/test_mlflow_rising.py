"""Whether a loss rises, on curves that are made up; `tools.soundness` has the figures of thousands of hours."""

from __future__ import annotations

import math
import random

import pytest

from ml_monitoring.exporter.sources.mlflow.rising import LossCurve


def _rises(values: list[float]) -> list[int]:
    """Return after which values the loss counts as rising."""
    curve = LossCurve()
    found = []
    for number, value in enumerate(values, start=1):
        curve.add(value)
        if curve.rises:
            found.append(number)
    return found


def _noisy(values: list[float], share: float) -> list[float]:
    drawn = random.Random(1)
    return [value * (1 + drawn.gauss(0, share)) for value in values]


_FALLING = [1 + 5 * math.exp(-step / 100) for step in range(1000)]


@pytest.mark.parametrize(
    "values",
    [
        [1.0] * 1000,
        _noisy([1.0] * 1000, 0.1),
        _noisy(_FALLING, 0.1),
        # The learning rate is raised at first, and the loss with it.
        _noisy([*(6 + step / 40 for step in range(30)), *_FALLING], 0.02),
        # A spike of ten values, higher than everything before.
        [*_FALLING[:500], *([20.0] * 10), *_FALLING[500:]],
        # It goes up and down with the learning rate.
        [value + math.sin(step / 15) ** 2 for step, value in enumerate(_FALLING)],
        # Validation: a tenth above its best.
        _noisy([value + max(0, step - 500) / 5000 for step, value in enumerate(_FALLING)], 0.01),
        [3.0] * 20 + [9.0] * 19,
    ],
)
def test_a_healthy_loss_does_not_rise(values: list[float]) -> None:
    assert not _rises(values)


def test_a_rise_counts_when_it_has_lasted_for_a_quarter_of_the_curve() -> None:
    # Twenty values at least.
    assert _rises([1.0] * 20 + [2.0] * 20) == [40]
    assert _rises([1.0] * 30 + [2.0] * 30)[0] == 50
    for before in (120, 480, 2000):
        first, *_others = found = _rises([1.0] * before + [2.0] * before)
        assert 0.3 * before <= first - before <= 0.5 * before
        # Once it has gone on for long, it is no news.
        assert len(found) < before


def test_one_value_that_is_as_low_as_before_is_no_rise() -> None:
    assert not _rises([*[1.0] * 30, *[2.0] * 19, 1.0, *[2.0] * 10])
