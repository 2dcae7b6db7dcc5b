"""What is wrong in lists of targets: `python -m tools.deploy.targets FILE...` prints it, a line each.

What Prometheus would refuse, it only logs, and keeps to what it read before; where nothing is wrong, what is hardly
meant is printed. This needs packages, unlike the rest of a deployment.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ml_monitoring.exporter.regular_files import describe_read_error, read_text
from ml_monitoring.exporter.suggestions import suggestion_or_all
from ml_monitoring.exporter.yaml_syntax import describe, line_of

_FORM = "- targets: [host:port]"
_KEYS = ("targets", "labels")
_LABEL = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# Without a user.
_ADDRESS = re.compile(r"(?:\w+://)?([^/@]+)(?:/[^@]*)?")
# Where a container is its own machine.
_ITSELF = re.compile(r"(localhost|127\.[\d.]+|\[::1\])(?::\d+)?", re.IGNORECASE)
_PORT = re.compile(r"\d{1,5}", re.ASCII)
_MOST_PORT = 65535
_AS_LABELS = "__scheme__ or __metrics_path__"
_NULL = "tag:yaml.org,2002:null"


def problems(path: Path) -> Iterator[str]:
    """Yield what Prometheus would refuse in a file, or could never reach, each with its line."""
    try:
        root = YAML().compose(read_text(path))
    except (OSError, UnicodeDecodeError) as error:
        yield f"{path}: cannot be read: {describe_read_error(error)}"
    except MarkedYAMLError as error:
        yield f"{path}:{line_of(error)}: not valid YAML: {describe(error)}"
    except YAMLError:
        yield f"{path}: not valid YAML"
    else:
        # An empty file has no targets.
        for node, problem in _of_list(root) if root is not None and root.tag != _NULL else ():
            yield f"{path}:{node.start_mark.line + 1}: {problem}"


def notes(path: Path) -> Iterator[str]:
    """Yield what is hardly meant in a file that has no problems, each with its line."""
    root = YAML().compose(read_text(path))
    for group in root.value if isinstance(root, SequenceNode) else ():
        for key, value in group.value:
            for target in value.value if key.value == "targets" and isinstance(value, SequenceNode) else ():
                if said := _doubt(target.value):
                    yield f"{path}:{target.start_mark.line + 1}: targets: {target.value}: {said}"


def _doubt(target: str) -> str:
    if _ITSELF.fullmatch(target):
        return (
            "is the container of Prometheus itself there; name the service's container, or an address of this machine"
        )
    if _port(target) is None:
        return "has no port: that of http or https is taken, 80 or 443"
    return ""


def _of_list(root: Node) -> Iterator[tuple[Node, str]]:
    if not isinstance(root, SequenceNode):
        yield root, f"must be a list: write `{_FORM}`, with the dash"
        return
    for group in root.value:
        if isinstance(group, MappingNode):
            yield from _of_group(group)
        else:
            yield group, f"must be `{_FORM}`"


def _of_group(group: MappingNode) -> Iterator[tuple[Node, str]]:
    seen = set()
    for key, value in group.value:
        if key.value in seen:
            yield key, f"{key.value}: is given twice"
        elif key.value == "targets":
            yield from _of_targets(value)
        elif key.value == "labels":
            yield from _of_labels(value)
        elif key.value != "<<":
            yield key, f"{key.value}: unknown key{suggestion_or_all(str(key.value), _KEYS)}"
        seen.add(key.value)


def _of_targets(value: Node) -> Iterator[tuple[Node, str]]:
    if value.tag == _NULL:
        return
    if not isinstance(value, SequenceNode):
        yield value, "targets: must be a list, such as [host:port]"
        return
    for target in value.value:
        if not isinstance(target, ScalarNode):
            yield target, "targets: must be texts, such as [host:port], without a blank behind the colon"
        elif not target.value or target.tag == _NULL:
            yield target, "targets: one is empty"
        elif "/" in target.value:
            # Never what may hold a password.
            host = _ADDRESS.fullmatch(target.value)
            cure = f"write {host[1] if host else 'them alone'}; another scheme or path is a label, {_AS_LABELS}"
            yield target, f"targets: must be host:port, without scheme and path: {cure}"
        elif (port := _port(target.value)) is not None and not _is_port(port):
            yield target, f"targets: {target.value}: is no host:port with a port from 1 to {_MOST_PORT}"


def _port(target: str) -> str | None:
    """Return the port of an address; None where it has none."""
    _host, colon, port = target.rpartition("]")[2].partition(":")
    return port if colon else None


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and 0 < int(text) <= _MOST_PORT


def _of_labels(value: Node) -> Iterator[tuple[Node, str]]:
    if value.tag == _NULL:
        return
    if not isinstance(value, MappingNode):
        yield value, "labels: must be a mapping, such as {job: recommender}"
        return
    for name, text in value.value:
        if name.value != "<<" and not _LABEL.fullmatch(str(name.value)):
            yield name, f"labels.{name.value}: must be letters, digits and _, and no digit first"
        elif name.value != "<<" and not isinstance(text, ScalarNode):
            yield text, f"labels.{name.value}: must be a text"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is wrong with files; return the exit status."""
    paths = [Path(path) for path in arguments or sys.argv[1:]]
    found = [problem for path in paths for problem in problems(path)]
    for line in found or [note for path in paths for note in notes(path)]:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
