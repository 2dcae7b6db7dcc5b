"""The sums over runs are the same however few of the experiments they are kept of."""

from __future__ import annotations

from random import Random

from ml_monitoring.exporter.sources.mlflow.aggregates import Aggregates
from ml_monitoring.exporter.sources.mlflow.run_cache import Run, RunCache

_EXPERIMENTS = range(8)


def _run(number: int, chance: Random) -> Run:
    started = chance.choice([None, chance.randrange(1000)])
    ended = None if started is None else chance.choice([None, started + chance.randrange(1000)])
    status, labels = chance.choice(["FINISHED", "RUNNING", "FAILED"]), (chance.choice("AB"),)
    return Run(
        f"{number:032x}",
        chance.choice(_EXPERIMENTS),
        status,
        chance.random() < 0.8,
        started,
        ended,
        chance.random() < 0.2,
        labels,
    )


def _sums(aggregates: Aggregates, experiment: int) -> object:
    sums = aggregates.get(experiment)
    counts = {status: count for status, count in sums.counts.items() if count}
    children = {status: count for status, count in sums.children.items() if count}
    return counts, children, sums.last, sums.oldest_running, sums.buckets, sums.duration, sums.latest


def test_sums_of_few_experiments_are_those_of_all() -> None:
    chance = Random(5)
    runs = RunCache()
    runs.load(_run(number, chance) for number in range(60))
    few, everything = Aggregates(runs, 2), Aggregates(runs, 1000)
    few.load()
    everything.load()
    for step in range(300):
        asked = chance.sample(_EXPERIMENTS, 2)
        for experiment in asked:
            assert _sums(few, experiment) == _sums(everything, experiment), step
        few.trim(asked)
        changed = {
            f"{number:032x}": chance.choice([None, _run(number, chance)]) for number in chance.sample(range(80), 4)
        }
        changes = runs.apply(changed)
        few.apply(changes)
        everything.apply(changes)


def test_those_that_were_used_last_are_kept_and_others_known_by_when() -> None:
    runs = RunCache()
    runs.load(Run(f"{each:032x}", each, "FINISHED", True, each, each + 10, False, ("",)) for each in range(100))
    aggregates = Aggregates(runs, 5)
    aggregates.load()
    assert sorted(aggregates._by_experiment) == [95, 96, 97, 98, 99]
    assert [aggregates.last_used(each) for each in (3, 99, 100)] == [13, 109, 0]
    for each in range(90):
        assert aggregates.get(each).counts == {"FINISHED": 1}
        aggregates.trim({each})
    assert len(aggregates._by_experiment) <= 11
