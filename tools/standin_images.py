"""Build stand-ins for the stack's base images from the distribution's packages, where no image registry is reachable.

`python -m tools.standin_images` makes those that the Docker engine does not have yet, under the names that
`docker/versions.env` gives. Needs root and debootstrap, as the Docker engine itself does. Tests with the marker `stack`
call `ensure_image` and `compose_command`. To add an image, enter it in `STAND_INS`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.debian import TOOLS_DIR

ROOT = Path(__file__).resolve().parent.parent
VERSIONS_FILE = ROOT / "docker" / "versions.env"
_SUITE = "trixie"
_COMPOSE = TOOLS_DIR / "docker" / "docker-compose"
_TIMEOUT = 900
# What this machine trusts; where a proxy signs for everybody, downloads during a build need it too.
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class StandInError(Exception):
    """Report that an image or program could not be made; the message is the failed command's own last words."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """How to make one image.

    Attributes:
        packages: Packages of the distribution to install.
        links: Paths that the real image has, and what they are here.
    """

    packages: tuple[str, ...]
    links: Mapping[str, str]


STAND_INS: Mapping[str, StandIn] = {
    "PYTHON_IMAGE": StandIn(
        packages=("ca-certificates", "python3", "python3-venv"),
        links={"/usr/local/bin/python3": "/usr/bin/python3", "/usr/local/bin/python": "/usr/bin/python3"},
    ),
}


def versions() -> dict[str, str]:
    """Return the images of `docker/versions.env` by variable."""
    lines = VERSIONS_FILE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def has_image(name: str) -> bool:
    """Tell whether the Docker engine has an image of that name."""
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
    return subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT).returncode == 0


def ensure_image(variable: str, *, say: Callable[[str], None] = lambda _line: None) -> str:
    """Return the name of an image that the engine has, the real one or a stand-in made now.

    Args:
        variable: Its name in `docker/versions.env`.
        say: Takes lines of progress.

    Raises:
        StandInError: No Docker engine answers, or the stand-in could not be made.
    """
    name = versions()[variable]
    _run(["docker", "version"])
    if has_image(name):
        say(f"{name}: the engine has it")
        return name
    say(f"{name}: making a stand-in from {_SUITE}'s packages")
    stand_in = STAND_INS[variable]
    with tempfile.TemporaryDirectory(prefix="standin-") as scratch:
        tree = Path(scratch, "tree")
        _run(["debootstrap", "--variant=minbase", f"--include={','.join(stand_in.packages)}", _SUITE, str(tree)])
        for path, target in stand_in.links.items():
            Path(tree, path.lstrip("/")).symlink_to(target)
        if _CERTIFICATES.exists():
            shutil.copyfile(_CERTIFICATES, tree / _CERTIFICATES.relative_to("/"))
            (tree / "etc" / "pip.conf").write_text(f"[global]\ncert = {_CERTIFICATES}\n", encoding="utf-8")
        shutil.rmtree(tree / "var/cache/apt/archives", ignore_errors=True)
        archive = Path(scratch, "tree.tar")
        _run(["tar", "--create", f"--directory={tree}", f"--file={archive}", "."])
        _run(["docker", "import", "--change", 'CMD ["python3"]', str(archive), name])
    say(f"{name}: made")
    return name


def compose_command(*, say: Callable[[str], None] = lambda _line: None) -> list[str]:
    """Return the command that runs Docker Compose 2: the installed one, or one unpacked into `.tools/` now.

    Raises:
        StandInError: It is not installed and could not be unpacked.
    """
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if not _COMPOSE.exists():
        # Older releases of the distribution only have Compose 1; the stand-in's release has the right one.
        image = ensure_image("PYTHON_IMAGE", say=say)
        say(f"Docker Compose: unpacking {_SUITE}'s package")
        _COMPOSE.parent.mkdir(parents=True, exist_ok=True)
        script = (
            "apt-get -qq update && cd /tmp && apt-get -qq download docker-compose"
            " && dpkg -x docker-compose_*.deb tree && cp tree/usr/libexec/docker/cli-plugins/docker-compose /out/.part"
            " && mv /out/.part /out/docker-compose"
        )
        _run(["docker", "run", "--rm", "--network=host", f"--volume={_COMPOSE.parent}:/out", image, "sh", "-c", script])
    return [str(_COMPOSE)]


def main() -> int:
    """Make every stand-in that is missing; return the exit status."""
    try:
        for variable in STAND_INS:
            ensure_image(variable, say=print)
        print(f"Docker Compose: {' '.join(compose_command(say=print))}")
    except StandInError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    except FileNotFoundError:
        raise StandInError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise StandInError(f"{command[0]} gave no answer within {_TIMEOUT} s") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise StandInError(f"{' '.join(command[:2])} failed:\n" + "\n".join(lines[-5:]))


if __name__ == "__main__":
    sys.exit(main())
