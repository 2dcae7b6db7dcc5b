"""The command line of releases."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import tools.release
from ml_monitoring.exporter.command_parser import CommandParser
from tools.release import build, versions
from tools.release.fitness import ReleaseError, git, problems, tag_of
from tools.stack import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a release, or prepare one; return the exit status."""
    parser = CommandParser(prog="python -m tools.release", description=(tools.release.__doc__ or "").splitlines()[0])
    parser.add_argument("version", metavar="VERSION", help="such as 1.2.0")
    parser.add_argument("--prepare", action="store_true", help="write the version and today's date where they stand")
    parser.add_argument("--dry-run", action="store_true", help="do everything but the tag")
    parser.add_argument("--sign-key", metavar="KEY", help="sign the checksums and the tag with this key of GnuPG")
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help="where to (default: dist/VERSION)")
    parser.add_argument("--source", type=Path, default=ROOT, metavar="DIR", help="the checkout (default: this one)")
    options = parser.parse_args(arguments)
    # One day for the whole world.
    today = datetime.now(UTC).date()
    top: Path = options.source.resolve()
    try:
        if options.prepare:
            _prepare(top, options.version, today)
        else:
            output = options.output_dir or top / "dist" / options.version
            _release(top, options.version, output.absolute(), today, key=options.sign_key, dry=options.dry_run)
    except ReleaseError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


def _prepare(top: Path, version: str, today: date) -> None:
    if not versions.is_version(version) and not versions.is_development(version):
        raise ReleaseError(f"VERSION={version}: is no version like 1.2.0")
    try:
        said = next((said for _path, said in versions.stated(top) if versions.is_before(version, said)), "")
    except ValueError as error:
        raise ReleaseError(str(error)) from None
    if said:
        raise ReleaseError(f"VERSION={version}: comes before {said}, which this checkout is")
    if versions.is_version(version) and versions.dated(top, version) is not None:
        raise ReleaseError(f"VERSION={version}: {versions.CHANGELOG} has it already; choose the next version")
    if versions.is_development(version):
        versions.state(top, version)
        versions.begin_unreleased(top)
        print(f"{version} is written. Next:\n\nmake generate check && git commit --all")
        return
    try:
        versions.date_unreleased(top, version, today)
    except ValueError as error:
        raise ReleaseError(str(error)) from None
    versions.state(top, version)
    print(
        f"{version} of {today} is written. Next:\n\nmake generate check test && git commit --all && "
        f"make release VERSION={version}"
    )


def _release(top: Path, version: str, output: Path, today: date, *, key: str | None, dry: bool) -> None:
    if found := list(problems(top, version, today)):
        raise ReleaseError(*found)
    if output.exists():
        raise ReleaseError(f"{output}: exists; remove it, or name another with --output-dir")
    commit = git(top, "rev-parse", "HEAD")
    epoch = int(git(top, "show", "--no-patch", "--format=%ct", commit))
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        clone, built = Path(folder, "clone"), Path(folder, "built")
        # What git ignores, and what was changed a moment ago, is not in a clone.
        git(top, "clone", "--quiet", "--no-hardlinks", str(top), str(clone))
        git(clone, "checkout", "--quiet", "--detach", commit)
        built.mkdir()
        files = build.build(clone, built, version=version, epoch=epoch)
        sums = built / build.CHECKSUMS
        sums.write_text("".join(build.checksums(files)), encoding="ascii")
        if key is not None:
            files.append(build.sign(sums, key))
        if not dry:
            signing = ["--sign", "--local-user", key] if key is not None else ["--annotate"]
            git(top, "tag", *signing, "--message", f"{version}\n\n{versions.notes(top, version)}", tag_of(version))
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(built, output)
    for path in sorted(output.iterdir()):
        print(f"{path.stat().st_size:>10}  {path.relative_to(output)}")
    print(_next(version, output, dry=dry))


def _next(version: str, output: Path, *, dry: bool) -> str:
    if dry:
        return f"{output} holds what {tag_of(version)} would consist of; no tag is set"
    return f"""\
{tag_of(version)} is tagged, and {output} holds what it consists of. To publish it:

git push origin {tag_of(version)}
twine upload {output}/*.whl {output}/ml_monitoring-*.tar.gz {output}/ml_monitoring_instrument-*.tar.gz
make images VERSION={version} REGISTRY=registry.example.org PUSH=1

Then main is the next one before it is released, so that pip takes a build of it for a newer one:

make release-prepare VERSION={_following(version)}"""


def _following(version: str) -> str:
    major, minor, _patch = version.split(".")
    return f"{major}.{int(minor) + 1}.0.dev0"
