"""What keeps a commit from being released."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from tools.release import versions


class ReleaseError(Exception):
    """Report why there is no release.

    Attributes:
        problems: One line for each.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def tag_of(version: str) -> str:
    """Return the name of a version's tag."""
    return f"v{version}"


def git(top: Path, *arguments: str) -> str:
    """Return what git says.

    Raises:
        ReleaseError: It says no.
    """
    done = subprocess.run(["git", "-C", str(top), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.rstrip()


def problems(top: Path, version: str, today: date) -> Iterator[str]:
    """Yield why this checkout cannot be released as that version, and what to do about it."""
    if not versions.is_version(version):
        yield f"VERSION={version}: is no version like 1.2.0"
        return
    if changed := git(top, "status", "--porcelain"):
        yield f"the tree is not clean: commit or remove {', '.join(line[3:] for line in changed.splitlines())}"
    tag = tag_of(version)
    if git(top, "tag", "--list", tag):
        yield f"the tag {tag} exists: a release is never made twice; choose the next version"
    day = versions.dated(top, version)
    prepare = f"make release-prepare VERSION={version}"
    if day is None:
        yield f"{versions.CHANGELOG}: has no `## {version} - {today}`: {prepare}"
    elif day != str(today):
        yield f"{versions.CHANGELOG}: says that {version} is of {day or 'no day'}, and today is {today}"
    elif not versions.notes(top, version):
        yield f"{versions.CHANGELOG}: says nothing about {version}"
    try:
        for path, said in versions.stated(top):
            if said != version:
                yield f"{path}: says {said}: {prepare}"
    except ValueError as error:
        yield str(error)
