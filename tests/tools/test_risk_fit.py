"""How good the incident probability is on labelled simulations that it was not fitted on."""

from __future__ import annotations

import pytest

from tools.risk_fit import TRIED_ON, Seen, brier, recall_and_precision, simulate


@pytest.fixture(scope="module", params=TRIED_ON)
def seen(request: pytest.FixtureRequest) -> list[Seen]:
    return simulate(48, (6, 18), TRIED_ON[request.param], workers=1, seed=3)


@pytest.mark.parametrize("size", [6, 18])
def test_incidents_are_found_and_what_is_found_is_one(seen: list[Seen], size: int) -> None:
    of_size = [one for one in seen if one.servers == size]
    recall, precision = recall_and_precision(of_size, 0.5)
    assert recall > 0.93
    assert precision > 0.95
    # With the two minutes after each change, too.
    assert min(recall_and_precision(of_size, 0.5, settled=False)) > 0.9


def test_what_is_said_is_what_happens(seen: list[Seen]) -> None:
    assert brier(seen) < 0.02
    for low, high in ((0.0, 0.1), (0.9, 1.01)):
        chosen = [
            (said, was)
            for one in seen
            for said, was in zip(one.probability, one.incident, strict=True)
            if low <= said < high
        ]
        said, was = (sum(column) / len(chosen) for column in zip(*chosen, strict=True))
        assert said == pytest.approx(was, abs=0.03)
