"""Make `.venv` with everything that the demo, the tests and the checks need.

Run by the system's Python before anything is installed, so it uses the standard library only:

    python3 -m tools.bootstrap

It does nothing when the requirements have not changed. Where the distribution ships Python without `ensurepip`
(Debian and Ubuntu without python3-venv), pip is taken from the distribution's package into `.tools/`: that needs no
root and changes nothing on the system.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - this check is what gives an older version its clear message
    sys.exit(
        f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}.\n"
        "Install a newer one and name it, for example: make PYTHON=python3.12 demo"
    )

# Below the check: its syntax is newer than the versions that the check is for.
from tools import debian

ROOT = Path(__file__).resolve().parent.parent
STAMP = ".requirements.sha256"
_PIP_PACKAGE = "python3-pip-whl"
# Settings for another environment must not lead pip astray; PIP_* settings for indexes and certificates must stay.
_FOREIGN_SETTINGS = {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_USER", "PIP_PREFIX", "PIP_ROOT"}


class BootstrapError(Exception):
    """Report that the environment could not be made; the message says what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Make or refresh the environment; return the exit status."""
    parser = argparse.ArgumentParser(description="Make .venv with the pinned requirements.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--requirements", type=Path, default=ROOT / "requirements-dev.txt")
    parser.add_argument("--tools-dir", type=Path, default=debian.TOOLS_DIR)
    options = parser.parse_args(arguments)
    try:
        ensure(options.venv, options.requirements, options.tools_dir)
    except BootstrapError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    return 0


def ensure(venv: Path, requirements: Path, tools_dir: Path) -> bool:
    """Make the environment hold the requirements; tell whether anything was done.

    Raises:
        BootstrapError: The environment could not be made.
    """
    wanted = fingerprint(requirements, venv)
    if is_current(venv, wanted):
        return False
    if venv.is_symlink():
        # Recreating it would empty the folder behind the link while others use it.
        raise BootstrapError(
            f"{venv} is a link to {venv.resolve()}, which does not hold these requirements; "
            "run make where that folder belongs, or remove the link to get an environment of your own."
        )
    tools_dir.mkdir(parents=True, exist_ok=True)
    with (tools_dir / "bootstrap.lock").open("w") as lock:
        # Two makes at once would otherwise install into the same folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_current(venv, wanted):
            return False
        stamp = venv / STAMP
        stamp.unlink(missing_ok=True)
        pip = _make(venv, tools_dir)
        _install(pip, requirements, venv)
        stamp.write_text(wanted + "\n", encoding="ascii")
    return True


def fingerprint(requirements: Path, venv: Path) -> str:
    """Return what identifies an environment: its pinned requirements, the Python that runs them, and its place.

    Its programs name their interpreter by its whole path: they end with the folder that a checkout was moved from.
    """
    identity = f"{sys.version_info[0]}.{sys.version_info[1]}\n{venv.resolve()}\n".encode()
    return hashlib.sha256(identity + requirements.read_bytes()).hexdigest()


def is_current(venv: Path, wanted: str) -> bool:
    """Tell whether the environment was completed for this fingerprint and its Python still starts."""
    try:
        stamp = (venv / STAMP).read_text(encoding="ascii").strip()
    except OSError:
        return False
    # The interpreter behind a venv disappears when the system's Python is replaced.
    return stamp == wanted and (venv / "bin" / "python").exists()


def _make(venv: Path, tools_dir: Path) -> list[str]:
    """Make an empty environment and return the command that starts pip for it."""
    print(f">> making {venv.name} with Python {sys.version.split()[0]} ({sys.executable})", flush=True)
    python = str(venv / "bin" / "python")
    create = [sys.executable, "-m", "venv", "--clear"]
    if importlib.util.find_spec("ensurepip") is not None:
        _call([*create, str(venv)], "python -m venv")
        return [python, "-m", "pip"]
    wheel = _pip_wheel(tools_dir)
    _call([*create, "--without-pip", str(venv)], "python -m venv --without-pip")
    # pip runs out of its own wheel once to install itself; after that the environment is like any other.
    _call([python, str(wheel / "pip"), "install", "--quiet", "--no-index", "--no-deps", str(wheel)], "installing pip")
    return [python, "-m", "pip"]


def _pip_wheel(tools_dir: Path) -> Path:
    """Return the distribution's own pip wheel, unpacked from its package."""
    target = tools_dir / "packages" / _PIP_PACKAGE
    if not target.exists():
        print(f">> this Python has no ensurepip; unpacking {_PIP_PACKAGE} into {tools_dir.name}", flush=True)
        try:
            debian.unpack([_PIP_PACKAGE], target, tools_dir=tools_dir)
        except debian.AptError as error:
            raise BootstrapError(
                f"this Python ({sys.executable}) has no ensurepip, and pip could not be fetched:\n{error}\n"
                "Install it (Debian, Ubuntu: apt-get install python3-venv) and run the same command again."
            ) from error
    wheels = sorted(target.glob("usr/share/python-wheels/pip-*.whl"))
    if not wheels:
        raise BootstrapError(f"{_PIP_PACKAGE} holds no pip wheel below {target}; apt-get install python3-venv")
    return wheels[-1]


def _install(pip: list[str], requirements: Path, venv: Path) -> None:
    """Install the requirements, and say every quarter of the way how far it is."""
    wanted = sum("==" in line for line in requirements.read_text(encoding="utf-8").splitlines())
    print(f">> installing {requirements.name} into {venv.name} (a few minutes the first time)", flush=True)
    # Compiling all that is installed takes twice as long as the rest; Python compiles what it imports, once.
    command = [*pip, "install", "--no-input", "--no-compile", "--progress-bar=off", "--require-hashes"]
    command += ["-r", str(requirements)]
    collected = 0
    with subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith(("Collecting ", "Processing ")):
                collected += 1
                if wanted and collected * 4 // wanted > (collected - 1) * 4 // wanted:
                    print(f">> {min(collected, wanted)} of {wanted} packages found", flush=True)
            elif line.startswith("Installing collected packages"):
                print(">> unpacking them (half a minute)", flush=True)
    _check(process.returncode, "pip install")


def _call(command: list[str], what: str) -> None:
    _check(subprocess.run(command, env=_environment(), check=False).returncode, what)


def _check(status: int, what: str) -> None:
    if status != 0:
        raise BootstrapError(f"{what} failed with status {status}; its output is above")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN_SETTINGS}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


if __name__ == "__main__":
    sys.exit(main())
