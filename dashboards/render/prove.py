"""Every panel of dashboards against a running Prometheus: ok, empty, error, unsupported or slow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ml_monitoring.dashboards.render.draw import is_known
from ml_monitoring.dashboards.render.engine import WITHOUT_QUERY, DashboardData, PanelData
from ml_monitoring.dashboards.render.model import Dashboard
from ml_monitoring.dashboards.render.query_options import QueryOptions

# In the list of allowed ones: all panels of a page.
EVERY_PANEL = "*"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a panel showed.

    Attributes:
        dashboard: The dashboard's uid.
        panel: The panel's id.
        title: Its title.
        type: Its type.
        state: ok, empty, error, unsupported or slow.
        series: Series or rows that it got.
        milliseconds: The slowest of its queries.
        samples: Samples that Prometheus touched.
        detail: The error, or why it may be empty.
        allowed: Whether its state is in the list of allowed ones.
    """

    dashboard: str
    panel: int
    title: str
    type: str
    state: str
    series: int
    milliseconds: float
    samples: int
    detail: str = ""
    allowed: bool = False

    @property
    def bad(self) -> bool:
        """Return whether the proof fails on this panel."""
        return self.state in ("empty", "error", "unsupported") and not self.allowed


def prove(
    dashboards: Sequence[Dashboard],
    queries: QueryOptions,
    allowed: Mapping[tuple[str, str], str],
    *,
    slow: float,
    on_panel: Callable[[PanelData], None] = lambda _: None,
) -> tuple[list[Proof], dict[str, float]]:
    """Run the queries of dashboards.

    Args:
        dashboards: The dashboards.
        queries: How they are queried.
        allowed: Reasons why panels may be empty, by dashboard and panel title.
        slow: Milliseconds from which a panel is slow.
        on_panel: Called when a panel is loaded.

    Returns:
        What each panel showed, and how many seconds each dashboard took as a whole.
    """
    proofs: list[Proof] = []
    loads: dict[str, float] = {}
    for dashboard in dashboards:
        began = time.perf_counter()
        data = queries.load(dashboard, on_panel=on_panel)
        loads[dashboard.uid] = time.perf_counter() - began
        proofs += [_proof(one, data, allowed, slow) for one in data.panels if one.panel.type not in WITHOUT_QUERY]
        for problem in data.problems:
            name, _, detail = problem.partition(": ")
            proofs.append(Proof(dashboard.uid, 0, name, "annotation", "error", 0, 0.0, 0, detail, False))
    return proofs, loads


def _proof(one: PanelData, data: DashboardData, allowed: Mapping[tuple[str, str], str], slow: float) -> Proof:
    uid = data.dashboard.uid
    reason = allowed.get((uid, one.panel.title), "") or allowed.get((uid, EVERY_PANEL), "")
    if not reason and one.means_something_by_emptiness:
        reason = f"it says: {one.no_value}"
    milliseconds = one.seconds * 1000
    state, detail = "ok", ""
    if one.unsupported or not is_known(one.panel.type):
        state, detail = "unsupported", one.error or f"panels of type {one.panel.type} are not drawn"
    elif one.error:
        state, detail = "error", one.error
    elif one.empty:
        state, detail = "empty", reason or next(iter(one.queries.values()), "no query")
    elif milliseconds >= slow:
        state = "slow"
    listed = (uid, one.panel.title) in allowed or (uid, EVERY_PANEL) in allowed
    may = bool(reason) and (state == "empty" or (listed and state == "unsupported"))
    return Proof(
        uid,
        one.panel.id,
        one.title,
        one.panel.type,
        state,
        one.series,
        round(milliseconds, 1),
        one.samples,
        detail,
        may,
    )


def as_table(proofs: Sequence[Proof], loads: Mapping[str, float]) -> list[str]:
    """Return the proofs as lines for a terminal, the slowest panel and the totals last."""
    head = ("state", "ms", "samples", "series", "panel")
    rows: list[tuple[str, ...]] = []
    for proof in proofs:
        state = f"{proof.state} (allowed)" if proof.allowed else proof.state
        name = f"{proof.dashboard} / {proof.title or proof.panel}"
        if proof.detail:
            name += f": {' '.join(proof.detail.split())[:100]}"
        rows.append((state, f"{proof.milliseconds:.0f}", f"{proof.samples:,}", str(proof.series), name))
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(4)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}"
        for row in [head, *rows]
    ]
    counts = {
        state: sum(proof.state == state for proof in proofs) for state in dict.fromkeys(proof.state for proof in proofs)
    }
    lines.append("")
    lines += [f"{uid}: loaded in {seconds * 1000:.0f} ms" for uid, seconds in loads.items()]
    if proofs:
        slowest = max(proofs, key=lambda proof: proof.milliseconds)
        lines.append(f"slowest: {slowest.dashboard} / {slowest.title}, {slowest.milliseconds:.0f} ms")
    lines.append(f"{len(proofs)} panels: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    return lines
