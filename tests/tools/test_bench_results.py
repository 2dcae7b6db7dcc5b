from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.bench import mlflow
from tools.bench.mlflow_answers import Cell, Target, ratio, results
from tools.bench.mlflow_refreshes import Refreshes
from tools.bench.mlflow_store import Size
from tools.bench.results import Result, as_table
from tools.processes import Process


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (Result("time", 1.25, "ms"), "  time         1.2 ms"),
        (Result("time", 5, "ms", limit=5), "  time         5.0 ms   at most 5: ok"),
        (Result("time", 5.1, "ms", limit=5), "  time         5.1 ms   at most 5: MISSED"),
        (Result("ratio", 20, "times", least=20), "  ratio        20.0 times   at least 20: ok"),
        (Result("ratio", 19.9, "times", least=20), "  ratio        19.9 times   at least 20: MISSED"),
    ],
)
def test_a_figure_is_shown_beside_its_goal(result: Result, line: str) -> None:
    assert as_table([result]) == line
    assert result.good is ("MISSED" not in line)


def _target(name: str, **p95s: list[float]) -> Target:
    cells = {
        cell.replace("_", " "): Cell(p50s=times, p95s=times, p99s=times, cpu=[0], rate=[1], errors=[0])
        for cell, times in p95s.items()
    }
    return Target(name, "http://127.0.0.1/", Process(name, ["true"], log=Path("/dev/null")), cells, [50.0, 60.0, 99.0])


def test_answers_are_compared_within_a_round_and_with_the_fastest_neighbour() -> None:
    floor = _target("floor", plain_1=[1, 2, 4], plain_500=[1, 1, 1])
    ours = _target("ours", plain_1=[1, 4, 6], plain_500=[3, 3, 3])
    slow, fast = _target("slow", plain_1=[100, 400, 600]), _target("fast", plain_1=[30, 40, 600])
    assert ratio(ours, floor, "plain 1") == 1.5
    found = {result.what: (result.value, result.good) for result in results(floor, ours, [slow, fast])}
    assert found == {
        "scrape p95 against the floor, plain, 1 client": (1.5, True),
        "scrape p95 against the floor, plain, 500 clients": (3, False),
        "scrape p95 of the fastest neighbour (fast) against ours, plain, 1 client": (30, True),
        "errors of all scrapes": (0, True),
        "memory of the exporter": (60, True),
        "  at most, plain, 500 clients among it": (99, True),
    }


def test_parts_that_are_measured_one_by_one_add_up_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    refreshes = Refreshes(full=1, first=2, idle=3, changed=4, scan=5, cpu=6, memory=7)
    mlflow._write(path, Size(10, 100), [], {10: refreshes}, [Result("one", 1, "ms")])
    mlflow._write(
        path, Size(10, 0), [_target("ours", plain_1=[1])], {20: refreshes}, [Result("  two", 2, "ms", limit=3)]
    )
    content = json.loads(path.read_text())
    assert (content["runs"], content["metric_rows"]) == (10, 100)
    assert (list(content["answers"]), list(content["refreshes"])) == (["ours"], ["10", "20"])
    assert list(content["results"]) == ["one", "two"]
    assert content["results"]["two"] == {"what": "  two", "value": 2, "unit": "ms", "limit": 3, "least": None}
