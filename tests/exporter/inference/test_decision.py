from __future__ import annotations

import json

from ml_monitoring.exporter.inference import (
    ArmCounts,
    Batch,
    EffectKind,
    Finding,
    MetricDesign,
    MetricState,
    Objective,
    SplitState,
    Sums,
    decide,
)

ARMS = ("a", "b")


def _state(design: MetricDesign, blocks: int = 60, **successes: int) -> MetricState:
    state = MetricState(design)
    for block in range(blocks):
        # Alternates by one, as counts do.
        arms = {
            arm: ArmCounts(Sums(100, count + (block + index) % 2))
            for index, (arm, count) in enumerate(successes.items())
        }
        state.add(Batch(block * 300, block * 300 + 300, arms, {"a": 0.5, "b": 0.5}))
    return state


def test_a_winner_is_recommended() -> None:
    state = _state(MetricDesign(EffectKind.PROPORTION, ARMS, "a"), a=5, b=9)
    decision = decide([Objective("sales")], {"sales": state})
    assert (decision.recommended, decision.words) == ("b", "go on with b: better by sales")
    assert decision.findings[0].finding is Finding.BETTER


def test_requests_of_users_cannot_answer_and_say_what_to_do() -> None:
    state = _state(MetricDesign(EffectKind.PROPORTION, ARMS, "a", randomised="user"), a=5, b=9)
    decision = decide([Objective("sales")], {"sales": state})
    assert decision.words == (
        "cannot be answered: users are randomised, but only requests are counted: "
        "add `unit=` to the recorder, or count users"
    )


def test_a_state_survives_json() -> None:
    design = MetricDesign(EffectKind.PROPORTION, ARMS, "a")
    state = _state(design, a=5, b=9)
    loaded = MetricState.load(design, json.loads(json.dumps(state.dump())))
    assert loaded.lift("b", 0.05) == state.lift("b", 0.05)


def test_a_broken_split_is_found_and_named() -> None:
    split = SplitState(ARMS)
    for block in range(100):
        arms = {"a": ArmCounts(Sums(100 + block % 3, 0)), "b": ArmCounts(Sums(90 + block % 5, 0))}
        split.add(Batch(block * 300, block * 300 + 300, arms, {"a": 0.5, "b": 0.5}))
    report = split.report()
    assert report.p_value is not None
    assert report.p_value < 0.001
    decision = decide(
        [Objective("sales")], {"sales": _state(MetricDesign(EffectKind.PROPORTION, ARMS, "a"), a=5, b=9)}, report
    )
    assert not decision.decided
    assert decision.warnings[0] == "traffic is not split as intended: a has 52.33% instead of 50.00%"
