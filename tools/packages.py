"""Find Prometheus, Alertmanager and their tools, or unpack them from the distribution's packages without root.

`ensure_programs` is what the demo and the tests call. What is installed comes first; otherwise the distribution's
packages are unpacked into the git-ignored `.tools/packages/`, once.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import debian

TOOLS_DIR = debian.TOOLS_DIR


@dataclass(frozen=True, slots=True)
class Program:
    """One program of another project.

    Attributes:
        package: Package of Debian and Ubuntu that holds it.
        names: Names of the executable, the project's own first.
        download: Where the project itself offers it.
    """

    package: str
    names: tuple[str, ...]
    download: str


_DOWNLOADS = "https://prometheus.io/download/"
_PROMETHEUS = f"{_DOWNLOADS}#prometheus"
_POSTGRES_EXPORTER = "https://github.com/prometheus-community/postgres_exporter/releases"
_PGBOUNCER = "https://www.pgbouncer.org/downloads/"
_MARIADB = "https://mariadb.org/download/"
_NGINX = "https://nginx.org/en/download.html"
_TINYPROXY = "https://tinyproxy.github.io/"
_VICTORIA_METRICS = "https://docs.victoriametrics.com/victoriametrics/quick-start/"
_ALERTMANAGER = f"{_DOWNLOADS}#alertmanager"

PROGRAMS = {
    "prometheus": Program("prometheus", ("prometheus",), _PROMETHEUS),
    "promtool": Program("prometheus", ("promtool",), _PROMETHEUS),
    # Debian renames the server, because `alertmanager` was thought too common a word for /usr/bin.
    "alertmanager": Program("prometheus-alertmanager", ("alertmanager", "prometheus-alertmanager"), _ALERTMANAGER),
    "amtool": Program("prometheus-alertmanager", ("amtool",), _ALERTMANAGER),
    "node-exporter": Program(
        "prometheus-node-exporter", ("node_exporter", "prometheus-node-exporter"), f"{_DOWNLOADS}#node_exporter"
    ),
    "postgres-exporter": Program(
        "prometheus-postgres-exporter", ("postgres_exporter", "prometheus-postgres-exporter"), _POSTGRES_EXPORTER
    ),
    "pushgateway": Program(
        "prometheus-pushgateway", ("pushgateway", "prometheus-pushgateway"), f"{_DOWNLOADS}#pushgateway"
    ),
    "pgbouncer": Program("pgbouncer", ("pgbouncer",), _PGBOUNCER),
    "nginx": Program("nginx", ("nginx",), _NGINX),
    "tinyproxy": Program("tinyproxy-bin", ("tinyproxy",), _TINYPROXY),
    "mariadbd": Program("mariadb-server-core", ("mariadbd",), _MARIADB),
    "victoria-metrics": Program("victoria-metrics", ("victoria-metrics", "victoria-metrics-prod"), _VICTORIA_METRICS),
}

# Daemons are often installed where the PATH of a plain user does not lead.
_SYSTEM_FOLDERS = ("/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin")

# Debian's builds read their pages and templates from this folder, compiled in.
_COMPILED_FOLDER = b"/usr/share/prometheus/"
# The same length, and it means: the folder that the starting script has opened as descriptor 9.
_OPENED_FOLDER = b"/proc/self/fd/9///////"
# What Prometheus's pages are drawn with, and promtool, which newer suites have in a package of its own.
COMPANIONS = ("libjs-", "fonts-glyphicons", "promtool")


class MissingProgram(Exception):  # noqa: N818  # reads as the sentence it is: `except MissingProgram`
    """Report programs that are not installed and could not be unpacked; the message says how to get them.

    Attributes:
        names: The missing programs.
    """

    def __init__(self, names: Sequence[str], reason: str) -> None:
        self.names = tuple(names)
        packages = sorted({PROGRAMS[name].package for name in names})
        downloads = sorted({PROGRAMS[name].download for name in names})
        super().__init__(
            f"{' and '.join(names)} not found: neither on PATH nor in {_SYSTEM_FOLDERS[-1]}, and the distribution's "
            f"package could not be unpacked into {TOOLS_DIR.name}/:\n"
            + "\n".join(f"  {line}" for line in reason.splitlines())
            + f"\nInstall it (Debian, Ubuntu: apt-get install {' '.join(packages)}), or put on PATH what "
            f"{' and '.join(downloads)} offers."
        )


def find_program(name: str, *, tools_dir: Path | None = None) -> Path | None:
    """Return the program when it is installed or was unpacked before.

    Args:
        name: A key of `PROGRAMS`.
        tools_dir: Where packages are unpacked, instead of the project's own `.tools/`.
    """
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    for candidate in PROGRAMS[name].names:
        found = shutil.which(candidate, path=search)
        if found is not None:
            return Path(found)
    return _unpacked(name, tools_dir or TOOLS_DIR)


def ensure_programs(names: Sequence[str], *, tools_dir: Path | None = None) -> dict[str, Path]:
    """Return each program's path, unpacking packages for what is not installed.

    Args:
        names: Keys of `PROGRAMS`.
        tools_dir: Where packages are unpacked, instead of the project's own `.tools/`.

    Raises:
        MissingProgram: At least one can neither be found nor unpacked.
    """
    tools_dir = tools_dir or TOOLS_DIR
    paths: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for name in names:
        path = find_program(name, tools_dir=tools_dir)
        if path is None:
            try:
                path = unpack_program(name, tools_dir)
            except (debian.AptError, OSError) as error:
                missing[name] = str(error)
                continue
        paths[name] = path
    if missing:
        raise MissingProgram(tuple(missing), "\n".join(dict.fromkeys(missing.values())))
    return paths


def unpack_program(name: str, tools_dir: Path) -> Path:
    """Unpack the program's package below `tools_dir` unless that was done before; return what starts it.

    Raises:
        debian.AptError: The package could not be fetched, or does not hold the program.
        OSError: The folder cannot be written.
    """
    package = PROGRAMS[name].package
    target = tools_dir / "packages" / package
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"{package}.lock").open("w") as lock:
        # Tests run in several processes, each of which may be the first to need it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = _unpacked(name, tools_dir)
        if path is None:
            debian.unpack([package], target, tools_dir=tools_dir, companions=COMPANIONS, finish=complete)
            path = _unpacked(name, tools_dir)
    if path is None:
        raise debian.AptError(f"the package {package} holds no {' or '.join(PROGRAMS[name].names)}")
    return path


def _unpacked(name: str, tools_dir: Path) -> Path | None:
    tree = tools_dir / "packages" / PROGRAMS[name].package / "usr"
    places = (tree / folder / each for folder in ("bin", "sbin") for each in PROGRAMS[name].names)
    return next((path for path in places if os.access(path, os.X_OK)), None)


def complete(tree: Path) -> None:
    """Make an unpacked tree work where it lies, and leave out what nothing reads."""
    _make_relocatable(tree)
    _use_own_libraries(tree)
    # 200 MB of time zone data in a dozen forms, of which Prometheus's pages load one.
    for path in (tree / "usr" / "share" / "javascript" / "moment-timezone").rglob("*"):
        if path.is_file() and path.name != "moment-timezone-with-data.min.js":
            path.unlink()


def _use_own_libraries(tree: Path) -> None:
    """Let programs find the libraries that were unpacked with them."""
    # Older suites have some of them beside /usr.
    libraries = [path for folder in ("lib", "usr/lib") for path in (tree / folder).rglob("*.so.*")]
    folders = sorted({path.parent.relative_to(tree) for path in libraries})
    if not folders:
        return
    for path in sorted((tree / "usr" / "sbin").glob("*")):
        real = path.rename(path.with_name(f".{path.name}.real"))
        places = ":".join(f'"$here"/../../{folder}' for folder in folders)
        path.write_text(
            "#!/bin/sh\n"
            "# See tools/packages.py.\n"
            'here=$(dirname "$(readlink -f "$0")")\n'
            f'LD_LIBRARY_PATH={places} exec "$here"/{shlex.quote(real.name)} "$@"\n'
        )
        path.chmod(0o755)


def _make_relocatable(tree: Path) -> None:
    """Let programs find their own files in the unpacked tree instead of in /usr/share.

    Without this Debian's Alertmanager does not even start, for want of its templates. The path inside the program is
    replaced by one of the same length through a descriptor, which a script in the program's place opens first. Builds
    that carry their files within themselves, as the projects' own do, do not name the folder and stay as they are.
    """
    for path in sorted((tree / "usr" / "bin").glob("*")):
        content = path.read_bytes()
        if _COMPILED_FOLDER not in content:
            continue
        real = path.with_name(f".{path.name}.real")
        real.write_bytes(content.replace(_COMPILED_FOLDER, _OPENED_FOLDER))
        real.chmod(0o755)
        path.unlink()
        # The folder is found from where the script lies: the tree is moved when it is complete.
        path.write_text(
            "#!/bin/sh\n"
            "# Opens the folder that the program reads its pages and templates from; see tools/packages.py.\n"
            'here=$(dirname "$(readlink -f "$0")")\n'
            'exec 9<"$here/../share/prometheus"\n'
            f'exec "$here"/{shlex.quote(real.name)} "$@"\n'
        )
        path.chmod(0o755)
