from pathlib import Path

import pytest

from tools.capacity import Cost, SyntheticTarget, measure, measure_disk, slope

MIB = 1024 * 1024


def test_what_series_cost_is_the_difference_of_two_sizes() -> None:
    small = Cost("Prometheus", series=50_000, samples=1, memory=300 * MIB)
    large = Cost("Prometheus", series=200_000, samples=1, memory=750 * MIB)
    found = slope(small, large)
    assert found.base == 150 * MIB
    assert found.per_million == 3000 * MIB
    with pytest.raises(ValueError, match="50000 series are not fewer than 50000"):
        slope(small, small)


def test_one_series_in_ten_changes_between_two_scrapes() -> None:
    target = SyntheticTarget(200)
    target.close()
    first, second = target.render().splitlines(), target.render().splitlines()
    assert len(first) == len(second) == 201
    assert [line.split(" ")[0] for line in first] == [line.split(" ")[0] for line in second]
    assert len(set(first)) == 201
    assert sum(one != other for one, other in zip(first, second, strict=True)) == 20


def test_both_programs_hold_every_sample_that_was_scraped(tmp_path: Path) -> None:
    costs = measure(500, scrapes=3, interval=1, directory=tmp_path)
    assert [cost.program for cost in costs] == ["Prometheus", "VictoriaMetrics"]
    for cost in costs:
        assert cost.series == 500
        # One scrape may be under way at the end.
        assert cost.samples >= 3 * 500 - 500
        assert cost.memory > 10 * MIB


def test_a_sample_costs_a_few_bytes_of_disk(tmp_path: Path) -> None:
    found = measure_disk(20, 960, tmp_path)
    assert found.keys() == {"Prometheus", "VictoriaMetrics"}
    assert all(0.1 < each < 16 for each in found.values())
