"""Change each rule in small ways and see whether its unit tests notice: one that passes regardless tests nothing.

`python -m tools.mutants [ALERT ...]` (`make mutants`) prints the changes that no test noticed. Those of `EXPLAINED`
change nothing that could be seen; each says why.
"""

from __future__ import annotations

import argparse
import copy
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from tools.packages import ensure_programs

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "alerting" / "generated"
TESTS = ROOT / "tests" / "alerting"

_TIMEOUT = 300
_FLIPPED = {"<": ">", ">": "<", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}
_COMPARATOR = re.compile(r"(?<![<>=!~])(<=|>=|==|!=|<|>)(?![<>=~])")
_THRESHOLD = re.compile(r"(?:<=|>=|<|>) (\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
_STRINGS = re.compile(r'"[^"]*"')
_SELECTOR = re.compile(r"(\w+)\{([^{}]*)\}")
_MATCHER = re.compile(r'\w+(?:=~|!~|!=|=)"(?:[^"\\]|\\.)*"')
_RULE_FILES = re.compile(r"^rule_files: \[.*?\]$", re.MULTILINE | re.DOTALL)
_EVAL_ORDER = re.compile(r"^group_eval_order: \[(.*?)\]$", re.MULTILINE | re.DOTALL)

# Rule and change, by how they are printed: why nothing could notice it.
_FULL_IN = "instance_mountpoint:node_filesystem_full_in_seconds:min: node_filesystem_avail_bytes at 39 loses"
_GUARDED = "it narrows a panel; the alert's guard leaves the same file systems out"
EXPLAINED: Mapping[str, str] = MappingProxyType(
    {
        f'{_FULL_IN} fstype!~"tmpfs|overlay|squashfs|iso9660|ramfs"': _GUARDED,
        f'{_FULL_IN} mountpoint!~"/(boot|run|var/lib/docker)(/.*)?"': _GUARDED,
    }
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one rule.

    Attributes:
        rule: Name of the alert or recorded series.
        group: Its group.
        change: What was changed, in words.
        expr: The changed expression.
    """

    rule: str
    group: str
    change: str
    expr: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.change}"


def changes(expr: str) -> Iterator[tuple[str, str]]:
    """Yield each small change of an expression: what it is, and the changed expression."""
    # The same length, so that places in one are places in the other.
    bare = _STRINGS.sub(lambda match: '"' + "x" * (len(match[0]) - 2) + '"', expr)
    in_braces = [range(*match.span(2)) for match in _SELECTOR.finditer(bare)]
    for match in _COMPARATOR.finditer(bare):
        if not any(match.start() in place for place in in_braces):
            flipped = _FLIPPED[match[1]]
            place = f"{match[1]} at {match.start()}"
            yield f"{place} becomes {flipped}", f"{expr[: match.start()]}{flipped}{expr[match.end() :]}"
    for match in _THRESHOLD.finditer(bare):
        number = float(match[1])
        # Ten times stricter and looser. Nothing times ten is nothing, and a flag below a tenth is one below 1.
        for changed in (1e9,) if number == 0 else (10.0,) if number == 1 else (number * 10, number / 10):
            text = f"{changed:g}"
            yield (
                f"{match[1]} at {match.start(1)} becomes {text}",
                f"{expr[: match.start(1)]}{text}{expr[match.end(1) :]}",
            )
    for match in _SELECTOR.finditer(bare):
        inside = expr[match.start(2) : match.end(2)]
        matchers = _MATCHER.findall(inside)
        for index, matcher in enumerate(matchers):
            rest = ",".join([*matchers[:index], *matchers[index + 1 :]])
            # A selector without a name needs one matcher at least, but ours all have names.
            yield (
                f"{match[1]} at {match.start()} loses {matcher}",
                f"{expr[: match.start(2)]}{rest}{expr[match.end(2) :]}",
            )


def mutants(names: Sequence[str] = ()) -> list[Mutant]:
    """Return the changes of every generated rule, or of those named."""
    found = []
    for group in _groups():
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            if not names or name in names:
                found += [Mutant(name, group["name"], what, expr) for what, expr in changes(rule["expr"])]
    return found


class Court:
    """Runs unit tests against changed rules.

    Args:
        promtool: The program.
    """

    def __init__(self, promtool: Path) -> None:
        self._promtool = promtool
        self._groups = {group["name"]: group for group in _groups()}
        # As text: YAML's own reading takes the value 0x40, forty times 0, for a hexadecimal number.
        self._tests = {
            path.name.removesuffix(".test.yml"): path.read_text(encoding="utf-8")
            for path in sorted(TESTS.glob("*.test.yml"))
        }

    def survives(self, mutant: Mutant) -> bool:
        """Tell whether every test that could notice the change passes nevertheless."""
        return all(self._passes(name, mutant) for name in self._witnesses(mutant))

    def _witnesses(self, mutant: Mutant) -> list[str]:
        # An alert's own test comes first, and is enough for an alert.
        if mutant.rule in self._tests:
            return [mutant.rule]
        names = [name for name, text in self._tests.items() if mutant.group in self._evaluated(text)]
        # Those that name the series are more likely to notice.
        return sorted(names, key=lambda name: mutant.rule not in self._tests[name])

    def _evaluated(self, text: str) -> list[str]:
        """Return the groups that a unit test evaluates; all where it names none."""
        found = _EVAL_ORDER.search(text)
        return [name.strip() for name in found[1].split(",")] if found else [*self._groups]

    def _passes(self, name: str, mutant: Mutant) -> bool:
        text = self._tests[name]
        groups = [copy.deepcopy(self._groups[group]) for group in self._evaluated(text)]
        for rule in (rule for group in groups for rule in group["rules"]):
            if mutant.rule in (rule.get("alert"), rule.get("record")):
                rule["expr"] = mutant.expr
        with tempfile.TemporaryDirectory() as folder:
            rules, path = Path(folder, "rules.yml"), Path(folder, "test.yml")
            rules.write_text(yaml.safe_dump({"groups": groups}, allow_unicode=True), encoding="utf-8")
            path.write_text(_RULE_FILES.sub(f"rule_files: [{rules}]", text, count=1), encoding="utf-8")
            command = [str(self._promtool), "test", "rules", str(path)]
            return subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT).returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the changes that no test noticed; return 1 when one of them is not explained."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="RULE", help="alerts or recorded series (default: all)")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    court = Court(ensure_programs(["promtool"])["promtool"])
    chosen = mutants(options.names)
    with ThreadPoolExecutor(options.workers) as pool:
        survived = [mutant for mutant, alive in zip(chosen, pool.map(court.survives, chosen), strict=True) if alive]
    unexplained = [mutant for mutant in survived if str(mutant) not in EXPLAINED]
    for mutant in survived:
        print(f"survived: {mutant}{_reason(mutant)}")
    took = time.monotonic() - began
    print(f"{len(chosen)} changes, {len(survived)} survived, {len(unexplained)} of them unexplained; {took:.0f} s")
    return 1 if unexplained or not chosen else 0


def _reason(mutant: Mutant) -> str:
    reason = EXPLAINED.get(str(mutant))
    return f" (explained: {reason})" if reason else ""


def _groups() -> list[dict[str, Any]]:
    return [
        group
        for name in ("rules.yml", "alerts.yml")
        for group in yaml.safe_load((RULES / name).read_text(encoding="utf-8"))["groups"]
    ]


if __name__ == "__main__":
    sys.exit(main())
