"""The files that the stack in Docker is made of, read for tests."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
# ${NAME}, ${NAME:-default} and ${NAME:?message}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_env(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def with_defaults(text: str) -> str:
    """Return a value of the compose file as it is when nothing is set."""
    return VARIABLE.sub(lambda match: match["rest"] if match["kind"] == "-" else match[0], text)
