"""Write all data of a deployment into a folder, and put it back.

PostgreSQL is dumped while it runs. The others are stopped for the moment in which a copy of hard links is made on their
own volume, and packed from there while they run again: Prometheus changes no file that it has closed, and the small
stores are copied whole. So no scrape is lost but those of these seconds, and no administrative interface stays open.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.deploy.engine import DeployError, Stack, run

_DATABASES = ("mlflow", "variants")
_MANIFEST = "backup.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class _Store:
    """What one service keeps on its volume."""

    service: str
    volume: str
    # Files that are written in place, so that a hard link would change with them.
    link: bool = False


_STORES = (
    # Right after each other: Prometheus is away for the shortest time.
    _Store("prometheus", "prometheus-data", link=True),
    _Store("alertmanager", "alertmanager-data"),
    _Store("alertlog", "alertlog-data"),
    _Store("grafana", "grafana-data"),
)
_SNAPSHOT = ".backup"


def write(stack: Stack, target: Path, *, say: Callable[[str], None]) -> None:
    """Write a backup; the folder gets its manifest last, so that an interrupted one is known.

    Raises:
        DeployError: The folder is not empty, the stack does not run, or a step failed.
    """
    target = target.resolve()
    if target.exists() and any(target.iterdir()):
        raise DeployError(f"{target} is not empty")
    running = _running(stack)
    if "postgres" not in running:
        raise DeployError("the stack does not run: start it with make deploy")
    target.mkdir(parents=True, exist_ok=True)
    # It holds the secrets.
    target.chmod(0o700)
    for database in _DATABASES:
        say(f"dumping the database {database}")
        command = _in_postgres(stack, "pg_dump", "--format=custom", database)
        _save(command, target / f"{database}.dump", stack)
    for store in _STORES:
        if store.service in running:
            away = _copy(stack, store)
            say(f"packing the data of {store.service}, which was away for {away:.1f} s")
            _pack(stack, store, target / f"{store.volume}.tar")
    shutil.copytree(stack.secrets, target / "secrets")
    manifest = {
        "format": _FORMAT,
        "time": int(time.time()),
        "stores": [store.volume for store in _STORES if store.service in running],
        "images": {name: service["image"] for name, service in stack.services.items()},
    }
    (target / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    say(f"{target} is complete: {sum(p.stat().st_size for p in target.rglob('*') if p.is_file()) / 1e6:.0f} MB")


def restore(
    stack: Stack,
    source: Path,
    *,
    say: Callable[[str], None],
    prepare: Callable[[], None],
    start: Callable[[], None],
) -> None:
    """Replace everything by what a backup holds; the stack runs afterwards.

    Args:
        stack: The deployment; it may be new.
        source: The backup.
        say: Takes lines of progress.
        prepare: Makes what a start needs.
        start: Starts the stack.

    Raises:
        DeployError: It is no complete backup, or a step failed.
    """
    try:
        manifest = json.loads((source / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DeployError(f"{source} is no complete backup: it has no {_MANIFEST}") from None
    if manifest.get("format") != _FORMAT:
        raise DeployError(f"{source} has the format {manifest.get('format')}, which this release does not know")
    say("stopping the stack and putting the secrets back")
    stack.compose("down", "--remove-orphans")
    shutil.rmtree(stack.secrets, ignore_errors=True)
    shutil.copytree(source / "secrets", stack.secrets)
    prepare()
    # Volumes with their owners and labels come from the images and Compose.
    stack.compose("up", "--no-start", "--quiet-pull")
    for store in _STORES:
        if store.volume in manifest["stores"] and store.service in stack.services:
            say(f"putting back the data of {store.service}")
            script = "find /data -mindepth 1 -delete && tar --extract --directory=/data --same-owner --numeric-owner"
            _helper(stack, store, script, source=source / f"{store.volume}.tar")
    stack.compose("up", "--detach", "--wait", "postgres")
    for database in _DATABASES:
        say(f"putting back the database {database}")
        options = ("--clean", "--if-exists", "--exit-on-error", f"--dbname={database}")
        _load(_in_postgres(stack, "pg_restore", *options), source / f"{database}.dump", stack)
    start()


def _running(stack: Stack) -> set[str]:
    return {row["Service"] for row in stack.containers() if row["State"] == "running"}


def _copy(stack: Stack, store: _Store) -> float:
    """Copy a store's files on its own volume while the service is stopped; return for how long it was."""
    begun = time.monotonic()
    stack.compose("stop", store.service)
    try:
        how = "cp --archive --link" if store.link else "cp --archive"
        _helper(
            stack,
            store,
            # The owner of the folder comes along: without it the service could not write after a restore.
            f"rm -rf /data/{_SNAPSHOT} && mkdir /data/{_SNAPSHOT} && chown --reference=/data /data/{_SNAPSHOT}"
            f" && chmod --reference=/data /data/{_SNAPSHOT} && find /data -mindepth 1 -maxdepth 1"
            f" ! -name {_SNAPSHOT} ! -name lock -exec {how} --target-directory=/data/{_SNAPSHOT} {{}} +",
        )
    finally:
        stack.compose("start", store.service)
    return time.monotonic() - begun


def _pack(stack: Stack, store: _Store, target: Path) -> None:
    script = f"tar --create --numeric-owner --directory=/data/{_SNAPSHOT} . && rm -rf /data/{_SNAPSHOT}"
    _save(_helper_command(stack, store, script), target, stack)


def _helper(stack: Stack, store: _Store, script: str, *, source: Path | None = None) -> None:
    if source is None:
        run(_helper_command(stack, store, script))
    else:
        _load(_helper_command(stack, store, script), source, stack)


def _helper_command(stack: Stack, store: _Store, script: str) -> list[str]:
    """Return a command that runs a script with the store's volume, and with nothing else, at hand."""
    return [
        *("docker", "run", "--rm", "--interactive", "--network=none", "--read-only", "--user=0:0", "--cap-drop=ALL"),
        *(f"--cap-add={power}" for power in ("CHOWN", "DAC_OVERRIDE", "FOWNER")),
        f"--volume={stack.volume(store.volume)}:/data",
        "--entrypoint=/bin/sh",
        stack.image("exporter"),
        "-c",
        script,
    ]


def _in_postgres(stack: Stack, program: str, *options: str) -> list[str]:
    """Return a command that runs a program of PostgreSQL in its container."""
    inside = ("exec", "--no-TTY", "--user=postgres", "postgres")
    return [*stack.command, *inside, program, "--username=postgres", *options]


def _save(command: Sequence[str], target: Path, stack: Stack) -> None:
    with target.open("wb") as file:
        done = subprocess.run(command, env=stack.environment, stdout=file, stderr=subprocess.PIPE, check=False)
    _judge(done)


def _load(command: Sequence[str], source: Path, stack: Stack) -> None:
    with source.open("rb") as file:
        done = subprocess.run(command, stdin=file, env=stack.environment, capture_output=True, check=False)
    _judge(done)


def _judge(done: subprocess.CompletedProcess[bytes]) -> None:
    if done.returncode != 0:
        raise DeployError(done.stderr.decode(errors="replace").strip()[-1000:] or "failed without a word")
