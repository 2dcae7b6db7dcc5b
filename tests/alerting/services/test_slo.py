"""Objectives: factors and windows recomputed, and burn rates from plain arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram
from pydantic import ValidationError

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.exporter import durations
from tests.support.rules import check_rules

SLOS = load_thresholds().slos
PLACES = load_thresholds().section_placeholders()


@pytest.mark.parametrize(
    ("tier", "factor", "long", "short"),
    [
        ("page_fast", 14.4, "1h", "5m"),
        ("page_slow", 6, "6h", "30m"),
        ("ticket_fast", 3, "1d", "2h"),
        ("ticket_slow", 1, "3d", "6h"),
    ],
)
def test_factors_follow_from_budget_period_and_window(tier: str, factor: float, long: str, short: str) -> None:
    rate = getattr(SLOS, tier)
    assert rate.factor == factor
    assert rate.budget * durations.parse(SLOS.period) / durations.parse(long) == pytest.approx(factor)
    assert PLACES[f"slos.{tier}.long"] == long
    assert PLACES[f"slos.{tier}.short"] == short


def test_windows_follow_the_period() -> None:
    week = load_thresholds().changed({"slos": {"period": "7d"}}).section_placeholders()
    assert week["slos.page_fast.long"] == "14m"
    assert week["slos.page_fast.short"] == "1m10s"


def test_a_latency_between_two_buckets_is_refused() -> None:
    with pytest.raises(ValidationError, match="is not a bucket"):
        load_thresholds().changed({"slos": {"latency_threshold": 0.3}})


def test_a_latency_may_be_a_bucket_that_services_set_themselves() -> None:
    slow = load_thresholds().changed({"slos": {"response_buckets": [1, 30, 120], "latency_threshold": 30}})
    assert slow.section_placeholders()["slos.latency_bound"] == '=~"30|30.0"'


def test_a_bucket_is_written_as_client_libraries_write_it() -> None:
    registry = CollectorRegistry()
    Histogram("h", "of the test", buckets=(1, 2.5, 10), registry=registry).observe(1)
    written = {sample.labels["le"] for family in registry.collect() for sample in family.samples if sample.labels}
    for seconds in (1.0, 2.5, 10.0):
        placeholders = load_thresholds().changed({"slos": {"latency_threshold": seconds}}).section_placeholders()
        bound = placeholders["slos.latency_bound"].strip('=~"').rpartition("|")[2]
        assert bound in written


WINDOWS = [
    f"{tier}_{end}" for tier in ("page_fast", "page_slow", "ticket_fast", "ticket_slow") for end in ("short", "long")
]


@pytest.mark.parametrize("window", [*WINDOWS, "period"])
def test_a_burn_rate_counts_server_errors_and_slow_requests_and_nothing_where_nobody_asks(
    window: str, programs: dict[str, Path], tmp_path: Path
) -> None:
    def counters(job: str, *, fine: str, failed: str, quick: str, all_of_them: str) -> dict[str, str]:
        labels = f'job="{job}",method="POST",route="/p"'
        bucket = f"ml_http_request_duration_seconds_bucket{{{labels},le="
        return {
            f'ml_http_requests_total{{{labels},status="200"}}': fine,
            f'ml_http_requests_total{{{labels},status="500"}}': failed,
            f'{bucket}"0.5"}}': quick,
            f'{bucket}"+Inf"}}': all_of_them,
            f"ml_http_request_duration_seconds_count{{{labels}}}": all_of_them,
        }

    series = {
        **counters("ml", fine="0+985x10", failed="0+15x10", quick="0+960x10", all_of_them="0+1000x10"),
        **counters("idle", fine="985x10", failed="15x10", quick="960x10", all_of_them="1000x10"),
    }
    recorded = f"slo_origin:ml_http_burn_rate:{window}"
    expected = {
        f'{recorded}{{job="ml",slo="availability"}}': 15,
        f'{recorded}{{job="ml",slo="latency"}}': 4,
        f'{recorded}{{job="idle"}}': None,
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at="10m", topics=["slo"], tolerance=1e-6)


def test_a_tier_burns_as_its_slower_window_and_an_alert_as_its_faster_tier(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    # Multiples of the tier's factor: in the long and the short window of the fast tier, then of the slow one.
    burns = {"fast": (2, 3, 1, 2), "slow": (3, 2, 4, 3), "young": (1, 2, None, None), "few": (9, 9, 9, 9)}
    factors = {"page": (14.4, 6), "ticket": (3, 1)}
    series = {
        f'slo_origin:ml_http_burn_rate:{kind}_{tier}_{end}{{slo="{slo}"}}': f"{multiple * factor!r}x5"
        for kind, of_kind in factors.items()
        for slo, multiples in burns.items()
        for (tier, factor, end), multiple in zip(
            [
                (tier, factor, end)
                for tier, factor in zip(("fast", "slow"), of_kind, strict=True)
                for end in ("long", "short")
            ],
            multiples,
            strict=True,
        )
        if multiple is not None
    }
    least = {"page": 10, "ticket": 16}
    # Enough requests failed in each long window, but for the objective of which too few are known to have.
    series |= {
        f'slo_origin:ml_http_failures:{kind}_{tier}_long{{slo="{slo}"}}': f"{least[kind] - (slo == 'few')}x5"
        for kind in factors
        for tier in ("fast", "slow")
        for slo in burns
    }
    expected: dict[str, float | None] = {
        f'slo_origin:ml_http_burning:{kind}{{slo="{slo}"}}': value
        for kind in factors
        for slo, value in {"fast": 2, "slow": 3, "young": 1, "few": 0}.items()
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=["slo"])


def test_burn_rates_and_the_budget_left(programs: dict[str, Path], tmp_path: Path) -> None:
    series = {
        'ml_http_requests_total{job="ml",method="POST",route="/p",status="200"}': "0+985x130",
        'ml_http_requests_total{job="ml",method="POST",route="/p",status="500"}': "0+15x130",
        'ml_http_request_duration_seconds_bucket{job="ml",method="POST",route="/p",le="0.5"}': "0+960x130",
        'ml_http_request_duration_seconds_count{job="ml",method="POST",route="/p"}': "0+1000x130",
    }
    expected: dict[str, float | None] = {
        # 1.5 % fail where 0.1 % may; 4 % are slow where 1 % may be.
        'slo_origin:ml_http_burn_rate:page_fast_long{slo="availability"}': 15,
        'slo_origin:ml_http_burn_rate:page_fast_short{slo="latency"}': 4,
        'slo_origin:ml_http_burn_rate:period{slo="availability"}': 15,
        'slo_origin:ml_http_burning:page{slo="availability"}': 15 / 6,
        'slo_origin:ml_http_burning:page{slo="latency"}': 4 / 6,
        'slo_origin:ml_http_burning:ticket{slo="latency"}': 4,
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at="2h", topics=["slo"], tolerance=1e-6)
