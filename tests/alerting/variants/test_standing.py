"""What a variant is among those of its persona, and which one an opportunity is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.variants.recording import STANDINGS
from ml_monitoring.alerting.variants.signals import VARIANT_OPPORTUNITIES
from ml_monitoring.alerting.variants.variant_signals import VARIANT_LIFT
from tests.support.rules import check_rules

PERSONA = 'job="ml-monitoring",instance="a",store="s",persona'
STANDING = "persona_variant_pattern:variant_standing:code"
OPPORTUNITIES = VARIANT_OPPORTUNITIES.expr.replace("<filter>", "")


def variant(name: str, *, persona: str = "p", **values: float) -> dict[str, str]:
    labels = f'{PERSONA}="{persona}",variant="{name}",pattern="of {name}"'
    return {f"variant_{metric}{{{labels}}}": f"{value}x5" for metric, value in values.items()}


def compared(name: str, p_value: float, lower: float, upper: float, *, persona: str = "p") -> dict[str, str]:
    return variant(
        name,
        persona=persona,
        probability_best=0.5,
        sequential_p_value=p_value,
        engagement_ratio_lower=lower,
        engagement_ratio_upper=upper,
    )


@pytest.mark.parametrize(
    ("given", "standing"),
    [
        pytest.param(compared("x", 0.001, 0.06, 0.08), "best, beyond chance", id="its test says so"),
        pytest.param(compared("x", 1, 0.01, 0.029), "worse than the best", id="its upper end is below a lower end"),
        pytest.param(compared("x", 1, 0.01, 0.031), "no difference yet", id="intervals overlap"),
        pytest.param(compared("x", 0.2, 0.06, 0.08), "no difference yet", id="ahead, and its test is not sure"),
        pytest.param(variant("x", probability_best=1), "nothing to compare with", id="without a test"),
        pytest.param(
            compared("x", 1, 0.01, 0.031) | compared("other", 1, 0.05, 0.07, persona="q"),
            "no difference yet",
            id="one of another persona is not compared",
        ),
    ],
)
def test_a_variant_is_best_or_worse_beyond_chance_only(
    given: dict[str, str], standing: str, programs: dict[str, Path], tmp_path: Path
) -> None:
    series = given | compared("y", 1, 0.03, 0.05)
    # A second exporter on the same database adds nothing.
    series |= {name.replace('instance="a"', 'instance="b"'): values for name, values in series.items()}
    expected: dict[str, float | None] = {
        f'{STANDING}{{variant="x"}}': STANDINGS.index(standing),
        f'count({STANDING}{{variant="x"}})': 1,
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=["variants"])


def opportunity(name: str, applies: int) -> dict[str, str]:
    labels = f'opportunity="{name}",priority="high"'
    return {
        f'variant_optimization_opportunity{{{PERSONA}="p",{labels}}}': f"{applies}x5",
        f'variant_optimization_opportunity_info{{{PERSONA.removesuffix(",persona")},{labels},title="t",action="do"}}': (
            "1x5"
        ),
    }


def subject(opportunity: str, name: str, persona: str = "p") -> dict[str, str]:
    labels = f'opportunity="{opportunity}",subject="{name}"'
    return {f'variant_optimization_opportunity_subject_info{{{PERSONA}="{persona}",{labels}}}': "1x5"}


def of(name: str, which: str) -> str:
    named = f'label_replace(vector(1), "opportunity", "{name}", "", "")'
    return f'({OPPORTUNITIES}) and on (opportunity, subject) label_replace({named}, "subject", "{which}", "", "")'


def test_an_opportunity_names_what_it_is_about(programs: dict[str, Path], tmp_path: Path) -> None:
    series = {
        **opportunity("pattern_fatigue", 1),
        **opportunity("under_sampled", 1),
        # About a whole persona, and one that does not apply.
        **opportunity("prediction_bias", 1),
        **opportunity("early_kills", 0),
        **subject("pattern_fatigue", "question"),
        **subject("under_sampled", "hardly seen"),
        # Of another persona, to whom none of this applies.
        **subject("under_sampled", "of others", persona="q"),
    }
    expected: dict[str, float | None] = {
        f"count({OPPORTUNITIES})": 3,
        of("pattern_fatigue", "question"): 1,
        of("under_sampled", "hardly seen"): 1,
        of("prediction_bias", ""): 1,
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=["variants"])


def test_a_lift_says_in_its_name_whether_it_is_chance(programs: dict[str, Path], tmp_path: Path) -> None:
    lift = VARIANT_LIFT.expr.replace("<filter>", "")
    series = {
        **compared("x", 0.001, 0.06, 0.08),
        **compared("y", 1, 0.01, 0.02),
        **variant("x", lift_ratio=0.3),
        **variant("y", lift_ratio=-0.2),
        # Without a standing there is nothing to say.
        **variant("z", lift_ratio=0.1),
    }
    expected: dict[str, float | None] = {
        f"count({lift})": 2,
        f'({lift}) and on (variant, verdict) label_replace(label_replace(vector(1), "verdict", "best, beyond chance",'
        ' "", ""), "variant", "x", "", "")': 0.3,
        f'({lift}) and on (variant, verdict) label_replace(label_replace(vector(1), "verdict", "worse than the best",'
        ' "", ""), "variant", "y", "", "")': -0.2,
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=["variants"])
