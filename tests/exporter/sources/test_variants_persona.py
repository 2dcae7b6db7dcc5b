"""The samples of one persona from its rows, without a database."""

from __future__ import annotations

import pytest

from ml_monitoring.exporter.sources.variants import persona
from ml_monitoring.exporter.sources.variants.counters import Ratchet
from ml_monitoring.exporter.sources.variants.persona import Rows, build
from ml_monitoring.exporter.sources.variants.settings import VariantsSettings

SETTINGS = VariantsSettings.model_validate({"uri": "postgresql://watcher@db/app"})


def rows(*counts: tuple[int, int]) -> Rows:
    """Return active variants with so many interactions in so many views."""
    active = [
        (f"v{index}", "hook", 0.05, 1000.0, 0.0, float(interactions), float(views), len(counts))
        for index, (interactions, views) in enumerate(counts)
    ]
    return Rows(2000.0, {"active": len(counts)}, active=active)


@pytest.mark.parametrize(
    "counts",
    [[(10, 10_000), (0, 0)], [(0, 235), (0, 235)], [(10**15, 10**15), (0, 10**15)], [(1, 1), (0, 10**9), (5, 5)]],
)
def test_no_counts_are_too_extreme_to_compare(counts: list[tuple[int, int]]) -> None:
    built = build("ann", rows(*counts), Ratchet(1), SETTINGS)
    best = [value for value, _labels in built.samples["variant_probability_best"]]
    assert sum(value for value in best if value is not None) == pytest.approx(1, abs=1e-5)
    assert built.problems.count == 0


def test_variants_that_cannot_be_compared_keep_their_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OverflowError("math range error")

    # No counts are known that do this; it is about those that nobody thought of.
    monkeypatch.setattr(persona, "_compare", refuse)
    built = build("ann", rows((5, 100), (9, 100)), Ratchet(1), SETTINGS)
    assert built.problems.listed == ["persona 'ann': its variants cannot be compared: OverflowError: math range error"]
    assert [value for value, _labels in built.samples["variant_views_total"]] == [100, 100]
    assert "variant_probability_best" not in built.samples
