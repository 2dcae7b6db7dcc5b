"""The files that the stack in Docker is made of, read for tests."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
# ${NAME}, ${NAME:-default} and ${NAME:?message}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


class _Loader(yaml.SafeLoader):
    """Knows Compose's own tag."""


# `!reset []` takes away what the file below says.
_Loader.add_constructor("!reset", lambda _loader, _node: None)


def read_yaml(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), _Loader)


def read_env(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def pins(path: Path) -> set[str]:
    return set(re.findall(r"^([\w.-]+==[^ ;\\]+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def with_defaults(text: str) -> str:
    """Return a value of the compose file as it is when nothing is set."""
    return VARIABLE.sub(lambda match: match["rest"] if match["kind"] == "-" else match[0], text)
