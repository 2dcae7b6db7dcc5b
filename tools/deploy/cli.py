"""The command line of deployments."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.deploy import backup, preflight, readable, secrets, verify
from tools.deploy.engine import DOCKER, PROJECT, DeployError, Stack, overlay_names, run
from tools.deploy.result import show

# What the containers' users must be able to read.
_FOLDER_MODE = 0o755
# Variables of the environment that go before all settings of links.
_LINKS = ("GRAFANA_URL", "RUNBOOKS_URL", "LOGS_URL")
_SQL = ("10-roles.sql", "20-variants.sql")
_PAGES = (
    ("Grafana", "grafana", 3000, " (user admin, password in {secrets}/grafana_admin_password)"),
    ("Prometheus", "prometheus", 9090, ""),
    ("Alertmanager", "alertmanager", 9093, ""),
    ("Exporter", "exporter", 9847, ""),
    ("Alert log", "alertlog", 9848, ""),
    ("MLflow", "mlflow", 5000, ""),
    ("Inference", "demo-inference", 9860, "/docs (what can go wrong: PUT /scenarios/latency)"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    options = _parser().parse_args(arguments)
    stack = Stack(options.folder, options.project, options.overlays)
    try:
        return int(options.command(stack, options))
    except DeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tools.deploy", description="The stack in Docker.")
    parser.add_argument(
        "--folder",
        type=Path,
        default=DOCKER,
        metavar="DIR",
        help="holds .env, alerting.yml, secrets/, run/ and backups/ (docker/)",
    )
    parser.add_argument(
        "--project", type=_project, default=PROJECT, metavar="NAME", help=f"name of the deployment ({PROJECT})"
    )
    parser.add_argument(
        "--with", dest="overlays", type=overlay_names, metavar="NAMES", help="overlays, instead of WITH in .env"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, purpose in (
        ("up", _up, "try what is needed, build, generate, start, verify"),
        ("check", _check, "try what is needed, and change nothing"),
        ("verify", _verify, "try whether the running stack works"),
        ("down", _down, "stop; the data stays"),
    ):
        subparser = commands.add_parser(name, help=purpose, description=purpose)
        subparser.set_defaults(command=command)
        if command is _verify:
            subparser.add_argument(
                "--within", type=float, default=verify.PATIENCE, metavar="SECONDS", help="patience with each check"
            )
    subparser = commands.add_parser("backup", help="write all data into a new folder")
    subparser.add_argument("--to", type=Path, metavar="DIR", help="default: backups/ and the time")
    subparser.set_defaults(command=_backup)
    subparser = commands.add_parser("restore", help="replace all data by that of a backup")
    subparser.add_argument("source", type=Path, metavar="DIR", help="what `backup` wrote")
    subparser.set_defaults(command=_restore)
    return parser


def _project(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text):
        raise argparse.ArgumentTypeError("Compose takes small letters, digits, - and _, and a letter or digit first")
    return text


def _check(stack: Stack, options: argparse.Namespace) -> int:
    return 0 if show(preflight.check(stack, restoring=options.command is _restore)) else 1


def _verify(stack: Stack, options: argparse.Namespace) -> int:
    # Whatever WITH was when it was deployed.
    return 0 if show(verify.check(stack.as_deployed(), options.within)) else 1


def _down(stack: Stack, _options: argparse.Namespace) -> int:
    stack.compose("down", "--remove-orphans", show=True)
    return 0


def _up(stack: Stack, options: argparse.Namespace) -> int:
    if _check(stack, options) != 0:
        print("Nothing was changed.", file=sys.stderr)
        return 1
    begun = time.monotonic()
    prepare(stack)
    start(stack)
    if not show(verify.check(stack)):
        print("The stack runs, but not as it should: see the lines marked FAIL.", file=sys.stderr)
        return 1
    _say(f"deployed and verified in {time.monotonic() - begun:.0f} s")
    for line in pages(stack):
        print(line)
    return 0


def _backup(stack: Stack, options: argparse.Namespace) -> int:
    target = options.to or stack.folder / "backups" / time.strftime("%Y%m%dT%H%M%S")
    backup.write(stack.as_deployed(), target, say=_say)
    return 0


def _restore(stack: Stack, options: argparse.Namespace) -> int:
    try:
        backup.read(options.source)
    except DeployError as error:
        there = sorted(str(path.parent) for path in (stack.folder / "backups").glob("*/backup.json"))
        raise DeployError("\n  FROM=".join([str(error), *there])) from None
    if _check(stack, options) != 0:
        print("Nothing was changed.", file=sys.stderr)
        return 1
    backup.restore(stack, options.source, say=_say, prepare=lambda: prepare(stack), start=lambda: start(stack))
    return 0 if show(verify.check(stack)) else 1


def prepare(stack: Stack) -> None:
    """Make secrets and certificates that are missing, build the images, write what the servers read.

    Raises:
        DeployError: One of these failed.
    """
    if closed := readable.make_readable():
        _say(f"letting containers read {closed} files that only their owner could")
    run([str(DOCKER / "make-secrets.sh"), str(stack.secrets)])
    if stack.has_overlay("tls"):
        run([str(DOCKER / "make-certificates.sh"), str(stack.secrets)])
    _say("building the images")
    stack.compose("build", "--quiet")
    _say("writing rules, configurations and dashboards")
    generate(stack)


def generate(stack: Stack) -> None:
    """Write what Prometheus, Alertmanager and Grafana read: the user's own numbers, this deployment's addresses.

    The generators run in the exporter's image, which holds them: the machine itself needs no packages for it.

    Raises:
        DeployError: The user's own settings cannot be used; the message names file and line.
    """
    layers = [stack.folder / "run" / "links.yml"]
    for folder in (stack.generated, stack.dashboards):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(_FOLDER_MODE)
    layers[0].write_text(json.dumps({"links": _links(stack)}, indent=2) + "\n", encoding="utf-8")
    if stack.own_alerting.is_file():
        layers.append(stack.own_alerting)
    mounted = [*layers, *([stack.extensions] if stack.extensions.is_dir() else [])]
    tls = ["--exporter-ca=/run/secrets/ca_certificate"] if stack.has_overlay("tls") else []
    for folder, command in (
        (stack.generated, ["alerts", "generate", "--compose", *tls]),
        (stack.dashboards, ["dashboards", "generate"]),
    ):
        run(
            [
                *("docker", "run", "--rm", "--network=none", "--read-only", f"--user={os.getuid()}:{os.getgid()}"),
                f"--volume={folder}:/out",
                # Under their own paths, so that messages name them by those.
                *(f"--volume={path}:{path}:ro" for path in mounted),
                *(f"--env={name}={os.environ[name]}" for name in _LINKS if os.environ.get(name)),
                stack.image("exporter"),
                *(*command, "--output-dir=/out"),
                *(f"--settings={path}" for path in layers),
            ]
        )


def _links(stack: Stack) -> dict[str, str | None]:
    """Return the published addresses, where links lead unless the user says otherwise."""
    address, ports = stack.settings["BIND_ADDRESS"], stack.settings
    grafana = os.environ.get("GRAFANA_URL") or f"http://{address}:{ports['GRAFANA_PORT']}"
    return {
        "grafana": grafana,
        "logs": f"{grafana}/d/ml-monitoring-logs" if stack.has_overlay("logs") else None,
        "runbooks": f"{_scheme(stack, 'exporter')}://{address}:{ports['EXPORTER_PORT']}/runbooks",
    }


def start(stack: Stack) -> None:
    """Start what is not up to date, wait until all is healthy, and let running servers read what has changed.

    Raises:
        DeployError: A service did not become healthy; its last lines of log are in the message.
    """
    _say("starting the containers")
    try:
        stack.compose("up", "--detach", "--wait", "--remove-orphans", "--quiet-pull")
    except DeployError as error:
        raise DeployError(f"{error}\n{_logs(stack)}") from None
    if changed := secrets.outdated(stack):
        _say(f"starting what has new secrets again: {', '.join(changed)}")
        stack.compose("restart", *changed)
        stack.compose("up", "--detach", "--wait", "--quiet-pull")
    for name in _SQL:
        # Passwords and roles of a volume that is older than they are.
        stack.compose(
            *("exec", "--no-TTY", "--user=postgres", "postgres"),
            *("psql", "--quiet", "--no-psqlrc", "--username=postgres", "--output=/dev/null"),
            f"--file=/docker-entrypoint-initdb.d/{name}",
        )
    for service in ("prometheus", "alertmanager", "exporter"):
        # They notice neither new rules nor new settings by themselves. From within: after a `docker kill`, whatever the
        # signal, the engine would not start the container again when it crashes.
        stack.compose("exec", "--no-TTY", service, "sh", "-c", "kill -HUP 1")


def _logs(stack: Stack) -> str:
    """Return the last lines of log of each container that is not well."""
    parts = []
    for row in stack.containers():
        if row["State"] == "running" and row.get("Health", "") in ("", "healthy"):
            continue
        if row["State"] in ("created", "exited") and row.get("ExitCode") == 0:
            continue
        done = subprocess.run(
            ["docker", "logs", "--tail=15", row["Name"]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        parts.append(f"-- {row['Service']} is {row['State']} {row.get('Health', '')}; its log ends:\n{done.stdout}")
    return "\n".join(parts)


def pages(stack: Stack) -> list[str]:
    """Return the addresses of what is published, one a line."""
    published = {
        (row["Service"], publisher["TargetPort"]): f"{publisher['URL']}:{publisher['PublishedPort']}"
        for row in stack.containers()
        for publisher in row.get("Publishers") or []
        if publisher.get("PublishedPort")
    }
    return [
        f"  {title:<13} {_scheme(stack, service)}://{published[service, port]}{note.format(secrets=stack.secrets)}"
        for title, service, port, note in _PAGES
        if (service, port) in published
    ]


def _scheme(stack: Stack, service: str) -> str:
    return "https" if service == "exporter" and stack.has_overlay("tls") else "http"


def _say(line: str) -> None:
    print(f">> {line}", flush=True)
