"""Where the business figures of each mode come from: what is of another mode, variant or experiment is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.experiments.business_recording import BASES, MODES
from tests.support.rules import check_rules

MINUTES = 75
AT = "70m"
THRESHOLDS = load_thresholds().changed({"business": {"window": "1h", "experiments": "fraud"}})
SIMULATED = "simulated"
# Higher than anything that is meant.
DECOY = 0.99

Series = dict[str, str]


def runs(
    variant: str, value: float, *, metric: str = "accuracy", experiment: str = "fraud", origin: str = ""
) -> Series:
    labels = f'metric="{metric}",model_variant="{variant}",experiment="{experiment}",origin="{origin}"'
    return {f'mlflow_metric_latest{{job="ml-monitoring",instance="a",{labels}}}': f"{value}x{MINUTES}"}


def requests(variant: str, *, each_minute: int = 10, errors: int = 1, seconds: float = 0.1, origin: str = "") -> Series:
    labels = f'job="ml",instance="a",variant="{variant}",origin="{origin}"'
    return {
        f'ab_test_requests_total{{{labels},outcome="success"}}': f"0+{each_minute}x{MINUTES}",
        f"ab_test_errors_total{{{labels}}}": f"0+{errors}x{MINUTES}",
        f"ab_test_response_time_seconds_sum{{{labels}}}": f"0+{each_minute * seconds}x{MINUTES}",
        f"ab_test_response_time_seconds_count{{{labels}}}": f"0+{each_minute}x{MINUTES}",
    }


def measured(variant: str, value: float, *, origin: str = "") -> Series:
    return {f'variant_origin:ab_test_accuracy:ratio{{variant="{variant}",origin="{origin}"}}': f"{value}x{MINUTES}"}


def verdict(code: int, *, origin: str = "") -> Series:
    return {f'origin:ab_test_verdict:code{{origin="{origin}"}}': f"{code}x{MINUTES}"}


def interval(difference: float, half_width: float, *, metric: str = "accuracy", code: int = 2) -> Series:
    labels = f'{{job="ml",metric="{metric}"}}'
    values = {"ratio": difference, "half_width": half_width, "code": code}
    return {f"metric_origin:ab_test_improvement:{kind}{labels}": f"{value}x{MINUTES}" for kind, value in values.items()}


def both(maker: object, one: float, other: float, **labels: str) -> Series:
    assert callable(maker)
    return {**maker("A", one, **labels), **maker("B", other, **labels)}


def roles(name: str, baseline: float | None, candidate: float | None) -> dict[str, float | None]:
    return {f'{name}{{role="baseline"}}': baseline, f'{name}{{role="candidate"}}': candidate}


LIVE_TRAFFIC = requests("A") | requests("B", each_minute=20, errors=4, seconds=0.2)
DEMO_TRAFFIC = requests("A", each_minute=30, errors=6, seconds=0.3, origin=SIMULATED) | requests(
    "B", each_minute=40, errors=20, seconds=0.4, origin=SIMULATED
)
ACCURACY = "role:business_accuracy:ratio"
DECOY_RUNS = {
    **both(runs, DECOY, DECOY, metric="f1"),
    **both(runs, DECOY, DECOY, experiment="churn"),
    **both(runs, DECOY, DECOY, origin=SIMULATED),
}


# In either order: a mix of the variants would show the higher one.
@pytest.mark.parametrize(("one", "other"), [(0.7, 0.8), (0.8, 0.7)])
@pytest.mark.parametrize(
    ("mode", "own", "others"),
    [
        pytest.param("LIVE", runs, LIVE_TRAFFIC | DECOY_RUNS | both(measured, DECOY, DECOY), id="of live runs"),
        pytest.param("MODEL", runs, DECOY_RUNS | both(measured, DECOY, DECOY), id="of runs alone"),
        pytest.param(
            "OPERATIONAL",
            measured,
            LIVE_TRAFFIC | DECOY_RUNS | both(measured, DECOY, DECOY, origin=SIMULATED),
            id="as measured",
        ),
    ],
)
def test_accuracy_of_live_modes(
    mode: str,
    own: object,
    others: Series,
    one: float,
    other: float,
    programs: dict[str, Path],
    tmp_path: Path,
) -> None:
    check(programs, tmp_path, others | both(own, one, other), mode, roles(ACCURACY, one, other))


@pytest.mark.parametrize(("one", "other"), [(0.7, 0.8), (0.8, 0.7)])
@pytest.mark.parametrize("own", [measured, runs])
@pytest.mark.parametrize("half", ["A", "B"])
def test_accuracy_of_a_demo_beside_half_of_something_live(
    half: str, own: object, one: float, other: float, programs: dict[str, Path], tmp_path: Path
) -> None:
    live = runs(half, DECOY) | (measured(half, DECOY) if own is measured else {})
    # Simulated runs of other metrics and experiments are none of its business either.
    decoys = both(runs, DECOY, DECOY, origin=SIMULATED, metric="f1") | both(
        runs, DECOY, DECOY, origin=SIMULATED, experiment="churn"
    )
    series = DEMO_TRAFFIC | live | decoys | both(own, one, other, origin=SIMULATED)
    check(programs, tmp_path, series, "SIMULATED", roles(ACCURACY, one, other))


def test_no_accuracy_is_invented_for_services_that_tell_none(programs: dict[str, Path], tmp_path: Path) -> None:
    demo = both(measured, DECOY, DECOY, origin=SIMULATED) | both(runs, DECOY, DECOY, origin=SIMULATED)
    check(programs, tmp_path, LIVE_TRAFFIC | demo, "OPERATIONAL", roles(ACCURACY, None, None))


@pytest.mark.parametrize(
    ("mode", "series", "requests_daily", "seconds", "errors"),
    [
        pytest.param(
            "OPERATIONAL", LIVE_TRAFFIC | DEMO_TRAFFIC, (14_400, 28_800), (0.1, 0.2), (0.1, 0.2), id="live, not a demo"
        ),
        pytest.param(
            "SIMULATED",
            # Half of something live is not mixed in.
            DEMO_TRAFFIC | requests("A", each_minute=7, errors=5, seconds=0.7),
            (43_200, 57_600),
            (0.3, 0.4),
            (0.2, 0.5),
            id="a demo, beside one live variant",
        ),
        pytest.param(
            "SIMULATED",
            DEMO_TRAFFIC | requests("B", each_minute=7, errors=5, seconds=0.7),
            (43_200, 57_600),
            (0.3, 0.4),
            (0.2, 0.5),
            id="a demo, beside the other one",
        ),
        pytest.param(
            "MODEL",
            both(runs, 0.7, 0.8) | DEMO_TRAFFIC | requests("A"),
            (None, None),
            (None, None),
            (None, None),
            id="none for runs beside a demo and one live variant",
        ),
        pytest.param(
            "MODEL",
            both(runs, 0.7, 0.8) | DEMO_TRAFFIC | requests("B"),
            (None, None),
            (None, None),
            (None, None),
            id="none for runs beside a demo and the other one",
        ),
        pytest.param(
            "SIMULATED", {}, (50_000, 50_000), (0.045, 0.052), (0.012, 0.008), id="what is assumed without anything"
        ),
    ],
)
def test_traffic_of_each_mode(
    mode: str,
    series: Series,
    requests_daily: tuple[float, float],
    seconds: tuple[float, float],
    errors: tuple[float, float],
    programs: dict[str, Path],
    tmp_path: Path,
) -> None:
    expected = {
        **roles("role:business_requests:daily", *requests_daily),
        **roles("role:business_latency_seconds:mean", *seconds),
        **roles("role:business_errors:ratio", *errors),
    }
    check(programs, tmp_path, series, mode, expected)


@pytest.mark.parametrize(
    ("mode", "series"),
    [
        pytest.param(
            "LIVE", LIVE_TRAFFIC | both(runs, 0.7, 0.8) | requests("C") | runs("C", 0.9), id="a third variant"
        ),
        pytest.param("OPERATIONAL", LIVE_TRAFFIC | both(runs, 0.7, 0.8, metric="f1"), id="runs tell another metric"),
        pytest.param("OPERATIONAL", LIVE_TRAFFIC | both(runs, 0.7, 0.8, experiment="churn"), id="other experiments"),
    ],
)
def test_the_mode_counts_the_two_variants_in_the_chosen_experiments(
    mode: str, series: Series, programs: dict[str, Path], tmp_path: Path
) -> None:
    check(programs, tmp_path, series, mode, {})


def test_a_service_without_requests_has_no_latency_and_no_error_ratio(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    idle = dict.fromkeys(LIVE_TRAFFIC, f"7x{MINUTES}")
    expected: dict[str, float | None] = {
        "variant_origin:business_latency_seconds:mean": None,
        "variant_origin:business_errors:ratio": None,
    }
    check(programs, tmp_path, idle, "OPERATIONAL", expected)


WORTH_IT = both(runs, 0.7, 0.8)
NOT_WORTH_IT = both(runs, 0.8, 0.7)


@pytest.mark.parametrize(
    ("mode", "series", "code"),
    [
        pytest.param("OPERATIONAL", LIVE_TRAFFIC | verdict(3) | interval(0.1, 0.02), 3, id="pays at its worst"),
        pytest.param("OPERATIONAL", LIVE_TRAFFIC | verdict(3) | interval(6e-6, 5e-6), 0, id="never pays"),
        pytest.param("OPERATIONAL", LIVE_TRAFFIC | verdict(3) | interval(1.2e-4, 1e-4), 2, id="may or may not pay"),
        pytest.param("OPERATIONAL", LIVE_TRAFFIC | verdict(3), 2, id="nothing is known of its worth"),
        pytest.param("OPERATIONAL", LIVE_TRAFFIC | verdict(4) | interval(0.1, 0.02), 4, id="wrong split"),
        pytest.param(
            "OPERATIONAL",
            LIVE_TRAFFIC | verdict(3) | verdict(4, origin="batch") | interval(0.1, 0.02),
            4,
            id="one wrong split of two services",
        ),
        pytest.param("LIVE", LIVE_TRAFFIC | NOT_WORTH_IT | verdict(0), 0, id="worse"),
        pytest.param("LIVE", LIVE_TRAFFIC | WORTH_IT | verdict(1), 1, id="too early"),
        # A point value that loses is noise like one that gains.
        pytest.param("LIVE", LIVE_TRAFFIC | NOT_WORTH_IT | verdict(2), 2, id="not significant"),
        pytest.param("LIVE", LIVE_TRAFFIC | WORTH_IT | verdict(2) | verdict(3, origin=SIMULATED), 2, id="live verdict"),
        pytest.param("SIMULATED", verdict(2, origin=SIMULATED) | verdict(3), 2, id="verdict of the demo"),
        pytest.param("MODEL", WORTH_IT | verdict(3) | verdict(3, origin=SIMULATED), 1, id="runs alone prove nothing"),
        pytest.param("MODEL", NOT_WORTH_IT, 1, id="runs alone rule nothing out"),
    ],
)
def test_the_recommendation_rests_on_the_verdict_of_its_own_mode(
    mode: str, series: Series, code: int, programs: dict[str, Path], tmp_path: Path
) -> None:
    check(programs, tmp_path, series, mode, {":business_recommendation:code": code})


def test_the_value_is_that_of_the_ends_of_the_interval_and_of_nothing_else(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    # Of 10,000,000 a day a percentage point earns 0.5 %; the candidate takes 0.1 s longer; a failure costs 50.
    requests_a_day = (10 + 20) * 1440
    slower = requests_a_day * 100 * 0.0001
    low = 365 * (10_000_000 * 0.005 * 0.6 - slower) - 53_000
    high = 365 * (10_000_000 * 0.005 * 1.4 - slower) - 53_000
    series = LIVE_TRAFFIC | interval(0.01, 0.004) | interval(0.02, 0.03, metric="errors", code=0)
    ends = ('bound:business_value:annual{bound="low"}', 'bound:business_value:annual{bound="high"}')
    check(programs, tmp_path, series, "OPERATIONAL", dict(zip(ends, (low, high), strict=True)))
    series |= interval(0.02, 0.01, metric="errors")
    check(programs, tmp_path, series, "OPERATIONAL", {ends[0]: low + 365 * requests_a_day * 0.01 * 50})


def test_no_value_is_said_before_something_is_significant_and_not_too_early(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    value = 'bound:business_value:annual{bound="low"}'
    nothing = interval(0.01, 0.02, code=0) | interval(0.02, 0.03, metric="errors", code=0)
    for series in (nothing | verdict(2), interval(0.01, 0.004) | verdict(1)):
        check(programs, tmp_path, LIVE_TRAFFIC | series, "OPERATIONAL", {value: None})
    check(programs, tmp_path, LIVE_TRAFFIC | interval(-0.01, 0.004, code=1) | verdict(0), "OPERATIONAL", {
        'round(bound:business_value:annual{bound="high"})': round(
            365 * (10_000_000 * 0.005 * -0.6 - 30 * 1440 * 100 * 0.0001) - 53_000
        ),
    })  # fmt: skip


def test_each_part_says_what_it_rests_on(programs: dict[str, Path], tmp_path: Path) -> None:
    series = LIVE_TRAFFIC | interval(0.01, 0.004) | interval(-0.02, 0.03, metric="errors", code=0) | verdict(3)
    slower = -365 * 30 * 1440 * 100 * 0.0001
    parts: dict[str, tuple[str, float, float]] = {
        "accuracy": ("better", 365 * 10_000_000 * 0.005 * 0.6, 365 * 10_000_000 * 0.005 * 1.4),
        "errors": ("not significant: 0", 0, 0),
        "latency": ("estimate, not tested", slower, slower),
        "running": ("assumed", -53_000, -53_000),
    }
    expected: dict[str, float | None] = {"count(1 / part_bound:business_value:annual == -Inf)": None}
    for part, (basis, low, high) in parts.items():
        expected[f'part:business_basis:code{{part="{part}"}}'] = BASES.index(basis)
        expected[f'part_bound:business_value:annual{{part="{part}",bound="low"}}'] = low
        expected[f'part_bound:business_value:annual{{part="{part}",bound="high"}}'] = high
    check(programs, tmp_path, series, "OPERATIONAL", expected)


def check(
    programs: dict[str, Path], directory: Path, series: Series, mode: str, expected: dict[str, float | None]
) -> None:
    wanted = {":business_data_mode:code": float(MODES.index(mode)), **expected}
    check_rules(programs["promtool"], directory, series, wanted, at=AT, topics=("business",), thresholds=THRESHOLDS)
