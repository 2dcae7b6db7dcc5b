"""Write all data of a deployment into a folder, and put it back.

PostgreSQL is dumped while it runs. The others are stopped for the moment in which a copy of hard links is made on their
own volume, and packed from there while they run again: Prometheus and VictoriaMetrics change no file that they have
closed, and the small stores are copied whole. So no scrape is lost but those of these seconds, and no administrative
interface stays open. A backup has what there is: data of overlays that were never deployed is not missing in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.deploy.engine import DOCKER, DeployError, Stack, run, run_in_image

_DATABASES = ("mlflow", "variants")
_MANIFEST = "backup.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class _Store:
    """What one service keeps on its volume.

    Attributes:
        service: Its name.
        volume: The volume's.
        link: Files are never changed once they are closed, so that hard links are a copy.
        leave: What the service recreates by itself.
    """

    service: str
    volume: str
    link: bool = False
    leave: tuple[str, ...] = ()


_STORES = (
    # Right after each other: Prometheus is away for the shortest time.
    _Store("prometheus", "prometheus-data", link=True, leave=("lock",)),
    _Store("alertmanager", "alertmanager-data"),
    _Store("alertlog", "alertlog-data"),
    _Store("grafana", "grafana-data"),
    # Of overlays.
    _Store("mlflow", "mlflow-artifacts"),
    _Store("demo-fleet", "fleet-data"),
    _Store("victoriametrics", "victoriametrics-data", link=True, leave=("cache", "flock.lock")),
    _Store("loki", "loki-data"),
)
_SNAPSHOT = ".backup"
_POWERS = ("CHOWN", "DAC_OVERRIDE", "FOWNER")


def write(stack: Stack, target: Path, *, say: Callable[[str], None]) -> None:
    """Write a backup; the folder gets its manifest last, so that an interrupted one is known.

    Raises:
        DeployError: The folder is not empty, the stack does not run, there is no room, or a step failed.
    """
    target = target.resolve()
    if target.exists() and not target.is_dir():
        raise DeployError(f"{target} is a file, not a folder")
    if target.exists() and any(target.iterdir()):
        raise DeployError(f"{target} is not empty")
    running = _running(stack)
    if "postgres" not in running:
        raise DeployError("the stack does not run: start it with make deploy")
    there = stack.volumes()
    stores = [store for store in _STORES if store.volume in there]
    _check_room(target, _size(stack, stores))
    target.mkdir(parents=True, exist_ok=True)
    # It holds the secrets.
    target.chmod(0o700)
    for database in _DATABASES:
        say(f"dumping the database {database}")
        command = _in_postgres(stack, "pg_dump", "--format=custom", database)
        _save(command, target / f"{database}.dump", stack)
    for store in stores:
        away = _copy(stack, store, running=store.service in running)
        say(f"packing the data of {store.service}, which {f'was away for {away:.1f} s' if away else 'does not run'}")
        _pack(stack, store, target / f"{store.volume}.tar")
    shutil.copytree(stack.secrets, target / "secrets")
    manifest = {
        "format": _FORMAT,
        "time": int(time.time()),
        "overlays": [_name(path) for path in stack.overlays],
        "stores": [store.volume for store in stores],
        "images": {name: service["image"] for name, service in stack.services.items()},
    }
    (target / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    say(f"{target} is complete: {_bytes(target) / 1e6:.0f} MB")


def read(source: Path) -> dict[str, Any]:
    """Return the manifest of a backup.

    Raises:
        DeployError: It is no complete backup, or one that this release does not know.
    """
    try:
        manifest: dict[str, Any] = json.loads((source / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        if not source.is_dir():
            raise DeployError(f"there is no folder {source}") from None
        raise DeployError(f"{source} is no complete backup: it has no {_MANIFEST}") from None
    if manifest.get("format") != _FORMAT:
        raise DeployError(f"{source} has the format {manifest.get('format')}, which this release does not know")
    files = [*(f"{database}.dump" for database in _DATABASES), *(f"{volume}.tar" for volume in manifest["stores"])]
    if missing := [name for name in (*files, "secrets") if not (source / name).exists()]:
        raise DeployError(f"{source} is no complete backup: {', '.join(missing)} is missing")
    return manifest


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
        DeployError: It is no complete backup, there is no room for it, or a step failed.
    """
    manifest = read(source)
    root = Path(run(["docker", "info", "--format={{.DockerRootDir}}"]).strip())
    if root.is_dir():
        _check_room(root, _bytes(source))
    say("stopping the stack and putting the secrets back")
    stack.compose("down", "--remove-orphans")
    shutil.rmtree(stack.secrets, ignore_errors=True)
    shutil.copytree(source / "secrets", stack.secrets)
    prepare()
    # Volumes with their owners and labels come from the images and Compose.
    stack.compose("up", "--no-start", "--quiet-pull")
    for store in _STORES:
        if store.volume not in manifest["stores"]:
            continue
        if store.service not in stack.services:
            overlays = " ".join(manifest.get("overlays", []))
            say(f"LEFT OUT: data of {store.service}, which is not deployed here (the backup is of WITH='{overlays}')")
            continue
        say(f"putting back the data of {store.service}")
        script = "find /data -mindepth 1 -delete && tar --extract --directory=/data --same-owner --numeric-owner"
        _load(_helper(stack, store, script), source / f"{store.volume}.tar", stack)
    stack.compose("up", "--detach", "--wait", "postgres")
    for database in _DATABASES:
        say(f"putting back the database {database}")
        options = ("--clean", "--if-exists", "--exit-on-error", f"--dbname={database}")
        _load(_in_postgres(stack, "pg_restore", *options), source / f"{database}.dump", stack)
    start()


def _name(overlay: Path) -> str:
    """Return an overlay as one writes it after WITH=."""
    return overlay.name.split(".")[1] if overlay.parent == DOCKER else str(overlay)


def _check_room(folder: Path, wanted: int) -> None:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(there).free
    if free < wanted:
        raise DeployError(f"{there} has {free / 1e9:.1f} GB free; up to {wanted / 1e9:.1f} GB are needed")


def _size(stack: Stack, stores: Sequence[_Store]) -> int:
    """Return how much a backup may take: databases, whose dumps are smaller, and volumes."""
    total = "select sum(pg_database_size(oid)) from pg_database"
    databases = int(run(_in_postgres(stack, "psql", "--tuples-only", f"--command={total}"), env=stack.environment))
    return databases + sum(int(run(_helper(stack, store, "du -sk /data")).split()[0]) * 1024 for store in stores)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _running(stack: Stack) -> set[str]:
    return {row["Service"] for row in stack.containers() if row["State"] == "running"}


def _copy(stack: Stack, store: _Store, *, running: bool) -> float:
    """Copy a store's files on its own volume while the service is stopped; return for how long it was."""
    begun = time.monotonic()
    if running:
        stack.compose("stop", store.service)
    try:
        how = "cp --archive --link" if store.link else "cp --archive"
        leave = " ".join(f"! -name {name}" for name in (_SNAPSHOT, *store.leave))
        # The owner of the folder comes along: without it the service could not write after a restore.
        script = (
            f"rm -rf /data/{_SNAPSHOT} && mkdir /data/{_SNAPSHOT} && chown --reference=/data /data/{_SNAPSHOT}"
            f" && chmod --reference=/data /data/{_SNAPSHOT} && find /data -mindepth 1 -maxdepth 1"
            f" {leave} -exec {how} --target-directory=/data/{_SNAPSHOT} {{}} +"
        )
        run(_helper(stack, store, script))
    finally:
        if running:
            stack.compose("start", store.service)
    return time.monotonic() - begun if running else 0


def _pack(stack: Stack, store: _Store, target: Path) -> None:
    script = f"tar --create --numeric-owner --directory=/data/{_SNAPSHOT} . && rm -rf /data/{_SNAPSHOT}"
    _save(_helper(stack, store, script), target, stack)


def _helper(stack: Stack, store: _Store, script: str) -> list[str]:
    """Return a command that runs a script with the store's volume at hand."""
    return run_in_image(stack.image("exporter"), script, volume=stack.volume(store.volume), powers=_POWERS, write=True)


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
