"""The columns that runs are remembered in say what a dictionary of runs would, whatever their ids look like."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from ml_monitoring.exporter.sources.mlflow.run_cache import Run, RunCache

_CACHE = "ml_monitoring.exporter.sources.mlflow.run_cache"
_IDS: dict[str, Callable[[int], str]] = {
    "random": lambda number: f"{Random(number).getrandbits(128):032x}",
    "in a row": lambda number: f"{number:032x}",
    "going down": lambda number: f"{2**128 - 1 - number:032x}",
    "capitals": lambda number: f"{number:032X}",
    "texts": lambda number: f"run {number}",
    "mixed": lambda number: f"{Random(number).getrandbits(128):032x}" if number % 3 else f"né-{number}",
    # Each begins like the end of the one before.
    "overlapping": lambda number: f"{number:04x}" * 8,
}


def _run(run_id: str, chance: Random) -> Run:
    started = chance.choice([None, 0, chance.randrange(1000)])
    ended = None if started is None else chance.choice([None, started - 5, started + chance.randrange(1000)])
    status = chance.choice(["FINISHED", "RUNNING", "RUNNING", "FAILED", ""])
    labels = (chance.choice("AB"), chance.choice(["", "x"]))
    return Run(
        run_id, chance.randrange(4), status, chance.random() < 0.8, started, ended, chance.random() < 0.2, labels
    )


def _runs(cache: RunCache, runs: dict[str, Run]) -> dict[str, Run]:
    """Check everything that can be asked; return the runs."""
    assert len(cache) == len(runs)
    assert cache.experiments() == sorted({run.experiment for run in runs.values()})
    running = {run.id: run for run in runs.values() if run.active and run.status == "RUNNING"}
    assert cache.running_runs(1000) == {run.id: run.experiment for run in running.values()}
    for experiment in range(5):
        of = [run for run in running.values() if run.experiment == experiment]
        firsts = [run.started for run in of if run.started is not None]
        lasts = [last for run in of if (last := run.last_activity) is not None]
        assert cache.running(experiment) == (min(firsts, default=None), max(lasts, default=None))
    activities: dict[tuple[int, str], int] = {}
    results: dict[tuple[int, tuple[str, ...]], tuple[int, int, str]] = {}
    used = {run.experiment: 0 for run in runs.values()}
    for run in runs.values():
        if run.active and run.last_activity is not None:
            key = (run.experiment, run.status)
            activities[key] = max(run.last_activity, activities.get(key, run.last_activity))
            used[run.experiment] = max(run.last_activity, used[run.experiment])
        if run.counts_as_result:
            of_labels = (run.experiment, run.labels)
            results[of_labels] = max(run.rank, results.get(of_labels, run.rank))
    assert cache.last_activities(range(5)) == activities
    assert cache.last_used() == used
    assert cache.latest_results() == results
    assert cache.latest_results([2]) == {key: rank for key, rank in results.items() if key[0] == 2}
    hexadecimal = {run for run in runs if len(run) == 32 and run == run.lower()}
    between = {run for run, _labels, _child in cache.labels_between("2", "9")}
    assert between == {run for run in hexadecimal if "2" <= run[0] <= "9"}
    assert cache.gone(run for run in runs if run not in between) == [run for run in cache.gone([]) if run in between]
    return cache.get([*runs, "nothing", "0" * 32])


@pytest.mark.parametrize("ids", _IDS)
@pytest.mark.parametrize(("crowded", "indexed"), [(1024, 4096), (4, 4096), (4, 8)])
def test_it_says_what_a_dictionary_of_runs_would(
    ids: str, crowded: int, indexed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{_CACHE}._CROWDED", crowded)
    monkeypatch.setattr(f"{_CACHE}._INDEXED", indexed)
    chance = Random(1)
    names = [_IDS[ids](number) for number in range(1, 400)]
    runs = {name: _run(name, chance) for name in names[:300]}
    cache = RunCache()
    cache.load(runs.values())
    for _step in range(15):
        assert _runs(cache, runs) == runs
        changes = {name: chance.choice([None, _run(name, chance)]) for name in chance.sample(names, 25)}
        expected = [(runs.get(name), new) for name, new in changes.items() if runs.get(name) != new]
        assert cache.apply(changes) == expected
        for name, new in changes.items():
            runs.pop(name, None)
            if new is not None:
                runs[name] = new
        seen = {name: _run(name, chance) if chance.random() < 0.1 else run for name, run in runs.items()}
        for name in chance.sample(names, 20):
            seen.pop(name, None)
        differing = {name: run for name, run in seen.items() if runs[name] != run}
        assert cache.differences(seen.values()) == differing | dict.fromkeys(runs.keys() - seen.keys())
    cache.clear()
    assert _runs(cache, {}) == {}


def test_a_line_of_copy_is_the_run_that_its_row_is() -> None:
    rows = {
        b"0123456789abcdef0123456789abcdef\t5\t\\N\t7\tRUNNING\tactive\tf\tmodel_a\t\n": (
            *("0123456789abcdef0123456789abcdef", 5, None, 7, "RUNNING", "active", False), "model_a", ""
        ),
        b"0123456789ABCDEF0123456789abcdef\t-5\t6\t7\tFINISHED\tdeleted\tt\t\t\n": (
            *("0123456789ABCDEF0123456789abcdef", -5, 6, 7, "FINISHED", "deleted", True), "", ""
        ),
        b"a\\tb\\\\\\n\\N\t\\N\t\\N\t-1\t\\N\t\\N\tf\ta\\tb\\\\N\t\xc3\xa9\n": (
            *("a\tb\\\nN", None, None, -1, None, None, False), "a\tb\\N", "é"
        ),
    }  # fmt: skip
    cache, expected = RunCache(), [Run.of_row(row) for row in rows.values()]
    for line in rows:
        cache.add_line(line)
    assert list(cache.get(run.id for run in expected).values()) == expected
