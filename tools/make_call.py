"""What is wrong with a call of make: `python3 -m tools.make_call "GOALS" NAME...`, with the variables that are given.

The Makefile runs it before anything is done, and says what it prints: what begins with `stop` ends make. Which target
reads which variable is read from the Makefile itself. It needs no package.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from exporter.suggestions import suggestion, suggestion_or_all
from tools.deploy.engine import known_overlays

_MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"
_RULE = re.compile(r"([a-z.][\w-]*):(?!=)([^#]*)")
_ASSIGNMENT = re.compile(r"([A-Z_]+) ([:?]?)=")
_READ = re.compile(r"\$\((?!MAKE)([A-Z][A-Z_]+)[),]")
# What targets are called in other projects.
_ELSEWHERE = {"start": "deploy", "up": "deploy", "stop": "down", "install": ".venv", "setup": ".venv", "lint": "check"}
# Those of make itself, which any target may be given.
_EVERYWHERE = frozenset({"PYTHON", "SHELL"})
# For programs, which see what make is given as well.
_OF_PROGRAMS = re.compile(r"\w+_(URL|PORT)|ML_MONITORING_\w+")


def readers(makefile: str) -> dict[str, set[str]]:
    """Return the targets of a Makefile with the variables that each reads, and that it does not set itself."""
    reads: dict[str, set[str]] = {}
    needs: dict[str, set[str]] = {}
    own, current = set(), ""
    for line in makefile.replace("\\\n", " ").splitlines():
        if assignment := _ASSIGNMENT.match(line):
            current = assignment[1]
            # What `?=` sets is a default.
            if assignment[2] != "?":
                own.add(current)
        elif rule := _RULE.match(line):
            current = rule[1]
            needs.setdefault(current, set()).update(rule[2].split())
        elif not line.startswith("\t"):
            continue
        reads.setdefault(current, set()).update(_READ.findall(line))

    def all_of(name: str, above: frozenset[str] = frozenset()) -> set[str]:
        below = (reads.get(name, set()) | needs.get(name, set())) - above
        found = {one for one in below if one.isupper() or "_" in one} - own
        return found.union(*(all_of(one, above | {name}) for one in below))

    return {target: all_of(target) for target in needs if target != ".PHONY"}


def problem(goals: Sequence[str], given: Collection[str], targets: Mapping[str, Collection[str]]) -> str:
    """Return what is wrong with a call; empty where nothing is, and with `stop` in front where it cannot be meant."""
    for goal in goals:
        if goal not in targets:
            meant = f"; did you mean {_ELSEWHERE[goal]}?" if goal in _ELSEWHERE else suggestion_or_all(goal, targets)
            if goal in known_overlays() and "WITH" in targets.get(goals[0], ()):
                meant = f"; did you mean {goals[0]} WITH={goal}?"
            if given and goal != goals[0]:
                meant = f'{suggestion(goal, targets)}; words that belong together stand in quotes: NAME="two words"'
            return f"stop there is no target {goal}{meant}; `make help` says what each does"
    known = set().union(*targets.values())
    read = set().union(*(targets[goal] for goal in goals))
    unknown = []
    for name in sorted(set(given) - read - _EVERYWHERE):
        if name in known:
            others = [target for target, names in targets.items() if name in names]
            return f"stop {' '.join(goals)} does not read {name}, as {', '.join(others)} would"
        if _OF_PROGRAMS.fullmatch(name):
            continue
        if name.lower() in known_overlays() and "WITH" in read:
            return f"stop no target reads {name}; did you mean WITH={name.lower()}?"
        if meant := suggestion(name, sorted(read)) or suggestion(name, sorted(known)):
            return f"stop no target reads {name}{meant} A variable for programs stands before make: {name}=... make"
        unknown.append(name)
    if not unknown:
        return ""
    return f"no target reads {', '.join(unknown)}, only programs may; {' '.join(goals)} reads {', '.join(sorted(read))}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is wrong with a call; return the exit status."""
    goals, *given = sys.argv[1:] if arguments is None else arguments
    targets = readers(_MAKEFILE.read_text(encoding="utf-8"))
    if found := problem(goals.split() or ["help"], given, targets):
        print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
