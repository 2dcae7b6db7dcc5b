"""What was measured of experiments, as a page of the documentation and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from statistics import median

from scipy.stats import binomtest  # type: ignore[import-untyped]  # carries no types

from tools.soundness.experiments.methods import ALPHA
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


def misses(cells: Iterable[Cell], splits: Iterable[SplitRow]) -> list[str]:
    """Return where more was decided falsely than promised, beyond what chance explains."""
    rows = [(f"{cell.condition}, {cell.kind}", cell.false["ours"], cell.experiments, ALPHA) for cell in cells]
    rows += [(f"split, {row.condition}", row.false["ours"], row.experiments, ALPHA) for row in splits]
    return [
        f"{name}: {share:.1%} decided falsely"
        for name, share, count, level in rows
        if binomtest(round(share * count), count, level, alternative="greater").pvalue < _DOUBT
    ]


def stored(data: Path) -> tuple[list[Cell], list[SplitRow]]:
    """Return what was measured before."""
    content = json.loads(data.read_text(encoding="utf-8"))
    return [Cell(**row) for row in content["lifts"]], [SplitRow(**row) for row in content["splits"]]


def write(cells: Sequence[Cell], splits: Sequence[SplitRow], same: str, page: Path, data: Path) -> None:
    """Write the page's tables and the JSON."""
    content = {"lifts": [asdict(cell) for cell in cells], "splits": [asdict(row) for row in splits]}
    data.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    head, _, rest = page.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    _, _, tail = rest.partition("<!-- /measured -->")
    names = list(_WORDS)
    lines = [
        f"Experiments without a difference that were ever decided; nominal {ALPHA:.0%}:",
        "",
        f"| Condition | Metric | {' | '.join(_WORDS.values())} | said to vary too much | experiments |",
        f"|---|---|{'---|' * (len(names) + 2)}",
    ]
    lines += [
        f"| {cell.condition}: {cell.words} | {cell.kind} | {' | '.join(f'{cell.false[name]:.1%}' for name in names)} "
        f"| {cell.named:.0%} | {cell.experiments} |"
        for cell in cells
    ]
    lines += [
        "",
        "Those with a difference (proportions 40 %, means 20 %) that were decided, and the median time until then:",
        "",
        f"| Condition | Metric | {' | '.join(_WORDS[name] for name in names[:3])} |",
        f"|---|---|{'---|' * 3}",
    ]
    for cell in cells:
        each = (f"{cell.found[name]:.0%} {_time(cell.hours[name])}".strip() for name in names[:3])
        lines.append(f"| {cell.condition} | {cell.kind} | {' | '.join(each)} |")
    lines += [
        "",
        "Splits that are as intended and were ever said not to be, and 52:48 instead of 50:50:",
        "",
        "| Condition | this project | Lindon and Malek | 52:48 found by this project | 52:48 found by theirs |",
        "|---|---|---|---|---|",
        *(
            f"| {row.condition}: {row.words} | {row.false['ours']:.1%} | {row.false['multinomial']:.1%} "
            f"| {row.found['ours']:.0%} | {row.found['multinomial']:.0%} |"
            for row in splits
        ),
        "",
        same,
    ]
    text = "\n".join(lines)
    page.write_text(f"{head}<!-- measured -->\n{text}\n<!-- /measured -->{tail}", encoding="utf-8")
