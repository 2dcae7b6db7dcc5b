import math
import random
from typing import Any

import pytest

from ml_monitoring.exporter import risk
from ml_monitoring.exporter.risk import BuiltinRisk, Sample, Scorer, incident_probability


def sample(server: str = "web-001", timestamp: float = 0.0, **values: Any) -> Sample:
    base: dict[str, Any] = {
        "profile": "web",
        "state": "online",
        "cpu": 0.4,
        "memory": 0.5,
        "latency": 0.05,
        "error": 0.002,
        "disk_io": 1e6,
        "network_receive": 1e6,
        "network_transmit": 1e6,
        "gc_pause": 0.004,
        "phase": None,
        "problem_child": None,
        "oom": None,
    }
    return Sample(timestamp, server, **{**base, **values})


NORMAL = {"web": {"cpu": 0.4, "memory": 0.5, "latency": 0.05, "error": 0.002, "gc_pause": 0.004}}


def score(**values: Any) -> float:
    return BuiltinRisk(NORMAL).score([sample(**values)])[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 0),
        ({"cpu": 0.1, "latency": 0.01}, 0),
        ({"cpu": 0.9}, 0.45),
        ({"cpu": 1.0}, 0.45),
        ({"cpu": 0.65}, 0.225),
        ({"memory": 0.95}, 0.30),
        ({"latency": 0.25}, 0.50),
        ({"latency": 0.15}, 0.25),
        ({"error": 0.102}, 0.60),
        ({"gc_pause": 0.04}, 0.25),
        ({"cpu": 0.9, "latency": 0.25}, 1 - 0.55 * 0.5),
        (
            {"cpu": 0.9, "memory": 0.95, "latency": 0.25, "error": 0.102, "gc_pause": 0.04},
            1 - 0.55 * 0.70 * 0.50 * 0.40 * 0.75,
        ),
        ({"state": "offline", "cpu": None}, 1),
        ({"phase": "escalation"}, 0.4),
        ({"phase": "peak"}, 0.7),
        ({"phase": "peak", "problem_child": False}, 0),
        ({"phase": "peak", "problem_child": True, "latency": 0.25}, 1),
        ({"phase": "recovery", "problem_child": True}, 0),
    ],
)
def test_the_score_is_as_documented(values: dict[str, Any], expected: float) -> None:
    assert score(**values) == pytest.approx(expected)


def test_a_value_that_is_missing_is_left_out_of_the_score() -> None:
    nothing: dict[str, Any] = dict.fromkeys(("cpu", "memory", "latency", "error", "gc_pause"))
    assert score(cpu=None, latency=0.25) == pytest.approx(0.5)
    assert math.isnan(score(**nothing))


def test_each_profile_has_its_own_normal() -> None:
    fleet = [sample(f"web-{number}", latency=0.05) for number in range(5)]
    fleet += [sample(f"batch-{number}", profile="batch", latency=2.0) for number in range(5)]
    assert max(BuiltinRisk().score(fleet)) == 0


def test_normal_is_the_middle_of_the_calm_servers_and_adapts_slowly() -> None:
    model = BuiltinRisk()
    model.score([sample(f"web-{n}", 0, latency=0.05) for n in range(5)])
    hours = 3600.0
    model.score([sample(f"web-{n}", hours, latency=0.06) for n in range(5)])
    # The second look of two counts half, whatever the half-life.
    assert model.normal("web")["latency"] == pytest.approx(0.055)
    model.score([sample(f"web-{n}", 2 * hours, latency=0.061) for n in range(5)])
    assert model.normal("web")["latency"] == pytest.approx(0.058)


def test_trouble_is_not_learned_as_normal() -> None:
    model = BuiltinRisk()
    model.score([sample(timestamp=0)])
    for second in range(1, 200):
        found = model.score([sample(timestamp=second * 60, latency=0.5, cpu=0.95)])
    assert model.normal("web")["latency"] == 0.05
    assert found[0] > 0.7


def test_what_is_bad_everywhere_is_not_normal_even_at_the_first_look() -> None:
    assert BuiltinRisk().score([sample(cpu=0.95, memory=0.97, error=0.5)])[0] > 0.7


def test_a_refresh_without_new_rows_teaches_nothing() -> None:
    model = BuiltinRisk()
    model.score([sample(timestamp=0)])
    for _ in range(50):
        model.score([sample(timestamp=0, latency=0.06)])
    assert model.normal("web")["latency"] == 0.05


def test_a_normal_from_the_settings_is_not_learned() -> None:
    model = BuiltinRisk({"web": {"latency": 0.01}})
    assert model.score([sample(latency=0.05)])[0] == pytest.approx(0.5)
    assert model.normal("web") == {"cpu": 0.4, "memory": 0.5, "latency": 0.01, "error": 0.002, "gc_pause": 0.004}


@pytest.mark.parametrize(
    ("risks", "expected"),
    [
        ([], 0),
        ([0.3] * 10_000, 0),
        ([1.0], 0.5),
        ([1.0, 1.0], 0.75),
        ([0.65], 0.125),
        ([math.nan, 1.0], 0.5),
    ],
)
def test_the_incident_probability_is_as_documented(risks: list[float], expected: float) -> None:
    assert incident_probability(risks) == pytest.approx(expected)


def test_the_incident_probability_never_falls_when_a_risk_rises() -> None:
    draw = random.Random(1)
    for _ in range(500):
        risks = [draw.random() for _ in range(draw.randint(1, 20))]
        higher = list(risks)
        index = draw.randrange(len(risks))
        higher[index] = draw.uniform(higher[index], 1.0)
        assert 0 <= incident_probability(risks) <= incident_probability(higher) <= 1


def test_the_score_stays_within_0_and_1() -> None:
    draw = random.Random(2)
    model = BuiltinRisk()
    for second in range(300):
        fleet = [
            sample(
                f"web-{number}",
                second,
                cpu=draw.random(),
                memory=draw.random(),
                latency=draw.expovariate(1),
                error=draw.random() * draw.randint(0, 1),
                gc_pause=draw.expovariate(1) * draw.randint(0, 1),
                phase=draw.choice([None, "stable", "peak"]),
            )
            for number in range(4)
        ]
        assert all(0 <= value <= 1 for value in model.score(fleet))


class Model:
    """A model of another package that gives what a test says."""

    def __init__(self, scores: list[object] | Exception) -> None:
        self._scores = scores

    def score(self, samples: list[Sample]) -> list[object]:
        if isinstance(self._scores, Exception):
            raise self._scores
        return self._scores


class Point:
    """Stands for an installed entry point; a real one is tested in `tests/examples`."""

    def __init__(self, loaded: object) -> None:
        self._loaded = loaded

    def load(self) -> object:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


@pytest.mark.parametrize(
    ("loaded", "failure", "problem"),
    [
        (ImportError("no torch"), "load", "cannot be loaded: ImportError: no torch"),
        (lambda: 1 / 0, "load", "cannot be loaded: ZeroDivisionError: division by zero"),
        (lambda: Model(ValueError("5 features expected")), "raised", "raised ValueError: 5 features expected"),
        (lambda: Model([math.nan]), "invalid", "gave nan for web-001, must be 0 to 1"),
        (lambda: Model([1.5]), "invalid", "gave 1.5 for web-001, must be 0 to 1"),
        (lambda: Model([]), "invalid", "gave 0 scores for 1 servers"),
        (lambda: Model(["high"]), "raised", "raised ValueError: could not convert string to float: 'high'"),
    ],
)
def test_a_model_that_fails_is_replaced_and_counted(
    loaded: object, failure: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(risk, "entry_points", lambda **_select: (Point(loaded),))
    scorer = Scorer("other", normals=NORMAL)
    assert list(scorer.score([sample(cpu=0.9)])) == pytest.approx([0.45])
    assert dict(scorer.failures) == {failure: 1}
    assert scorer.problem == f"risk model 'other' {problem}; the built-in one scores instead"


def test_a_model_that_recovers_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scores: list[object] = [math.nan]
    monkeypatch.setattr(risk, "entry_points", lambda **_select: (Point(lambda: Model(scores)),))
    scorer = Scorer("other", normals=NORMAL)
    scorer.score([sample()])
    scores[0] = 0.25
    assert scorer.score([sample()]) == [0.25]
    assert (scorer.problem, scorer.failures.total()) == ("", 1)
