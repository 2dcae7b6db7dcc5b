import math
import random
from collections.abc import Iterable
from typing import Any

import pytest

from ml_monitoring.exporter import risk
from ml_monitoring.exporter.risk import BuiltinRisk, Cause, Sample, Scorer, incident_probability


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


NORMAL = {
    "web": {
        "cpu": 0.4,
        "memory": 0.5,
        "latency": 0.05,
        "error": 0.002,
        "gc_pause": 0.004,
        "network_receive": 1e6,
        "network_transmit": 1e6,
    }
}


DANGERLESS = dict.fromkeys(risk.DANGERS, 0.0)


def logistic(weights: tuple[float, ...], values: Iterable[float], bias: float) -> float:
    return 1 / (1 + math.exp(-bias - sum(weight * value for weight, value in zip(weights, values, strict=True))))


def joined(**dangers: float) -> float:
    return logistic(risk.WEIGHTS, {**DANGERLESS, **dangers}.values(), risk.BIAS)


def score(**values: Any) -> float:
    return BuiltinRisk(NORMAL).score([sample(**values)])[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({"cpu": 0.1, "latency": 0.01, "network_receive": 1e9}, {}),
        ({"cpu": 0.7}, {}),
        ({"cpu": 0.825}, {"cpu": 0.5}),
        ({"cpu": 1.0}, {"cpu": 1}),
        ({"memory": 0.58}, {}),
        ({"memory": 0.69}, {"growth": 0.5}),
        ({"memory": 0.89}, {"memory": 0.5, "growth": 1}),
        ({"latency": 0.065}, {}),
        ({"latency": 0.1143}, {"latency": 0.5}),
        ({"latency": 0.2006}, {"latency": 1}),
        ({"error": 0.004}, {}),
        ({"error": 0.01}, {"error": 0.5}),
        ({"error": 0.05}, {"error": 1}),
        ({"error": 0.0869}, {"error": 1, "failure": 0.5}),
        ({"error": 0.15}, {"error": 1, "failure": 1}),
        ({"gc_pause": 0.011}, {}),
        ({"gc_pause": 0.025}, {"gc": 0.5}),
        ({"gc_pause": 0.053}, {"gc": 1}),
        # One direction alone is no partition.
        ({"network_receive": 0}, {}),
        ({"network_receive": 0, "network_transmit": 0}, {"network": 1}),
        ({"network_receive": None, "network_transmit": 0}, {"network": 1}),
        ({"state": "warning"}, {}),
        ({"state": "critical_issue"}, {"state": 1}),
    ],
)
def test_dangers_are_as_documented(values: dict[str, Any], expected: dict[str, float]) -> None:
    model = BuiltinRisk(NORMAL)
    model.score([sample(**values)])
    assert model.dangers("web-001") == pytest.approx({**DANGERLESS, **expected}, abs=0.002)


def test_what_is_given_as_normal_is_no_danger_however_high() -> None:
    model = BuiltinRisk({"web": {"cpu": 0.9, "memory": 0.92, "error": 0.1}})
    model.score([sample(cpu=0.9, memory=0.92, error=0.1)])
    assert model.dangers("web-001") == DANGERLESS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, joined()),
        ({"cpu": 1.0}, joined(cpu=1)),
        ({"cpu": 1.0, "latency": 1}, joined(cpu=1, latency=1)),
        ({"latency": 1, "error": 0.5, "gc_pause": 1}, joined(latency=1, error=1, failure=1, gc=1)),
        ({"state": "offline", "cpu": None}, 1),
        ({"phase": "escalation"}, joined() + 0.4),
        ({"phase": "peak"}, joined() + 0.7),
        ({"phase": "peak", "problem_child": False}, joined()),
        ({"phase": "peak", "problem_child": True, "latency": 1}, 1),
        ({"phase": "recovery", "problem_child": True}, joined()),
    ],
)
def test_the_score_is_as_documented(values: dict[str, Any], expected: float) -> None:
    assert score(**values) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({}, None),
        ({"cpu": 1.0}, Cause.CPU),
        ({"memory": 0.95, "cpu": 0.9, "latency": 0.2}, Cause.MEMORY),
        ({"latency": 1, "cpu": 1.0}, Cause.LATENCY),
        # Together they weigh more than the latency.
        ({"latency": 1, "error": 0.5}, Cause.ERRORS),
        ({"gc_pause": 1}, Cause.GC),
        ({"network_receive": 0, "network_transmit": 0}, Cause.NETWORK),
        ({"state": "critical_issue"}, Cause.STATE),
        ({"state": "offline", "cpu": None}, Cause.OFFLINE),
        # The file says so, and no measurement does.
        ({"phase": "peak"}, Cause.PHASE),
        ({"phase": "peak", "problem_child": False}, None),
        ({"phase": "peak", "gc_pause": 1}, Cause.GC),
    ],
)
def test_the_cause_is_what_adds_most_to_the_score(values: dict[str, Any], cause: Cause | None) -> None:
    scorer = Scorer(normals=NORMAL)
    scorer.score([sample(**values)])
    assert scorer.cause(sample(**values)) == cause


def test_busy_alone_is_no_trouble_but_busy_and_slow_is() -> None:
    assert score(cpu=1.0) < 0.1
    assert score(cpu=1.0, latency=0.4, error=0.02) > 0.9


@pytest.mark.parametrize(
    ("values", "alone"),
    [
        # A batch job, and two on one server.
        ({"cpu": 1.0, "memory": 0.92}, {"memory": 0.92}),
        ({"cpu": 0.97, "memory": 0.99, "latency": 0.07}, {"memory": 0.99}),
        ({"cpu": 0.99, "memory": 0.93, "state": "warning"}, {"memory": 0.93}),
    ],
)
def test_the_memory_of_a_job_on_a_busy_server_that_answers_well_is_no_incident(
    values: dict[str, Any], alone: dict[str, float]
) -> None:
    assert incident_probability([score(**values)]) < 0.75
    assert incident_probability([score(**alone)]) > 0.8


@pytest.mark.parametrize(
    "answers", [{"latency": 1.0}, {"error": 0.4}, {"gc_pause": 0.5}, {"state": "critical_issue"}], ids=str
)
def test_full_memory_on_a_busy_server_that_answers_badly_counts_fully(answers: dict[str, Any]) -> None:
    model = BuiltinRisk(NORMAL)
    model.score([sample(cpu=1.0, memory=0.97, **answers)])
    assert model.dangers("web-001")["memory"] == 1
    assert score(cpu=1.0, memory=0.97, **answers) > score(cpu=0.5, memory=0.97, **answers) > 0.99


def test_a_server_whose_answers_nobody_measures_is_not_taken_for_one_that_answers_well() -> None:
    unmeasured: dict[str, Any] = {"latency": None, "error": None}
    model = BuiltinRisk()
    model.score([sample(cpu=1.0, memory=0.97, **unmeasured)])
    assert model.dangers("web-001")["memory"] == 1


def test_a_value_that_is_missing_is_left_out_of_the_score() -> None:
    nothing: dict[str, Any] = dict.fromkeys(measure.name for measure in risk.MEASURES)
    assert score(cpu=None, memory=None, latency=1) == pytest.approx(joined(latency=1))
    assert math.isnan(score(**nothing))


def test_each_profile_has_its_own_normal() -> None:
    fleet = [sample(f"web-{number}", latency=0.05) for number in range(5)]
    fleet += [sample(f"batch-{number}", profile="batch", latency=2.0) for number in range(5)]
    assert max(BuiltinRisk().score(fleet)) == pytest.approx(joined())


def test_each_server_learns_its_own_normal_and_a_new_one_begins_with_its_profiles() -> None:
    model = BuiltinRisk()
    for second in range(0, 600, 10):
        model.score([sample(f"web-{n}", second, latency=0.05 * n) for n in (1, 2, 3)])
    assert [model.normal(f"web-{n}")["latency"] for n in (1, 2, 3)] == pytest.approx([0.05, 0.1, 0.15], rel=0.05)
    model.score([sample("web-4", 600, latency=5.0)])
    assert model.normal("web-4")["latency"] == pytest.approx(0.1, rel=0.05)


def test_normal_adapts_slowly() -> None:
    model = BuiltinRisk()
    for minute in range(120):
        model.score([sample(timestamp=60.0 * minute)])
    for minute in range(120, 181):
        model.score([sample(timestamp=60.0 * minute, latency=0.07)])
    # After one half-life it is half of the way, on a logarithmic scale.
    assert model.normal("web-001")["latency"] == pytest.approx(math.sqrt(0.05 * 0.07), rel=0.01)


def test_trouble_does_not_soon_look_normal_but_a_change_that_stays_does() -> None:
    model = BuiltinRisk()
    for minute in range(200):
        model.score([sample(timestamp=60.0 * minute)])
    for minute in range(200, 400):
        found = model.score([sample(timestamp=60.0 * minute, latency=0.5)])
    assert model.normal("web-001")["latency"] < 0.07
    assert found[0] > 0.4
    for minute in range(400, 400 + 7 * 1440, 10):
        found = model.score([sample(timestamp=60.0 * minute, latency=0.5)])
    assert found[0] < 0.1


def test_a_noisy_servers_noise_is_no_danger() -> None:
    model = BuiltinRisk()
    draw = random.Random(3)
    for second in range(0, 3600, 10):
        model.score([sample(timestamp=second, latency=0.05 * math.exp(draw.gauss(0, 0.5)))])
    model.score([sample(timestamp=3600, latency=0.05 * math.exp(1.2))])
    assert model.dangers("web-001")["latency"] == 0


def test_what_is_bad_everywhere_is_not_normal_even_at_the_first_look() -> None:
    fleet = [sample(f"web-{number}", cpu=0.95, memory=0.97, error=0.5) for number in range(6)]
    assert min(BuiltinRisk().score(fleet)) > 0.7


@pytest.mark.parametrize("servers", [1, 6, 240])
def test_memory_counts(servers: int) -> None:
    model = BuiltinRisk()
    for minute in range(10):
        calm = [sample(f"web-{number}", 60.0 * minute) for number in range(servers)]
        assert incident_probability(model.score(calm)) < 0.05
    full = [sample(f"web-{number}", 600.0, memory=0.95) for number in range(servers)]
    assert incident_probability(model.score(full)) > 0.9
    # Even when nothing was learned before.
    assert incident_probability(BuiltinRisk().score(full)) > 0.8


def test_a_restart_of_a_minute_weighs_little_and_what_stays_weighs_all() -> None:
    model = BuiltinRisk()
    for second in range(0, 300, 15):
        model.score([sample(timestamp=second)])
    found = [model.score([sample(timestamp=second, state="offline")])[0] for second in range(300, 900, 15)]
    assert found[3] < 0.4
    assert found[-1] > 0.98
    assert found == sorted(found)
    back = [model.score([sample(timestamp=second)])[0] for second in range(900, 1200, 15)]
    assert back[-1] < 0.05


@pytest.mark.parametrize("silent", [True, False])
def test_a_server_that_is_back_may_be_slow_for_a_minute(silent: bool) -> None:
    slow: dict[str, Any] = {"latency": 0.2, "gc_pause": 0.05}
    for back, least, most in ((360, 0.0, 0.2), (0, 0.6, 1.0)):
        model = BuiltinRisk()
        for second in range(0, 300, 10):
            model.score([sample(timestamp=second)])
        for second in range(300, back, 10):
            if not silent:
                model.score([sample(timestamp=second, state="offline", cpu=None, latency=None)])
        begin = max(300, back)
        found = [model.score([sample(timestamp=second, **slow)])[0] for second in range(begin, begin + 60, 10)]
        assert least <= found[-1] <= most
        # What stays is trouble.
        found = [model.score([sample(timestamp=second, **slow)])[0] for second in range(begin + 60, begin + 200, 10)]
        assert found[-1] > 0.9


def test_a_single_bad_row_is_no_trouble_and_two_are() -> None:
    model = BuiltinRisk()
    for minute in range(30):
        model.score([sample(timestamp=60.0 * minute)])
    bad: dict[str, Any] = {"latency": 0.4}
    assert model.score([sample(timestamp=1800, **bad)])[0] < 0.5
    assert model.score([sample(timestamp=1860, **bad, error=0.05)])[0] > 0.5


def test_values_that_are_missing_now_and_then_hide_no_trouble() -> None:
    model = BuiltinRisk()
    draw = random.Random(4)
    for second in range(0, 600, 5):
        model.score([sample(timestamp=second)])
    found = []
    for second in range(600, 900, 5):
        values: dict[str, Any] = {"latency": 0.5, "error": 0.1, "gc_pause": 0.1}
        values |= dict.fromkeys((name for name in values if draw.random() < 0.3), None)
        found += model.score([sample(timestamp=second, **values)])
    assert min(found[12:]) > 0.7


def test_servers_that_come_and_go_are_no_incident() -> None:
    model = BuiltinRisk()
    draw = random.Random(5)
    there = set(range(20))
    for second in range(0, 3600, 15):
        for number in range(40):
            if draw.random() < 0.02:
                there ^= {number}
        # A new server is slow and has empty caches at first.
        fleet = [sample(f"web-{number}", second, latency=0.05 * draw.uniform(0.8, 1.3)) for number in sorted(there)]
        assert incident_probability(model.score(fleet)) < 0.5


def test_rows_that_come_less_often_than_before_are_looked_at_again() -> None:
    model = BuiltinRisk()
    for second in range(0, 600, 5):
        model.score([sample(timestamp=second)])
    for minute in range(10, 30):
        found = model.score([sample(timestamp=60.0 * minute, latency=0.5, error=0.1)])
    assert found[0] > 0.9


def test_a_server_unlike_the_others_of_its_profile_is_not_in_trouble_from_the_first_look_on() -> None:
    model = BuiltinRisk()
    for second in range(0, 300, 10):
        fleet = [sample(f"web-{number}", second) for number in range(5)]
        fleet.append(sample("web-5", second, latency=0.15, memory=0.8, gc_pause=0.03))
        assert incident_probability(model.score(fleet)) < 0.3


def test_a_file_that_begins_again_is_looked_at_for_the_first_time_but_with_what_was_learned() -> None:
    model = BuiltinRisk()
    for second in range(0, 600, 10):
        model.score([sample(timestamp=second)])
    assert model.score([sample(timestamp=0, latency=1)])[0] == pytest.approx(joined(latency=1))


def test_a_refresh_without_new_rows_teaches_nothing_and_says_the_same() -> None:
    model = BuiltinRisk()
    first = model.score([sample(timestamp=0)])
    for _ in range(50):
        assert model.score([sample(timestamp=0, latency=0.06)]) == first
    assert model.normal("web-001")["latency"] == pytest.approx(0.05)


def test_a_normal_from_the_settings_is_not_learned() -> None:
    model = BuiltinRisk({"web": {"latency": 0.01}})
    assert model.score([sample(latency=0.5)])[0] == pytest.approx(joined(latency=1))
    assert model.normal("web-001") == pytest.approx(
        {
            "cpu": 0.4,
            "memory": 0.5,
            "latency": 0.01,
            "error": 0.002,
            "gc_pause": 0.004,
            "network_receive": 1e6,
            "network_transmit": 1e6,
        }
    )


def test_servers_that_are_gone_are_forgotten() -> None:
    model = BuiltinRisk()
    for number in range(5_000):
        model.score([sample(f"web-{number}", number)])
    assert len(model._known) < 1_100


def test_an_unscored_fleet_has_no_probability() -> None:
    assert math.isnan(incident_probability([]))
    assert math.isnan(incident_probability([math.nan]))


@pytest.mark.parametrize(
    ("risks", "worst"),
    [([0.0] * 100, 0.01), ([1.0], 0.99), ([0.9, 0.0, 0.0, 0.0], 0.9), ([0.25, math.nan], 0.25)],
)
def test_the_incident_probability_is_as_documented(risks: list[float], worst: float) -> None:
    expected = logistic((risk.FLEET_WEIGHT,), [math.log(worst / (1 - worst))], risk.FLEET_BIAS)
    assert incident_probability(risks) == pytest.approx(expected)


@pytest.mark.parametrize("risks", [[0.01] * 6, [0.9, *[0.01] * 5], [0.5, 0.5, 0.1, 0.01, 0.0, 0.0]])
def test_the_incident_probability_does_not_depend_on_the_size_of_the_fleet(risks: list[float]) -> None:
    assert incident_probability(risks * 40) == pytest.approx(incident_probability(risks))


def test_one_sick_server_is_an_incident_in_any_fleet() -> None:
    assert min(incident_probability([1.0] + [joined()] * others) for others in (5, 17, 59, 239, 5_000)) > 0.9
    assert max(incident_probability([joined()] * servers) for servers in (6, 18, 60, 240, 5_000)) < 0.05


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
                latency=draw.expovariate(1) * draw.choice((0, 1, 1e9)),
                error=draw.random() * draw.randint(0, 1),
                gc_pause=draw.expovariate(1) * draw.randint(0, 1),
                network_receive=draw.choice((0, 1e300)),
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
    assert list(scorer.score([sample(cpu=0.9)])) == pytest.approx([joined(cpu=0.8)])
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
