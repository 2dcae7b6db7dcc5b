"""What was measured of experiments, as a page of the documentation and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from statistics import median

from scipy.stats import binomtest  # type: ignore[import-untyped]  # carries no types

from ml_monitoring.alerting.domains import load_thresholds
from tools.soundness.experiments.families import FamilyRow
from tools.soundness.experiments.methods import ALPHA
from tools.soundness.experiments.months import MonthsRow
from tools.soundness.experiments.months import table as months_table
from tools.soundness.experiments.power import TUNED, PowerRow
from tools.soundness.experiments.splits import SplitRow
from tools.soundness.experiments.worlds import BATCH, Condition

# Decided falsely so often in so many that the promised level does not explain it.
_DOUBT = 0.001
_WORDS = {
    "ours": "this project",
    "growthbook": "GrowthBook",
    "msprt": "mSPRT",
    "fixed": "fixed test, at the end",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One condition and kind of metric.

    Attributes:
        condition: Its name.
        words: What it is.
        kind: Kind of metric.
        effect: Relative difference that was to be found.
        experiments: How many had no difference.
        false: Share of these that was ever decided, by test.
        named: Share in which this project said that something varies more than chance explains.
        found: Share of those with a difference that was decided.
        hours: Median time until then; None where fewer than half were.
        limit: Whether no counts can tell it from an effect.
    """

    condition: str
    words: str
    kind: str
    effect: float
    experiments: int
    false: Mapping[str, float]
    named: float
    found: Mapping[str, float]
    hours: Mapping[str, float | None]
    limit: bool = False

    @classmethod
    def of(
        cls,
        condition: Condition,
        kind: str,
        effect: float,
        null: Mapping[str, Sequence[int | None]],
        found: Mapping[str, Sequence[int | None]],
    ) -> Cell:
        """Return the shares of what was decided."""
        return cls(
            condition.name,
            condition.words,
            kind,
            effect,
            len(null["ours"]),
            {name: _share(null[name]) for name in _WORDS},
            _share(null["named"]),
            {name: _share(found[name]) for name in _WORDS},
            {name: _hours(found[name]) for name in _WORDS},
            condition.limit,
        )

    def line(self) -> str:
        """Return it as a line for a terminal."""
        figures = "  ".join(
            f"{name} {self.false[name]:6.1%} {self.found[name]:4.0%} {_time(self.hours[name]):>6}" for name in _WORDS
        )
        return f"{self.condition:26}{self.kind:11}{figures}  named {self.named:.0%}"


def _share(answers: Sequence[int | None]) -> float:
    return sum(answer is not None for answer in answers) / len(answers)


def _hours(answers: Sequence[int | None]) -> float | None:
    middle = median(inf if answer is None else (answer + 1) * BATCH / 3600 for answer in answers)
    return None if middle == inf else middle


def _time(hours: float | None) -> str:
    return "" if hours is None else f"{hours:.1f} h"


@dataclass(frozen=True, slots=True)
class Measurements:
    """All that the page shows."""

    lifts: Sequence[Cell] = ()
    power: Sequence[PowerRow] = ()
    families: Sequence[FamilyRow] = ()
    splits: Sequence[SplitRow] = ()
    months: Sequence[MonthsRow] = ()


def misses(measured: Measurements) -> list[str]:
    """Return where more was decided falsely than promised, beyond what chance explains."""
    rows = [
        (f"{cell.condition}, {cell.kind}", cell.false["ours"], cell.experiments, ALPHA)
        for cell in measured.lifts
        if not cell.limit
    ]
    rows += [(f"power, {row.contrast}", row.false["ours"], row.experiments, ALPHA) for row in measured.power]
    rows += [
        (f"{row.words}, {role}", row.false[role], row.experiments, ALPHA)
        for row in measured.families
        for role in ("goals", "guardrails")
    ]
    rows += [(f"split, {row.condition}", row.false["ours"], row.experiments, ALPHA) for row in measured.splits]
    level = load_thresholds().ab_test.significance
    rows += [
        (f"months, {row.condition}, {row.level}", row.false, row.months, level)
        for row in measured.months
        if not row.limit
    ]
    return [
        f"{name}: {share:.1%} decided falsely"
        for name, share, count, level in rows
        if binomtest(round(share * count), count, level, alternative="greater").pvalue < _DOUBT
    ]


def stored(data: Path) -> Measurements:
    """Return what was measured before."""
    content = json.loads(data.read_text(encoding="utf-8"))
    return Measurements(
        [Cell(**row) for row in content["lifts"]],
        [PowerRow(**row) for row in content.get("power", ())],
        [FamilyRow(**row) for row in content.get("families", ())],
        [SplitRow(**row) for row in content["splits"]],
        [MonthsRow(**row) for row in content.get("months", ())],
    )


def write(measured: Measurements, same: str, page: Path, data: Path) -> None:
    """Write the page's tables and the JSON."""
    data.write_text(json.dumps(asdict(measured), indent=1) + "\n", encoding="utf-8")
    head, _, rest = page.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    _, _, tail = rest.partition("<!-- /measured -->")
    lines = [
        *_false([cell for cell in measured.lifts if not cell.limit]),
        "",
        *_found(measured.lifts),
        "",
        "What no counts can tell from an effect, without one:",
        "",
        *_false([cell for cell in measured.lifts if cell.limit])[2:],
        "",
        *_power(measured.power),
        "",
        *_families(measured.families),
        "",
        *_splits(measured.splits),
        "",
        *months_table(measured.months),
        "",
        same,
    ]
    text = "\n".join(lines)
    page.write_text(f"{head}<!-- measured -->\n{text}\n<!-- /measured -->{tail}", encoding="utf-8")


def _false(cells: Iterable[Cell]) -> list[str]:
    """Return the table of what was decided without a difference."""
    return [
        f"Experiments without a difference that were ever decided; nominal {ALPHA:.0%}:",
        "",
        f"| Condition | Metric | {' | '.join(_WORDS.values())} | said to vary too much | experiments |",
        f"|---|---|{'---|' * (len(_WORDS) + 2)}",
        *(
            f"| {cell.condition}: {cell.words} | {cell.kind} "
            f"| {' | '.join(f'{cell.false[name]:.1%}' for name in _WORDS)} | {cell.named:.0%} | {cell.experiments} |"
            for cell in cells
        ),
    ]


def _found(cells: Iterable[Cell]) -> list[str]:
    """Return the table of what was decided with a difference."""
    names = list(_WORDS)[:3]
    rows = []
    for cell in cells:
        each = (f"{cell.found[name]:.0%} {_time(cell.hours[name])}".strip() for name in names)
        rows.append(f"| {cell.condition} | {cell.kind} | {' | '.join(each)} |")
    return [
        "Those with a difference (proportions 40 %, means 20 %, rates 30 %) that were decided, and the median time "
        "until then:",
        "",
        f"| Condition | Metric | {' | '.join(_WORDS[name] for name in names)} |",
        f"|---|---|{'---|' * 3}",
        *rows,
    ]


def _power(rows: Iterable[PowerRow]) -> list[str]:
    """Return the table of delays on clean data."""
    tests = {
        "ours": "this project",
        "growthbook": "GrowthBook",
        "msprt": "mSPRT",
        "turner": "Turner et al.",
        "lindon": "Lindon and Malek",
        TUNED: "mSPRT that knows the effect",
    }
    lines = [
        "Power on clean data: the median number of batches until a difference is found, in brackets where the test "
        f"decided more than {ALPHA:.0%} without one; the ratio is that to the soonest published test that did not (the "
        "mSPRT that expects the very effect left out, which nobody knows beforehand):",
        "",
        f"| Baseline or arm | Metric | {' | '.join(tests.values())} | ratio | experiments |",
        f"|---|---|{'---|' * (len(tests) + 2)}",
    ]
    for row in rows:
        each = []
        for name in tests:
            count = row.batches[name]
            if count is None:
                each.append("")
            else:
                each.append(f"{count:.3g}" if row.keeps(name) else f"({count:.3g}: {row.false[name]:.1%})")
        lines.append(f"| {row.contrast} | {row.kind} | {' | '.join(each)} | {row.ratio:.2f} | {row.experiments} |")
    return lines


def _families(rows: Iterable[FamilyRow]) -> list[str]:
    """Return the table of several arms and metrics."""
    return [
        "Several arms and metrics, all alike, asked every two hours (GrowthBook after each batch): experiments in "
        "which any arm was ever said to be better, worse or beyond a guardrail:",
        "",
        "| Design | goals | guardrails (margin 0) | GrowthBook, goals | GrowthBook, with its level shared out "
        "| experiments |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.words} | {row.false['goals']:.1%} | {row.false['guardrails']:.1%} | {row.false['growthbook']:.1%} "
            f"| {row.false['bonferroni']:.1%} | {row.experiments} |"
            for row in rows
        ),
    ]


def _splits(rows: Iterable[SplitRow]) -> list[str]:
    """Return the table of splits."""
    return [
        "Splits that are as intended and were ever said not to be, and 52:48 instead of 50:50:",
        "",
        "| Condition | this project | Lindon and Malek | 52:48 found by this project | 52:48 found by theirs "
        "| experiments |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.condition}: {row.words} | {row.false['ours']:.1%} | {row.false['multinomial']:.1%} "
            f"| {row.found['ours']:.0%} | {row.found['multinomial']:.0%} | {row.experiments} |"
            for row in rows
        ),
    ]
