"""Build stand-ins for the stack's images from the distribution's packages, where no image registry is reachable.

`python -m tools.standin_images` makes those that the Docker engine neither has nor can pull, under the names that
`docker/versions.env` gives, and labels them as stand-ins. Needs root and debootstrap. Tests with the marker `stack`
call `ensure_image` and `compose_command`.

A stand-in has the paths, user and entrypoint of the real image as far as the stack uses them, and the distribution's
version. Grafana, Loki and Alloy have none: the distribution does not package them; of Grafana's renderer it has all but
the program itself, in whose place there is a small one. To add an image, add a folder to
`tools/standins/` and enter it in `STAND_INS`. To get rid of them:
`docker image rm $(docker image ls --quiet --filter label=stand-in)`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.debian import TOOLS_DIR

ROOT = Path(__file__).resolve().parent.parent
VERSIONS_FILE = ROOT / "docker" / "versions.env"
_SUITE = "trixie"
_OLDER_SUITE = "bookworm"
_COMPOSE = TOOLS_DIR / "docker" / "docker-compose"
_LABEL = "stand-in=true"
_TIMEOUT = 900
# Long enough for a slow line; without a registry the engine gives up by itself.
_PULL_TIMEOUT = 600
# What this machine trusts; where a proxy signs for everybody, downloads during a build need it too.
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class StandInError(Exception):
    """Report that an image or program could not be made; the message is the failed command's own last words."""


# Variable of `docker/versions.env` to folder of `tools/standins/`; each is built on the stand-in of the base image.
STAND_INS: Mapping[str, str] = {
    "POSTGRES_IMAGE": "postgres",
    "PROMETHEUS_IMAGE": "prometheus",
    "ALERTMANAGER_IMAGE": "alertmanager",
    "NODE_EXPORTER_IMAGE": "node-exporter",
    "POSTGRES_EXPORTER_IMAGE": "postgres-exporter",
    "HAPROXY_IMAGE": "haproxy",
    "RENDERER_IMAGE": "renderer",
    "VICTORIAMETRICS_IMAGE": "victoriametrics",
}
BASE = "PYTHON_IMAGE"
_BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")


def versions() -> dict[str, str]:
    """Return the images of `docker/versions.env` by variable."""
    lines = VERSIONS_FILE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def has_image(name: str) -> bool:
    """Tell whether the Docker engine has an image of that name."""
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
    return subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT).returncode == 0


def ensure_image(variable: str, *, say: Callable[[str], None] = lambda _line: None) -> str:
    """Return the name of an image that the engine has: it is there, or pulled now, or a stand-in is made.

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
    try:
        _run(["docker", "pull", "--quiet", name], timeout=_PULL_TIMEOUT)
    except StandInError:
        pass
    else:
        say(f"{name}: pulled")
        return name
    say(f"{name}: making a stand-in from {_SUITE}'s packages")
    if variable == BASE:
        _make_base(name, _SUITE)
    else:
        _build(name, STAND_INS[variable], ensure_image(BASE, say=say))
    say(f"{name}: made")
    return name


def ensure_older_image(variable: str) -> str:
    """Return the name of a stand-in of the distribution's release before, for tests of upgrades.

    Raises:
        StandInError: No Docker engine answers, or it could not be made.
    """
    base = f"ml-monitoring-older/base:{_OLDER_SUITE}"
    name = f"ml-monitoring-older/{STAND_INS[variable]}:{_OLDER_SUITE}"
    if not has_image(name):
        if not has_image(base):
            _make_base(base, _OLDER_SUITE)
        _build(name, STAND_INS[variable], base)
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
        image = ensure_image(BASE, say=say)
        say(f"Docker Compose: unpacking {_SUITE}'s package")
        _COMPOSE.parent.mkdir(parents=True, exist_ok=True)
        script = (
            "apt-get -qq update && cd /tmp && apt-get -qq download docker-compose"
            " && dpkg -x docker-compose_*.deb tree && cp tree/usr/libexec/docker/cli-plugins/docker-compose /out/.part"
            " && mv /out/.part /out/docker-compose"
        )
        _run(["docker", "run", "--rm", "--network=host", f"--volume={_COMPOSE.parent}:/out", image, "sh", "-c", script])
    return [str(_COMPOSE)]


def _build(name: str, folder: str, base: str) -> None:
    # The network of this machine, whose way to the packages may start on the machine itself.
    options = ("--network=host", f"--label={_LABEL}", f"--build-arg=BASE={base}", f"--tag={name}")
    _run(["docker", "build", *options, str(ROOT / "tools" / "standins" / folder)])


def _make_base(name: str, suite: str) -> None:
    """Make a minimal Debian with Python where the real image has it."""
    with tempfile.TemporaryDirectory(prefix="standin-") as scratch:
        tree = Path(scratch, "tree")
        _run(["debootstrap", "--variant=minbase", f"--include={','.join(_BASE_PACKAGES)}", suite, str(tree)])
        for link in ("python3", "python"):
            Path(tree, "usr/local/bin", link).symlink_to("/usr/bin/python3")
        if _CERTIFICATES.exists():
            shutil.copyfile(_CERTIFICATES, tree / _CERTIFICATES.relative_to("/"))
            (tree / "etc" / "pip.conf").write_text(f"[global]\ncert = {_CERTIFICATES}\n", encoding="utf-8")
        shutil.rmtree(tree / "var/cache/apt/archives", ignore_errors=True)
        archive = Path(scratch, "tree.tar")
        _run(["tar", "--create", f"--directory={tree}", f"--file={archive}", "."])
        _run(["docker", "import", "--change", f"LABEL {_LABEL}", "--change", 'CMD ["python3"]', str(archive), name])


def main() -> int:
    """Make every stand-in that is missing; return the exit status."""
    try:
        for variable in (BASE, *STAND_INS):
            ensure_image(variable, say=print)
        print(f"Docker Compose: {' '.join(compose_command(say=print))}")
    except StandInError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(command: Sequence[str], *, timeout: float = _TIMEOUT) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except FileNotFoundError:
        raise StandInError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise StandInError(f"{command[0]} gave no answer within {timeout:.0f} s") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise StandInError(f"{' '.join(command[:2])} failed:\n" + "\n".join(lines[-5:]))


if __name__ == "__main__":
    sys.exit(main())
