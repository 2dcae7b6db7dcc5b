"""Two versions of something: their files from a folder or from git, and one change as an item of a Markdown list."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import takewhile
from pathlib import Path
from typing import Final

from ml_monitoring.exporter.errors import UsageError
from ml_monitoring.exporter.regular_files import read_text

# Two values of more characters stand below each other.
_LONGEST: Final = 160
# Of them so many words that are the same in both stay around what differs.
_AROUND: Final = 12
# Of so many pairs of words what is alike is looked for in the middle too.
_MOST_PAIRS: Final = 250_000
# What Markdown takes for more than text in the middle of a line.
_MARKS: Final = re.compile(r"[\\`*\[<]")
_WORD: Final = re.compile(r"[\w:.$]+|.")
# The same change of so many is listed for each.
MOST_ALIKE: Final = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes:
        where: What was changed, or a part of it.
        what: What kind of change.
        old: Before; empty when it is new.
        new: After; empty when it is gone.
    """

    where: str
    what: str
    old: str = ""
    new: str = ""

    def line(self) -> str:
        """Return the change as an item of a Markdown list, with long values before and after on lines of their own."""
        head = f"- **{self.where}** {self.what}"
        old, new = (" ".join(value.split()) for value in (self.old, self.new))
        if old == new:
            return f"{head} in white space only" if old else head
        if not (old and new):
            return f"{head}: {_code(old or new)}"
        if len(old) + len(new) <= _LONGEST:
            return f"{head}: {_code(old)} → {_code(new)}"
        old, new = _around_difference(old, new)
        return f"{head}:\n  - before: {_code(old)}\n  - after: {_code(new)}"


def add_arguments(parser: argparse.ArgumentParser, *, everything: str) -> None:
    """Add the arguments of a command that compares two versions.

    Args:
        parser: The command's.
        everything: What `--all` lists.
    """
    parser.add_argument(
        "old",
        metavar="OLD",
        help="folder or file, or REVISION:PATH of the git repository, from its root (:PATH of its index)",
    )
    parser.add_argument("new", metavar="NEW", help="the same")
    parser.add_argument("--all", action="store_true", help=everything)
    parser.add_argument("--exit-code", action="store_true", help="exit 1 when there are differences, of whatever kind")


def together(changes: Iterable[Change], kind: str) -> Iterator[Change]:
    """Return the changes, and one in place of those that are the same of more than three.

    Args:
        changes: Changes.
        kind: What they are of, such as `alerts`.
    """
    alike: dict[tuple[str, str, str], list[Change]] = {}
    for change in changes:
        alike.setdefault((change.what, change.old, change.new), []).append(change)
    for same in alike.values():
        yield from same if len(same) <= MOST_ALIKE else [replace(same[0], where=f"{len(same)} {kind}")]


def few(names: Sequence[str], most: int) -> list[str]:
    """Return so many names at most, and how many more there are."""
    more = len(names) - most
    return [*names[:most], *([f"{more} more"] if more > 0 else [])]


def escaped(name: str) -> str:
    """Return a name as it stands in the middle of a line of Markdown, whatever it holds."""
    return _MARKS.sub(r"\\\g<0>", " ".join(name.split()))


def texts_of(
    name: str,
    suffixes: Sequence[str],
    describe: Callable[[OSError | UnicodeDecodeError], str],
    problems: list[str] | None = None,
) -> list[tuple[str, str]]:
    """Return the files of a version, each with where it is, which is a name of it too.

    Args:
        name: A file, a folder, or `REVISION:PATH` of the git repository.
        suffixes: Of the files in a folder.
        describe: Returns why a file cannot be read.
        problems: Where files are named that cannot be read; without it, the first is raised.

    Raises:
        UsageError: There is no such version, or one of its files cannot be read.
    """
    path = Path(name)
    read: Callable[[str], str] = lambda source: read_text(Path(source))  # noqa: E731
    if path.is_dir():
        sources = [str(file) for file in sorted(path.rglob("*")) if file.suffix in suffixes]
    elif path.exists():
        sources = [name]
    else:
        sources = [source for source in _in_git(name) if Path(source).suffix in suffixes]
        read = lambda source: _git(name, "show", source).decode()  # noqa: E731
    found = []
    for source in sources:
        try:
            found.append((source, read(source).removeprefix("\ufeff")))
        except (OSError, UnicodeDecodeError) as error:
            problem = f"{source}: {describe(error)}"
            if problems is None:
                raise UsageError([problem]) from None
            problems.append(problem)
    return found


def _in_git(name: str) -> list[str]:
    """Return the files of `REVISION:PATH`, or of `:PATH`, which is the index, as git reads them.

    A path is from the root of the repository, and from this folder where it begins with a dot.
    """
    revision, colon, place = name.partition(":")
    if not colon:
        hint = f"; of the revision {name} give {name}:PATH" if _has(name) else ""
        raise UsageError([f"{name}: no such file or folder{hint}"])
    if revision and not _has(revision):
        raise UsageError([f"{name}: no such file, and no revision {revision} of a git repository here"])
    is_from_here = place.split("/")[0] in (".", "..")
    place = place.rstrip("/")
    if revision:
        where = [] if is_from_here else ["--full-tree"]
        listed = _git(name, "ls-tree", "-r", "-z", "--name-only", *where, revision, *filter(None, [place]))
    elif is_from_here:
        listed = _git(name, "ls-files", "-z", "--", place)
    else:
        listed = _git(name, "ls-files", "-z", "--full-name", "--", f":(top,literal){place}")
    if not listed:
        hint = f": PATH is from the root of the repository; `{revision}:./{place}` is from this folder"
        which = "the revision" if revision else "git's index"
        raise UsageError([f"{name}: no such file or folder in {which}{'' if is_from_here else hint}"])
    files = [os.fsdecode(file) for file in listed.split(b"\0") if file]
    # A file in conflict is in the index more than once.
    return [f"{revision}:{'./' * is_from_here}{file}" for file in dict.fromkeys(files)]


def _has(revision: str) -> bool:
    """Tell whether there is a git repository here that has a revision."""
    try:
        _git(revision, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}")
    except UsageError:
        return False
    return True


def _git(name: str, *arguments: str) -> bytes:
    """Return what git prints; what it refuses is said of a version by its name."""
    # Arguments come from the command line of the person who runs this, and no shell reads them.
    done = subprocess.run(["git", *arguments], capture_output=True, check=False)  # noqa: S603, S607
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError([f"{name}: git: {said[0].removeprefix('fatal: ') if said else 'failed'}"])
    return done.stdout


def _around_difference(old: str, new: str) -> tuple[str, str]:
    """Return two texts without most of what they have alike, but with all that differs."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    alike = [(0, 0, start), (len(before) - end, len(after) - end, end)]
    if (len(before) - start - end) * (len(after) - start - end) <= _MOST_PAIRS:
        inside = SequenceMatcher(
            None, before[start : len(before) - end], after[start : len(after) - end], autojunk=False
        )
        alike[1:1] = [(start + one, start + other, size) for one, other, size in inside.get_matching_blocks()]
    gaps: tuple[list[tuple[int, int]], list[tuple[int, int]]] = [], []
    for one, other, size in alike:
        # Nothing differs before the first word and behind the last one.
        first = _AROUND if one or other else 0
        last = size - (_AROUND if (one + size, other + size) != (len(before), len(after)) else 0)
        if first < last:
            for gap, place in zip(gaps, (one, other), strict=True):
                gap.append((place + first, place + last))
    return _without(before, gaps[0]), _without(after, gaps[1])


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many words two texts begin with alike."""
    return sum(1 for _pair in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _without(words: Sequence[str], gaps: Iterable[tuple[int, int]]) -> str:
    """Return words without those in gaps, of which each is where it begins and ends."""
    shown = [""]
    end = 0
    for first, last in gaps:
        shown[-1] += "".join(words[end:first])
        shown.append("")
        end = last
    shown[-1] += "".join(words[end:])
    return "...".join(part.strip() for part in shown)


def _code(text: str) -> str:
    # A backtick inside needs two around.
    return f"`` {text} ``" if "`" in text else f"`{text}`"
