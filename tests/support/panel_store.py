"""An hour of made-up measurements in a real Prometheus, always the same, so that tables can be compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.backfilled_prometheus import backfilled_prometheus

# The hour ends here: 2026-01-15 12:00 UTC.
END = 1_768_478_400
START = END - 3600
STEP = 15

SPECIMEN = Path(__file__).parents[1] / "dashboards" / "render" / "specimen.json"

_BUCKETS = (0.1, 0.25, 0.5, 1.0, math.inf)


def lines() -> Iterator[str]:
    """Yield the measurements as OpenMetrics text."""
    moments = range(START, END + 1, STEP)
    yield "# TYPE temperature_celsius gauge"
    for place, room in enumerate(("kitchen", "office", "attic")):
        for moment in moments:
            # The attic's sensor falls silent for ten minutes, which must be seen as a hole.
            if room == "attic" and START + 1200 <= moment < START + 1800:
                continue
            value = 18 + 3 * place + 4 * math.sin((moment - START) / 3600 * 2 * math.pi + place)
            yield f'temperature_celsius{{room="{room}"}} {value:.3f} {moment}'
    yield "# TYPE door_open gauge"
    for door, period in (("front", 900), ("back", 1700)):
        for moment in moments:
            yield f'door_open{{door="{door}"}} {int((moment - START) % period < period / 3)} {moment}'
    yield "# TYPE http_requests counter"
    for instance, pace in (("a:80", 10), ("b:80", 4)):
        for status, share in (("200", 0.95), ("500", 0.05)):
            for moment in moments:
                total = pace * share * (moment - START) * (1 + 0.2 * math.sin((moment - START) / 600))
                yield f'http_requests_total{{instance="{instance}",status="{status}"}} {max(total, 0):.2f} {moment}'
    yield "# TYPE http_latency_seconds histogram"
    counts = dict.fromkeys(_BUCKETS, 0.0)
    total = 0.0
    for moment in moments:
        slow = 0.5 + 0.4 * math.sin((moment - START) / 700)
        for bound in _BUCKETS:
            counts[bound] += STEP * (1.0 if math.isinf(bound) else min(1.0, bound / (1.2 * slow)))
            le = "+Inf" if math.isinf(bound) else f"{bound:g}"
            yield f'http_latency_seconds_bucket{{le="{le}"}} {counts[bound]:.2f} {moment}'
        total += STEP * slow
        yield f"http_latency_seconds_count {counts[math.inf]:.2f} {moment}"
        yield f"http_latency_seconds_sum {total:.2f} {moment}"
    yield "# TYPE odd gauge"
    for moment in moments:
        for kind in ("NaN", "+Inf", "-Inf"):
            yield f'odd{{kind="{kind}"}} {kind} {moment}'
    yield "# TYPE names gauge"
    for name in ('with "quotes"', "back\\\\slash", "dot.and(brackets)", "ünïcode"):
        escaped = name.replace('"', '\\"')
        yield f'names{{name="{escaped}"}} 1 {END}'


@dataclass(frozen=True, slots=True)
class Store:
    """A Prometheus that holds the measurements."""

    url: str


@contextmanager
def stored(programs: dict[str, Path], directory: Path) -> Iterator[Store]:
    """Run it."""
    (directory / "rules.yml").write_text(
        "groups:\n- name: house\n  rules:\n"
        "  - {alert: AlwaysOn, expr: vector(1), labels: {severity: critical}, annotations: {summary: Fires.}}\n",
        encoding="utf-8",
    )
    config = "global: {evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
    # Samples of one series have to come together, in the order of time.
    with backfilled_prometheus(programs, directory, _by_series(lines()), config=config) as url:
        yield Store(url)


def _by_series(text: Iterator[str]) -> Iterator[str]:
    """Yield each metric's samples by series, as OpenMetrics wants them."""
    block: dict[str, list[str]] = {}
    for line in text:
        if line.startswith("#"):
            for series in block.values():
                yield from series
            block = {}
            yield line
        else:
            block.setdefault(line.rsplit(" ", 2)[0], []).append(line)
    for series in block.values():
        yield from series
