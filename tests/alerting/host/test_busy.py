"""A host whose CPUs are busy: what a job of each day or week explains, and what it does not."""

from __future__ import annotations

from pathlib import Path

from tests.support.rules import check_rules

HOURS = 196


def idle(*busy: tuple[int, int]) -> str:
    """Return the idle seconds of a CPU, counted each ten minutes: half of them, and none within these hours."""
    values, total = [], 0
    for place in range(HOURS * 6 + 1):
        values.append(total)
        total += 0 if any(begin * 6 <= place < end * 6 for begin, end in busy) else 300
    return " ".join(map(str, values))


def test_what_was_as_busy_yesterday_or_a_week_ago_is_usual_unless_it_lasts(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    now, yesterday, last_week = (194, HOURS), (170, 172), (26, 28)
    hosts = {
        "first": (idle(now), 1),
        "daily": (idle(now, yesterday), None),
        "weekly": (idle(now, last_week), None),
        "at_another_time": (idle(now, (160, 166), (16, 22)), 1),
        "lasting": (idle((160, HOURS)), 1),
        "calm": (idle(), 0.5),
    }
    series = {
        f'node_cpu_seconds_total{{job="node",instance="{name}",cpu="0",mode="idle"}}': values
        for name, (values, _) in hosts.items()
    }
    expected = {
        f'instance:node_cpu_unusually_busy:ratio{{instance="{name}"}}': value for name, (_, value) in hosts.items()
    }
    check_rules(
        programs["promtool"], tmp_path, series, expected, at=f"{HOURS}h", topics=("exporter", "host"), interval="10m"
    )
