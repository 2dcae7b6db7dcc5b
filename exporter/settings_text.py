"""The settings in force as YAML: secrets masked, and behind each setting that was given where it was."""

from __future__ import annotations

from io import StringIO
from typing import Any, get_args

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from ml_monitoring.exporter.config import Settings
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.references import field_at, is_secret
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import Location

# As Prometheus masks its own.
MASK = "<secret>"


def write(settings: Settings, layers: Layers) -> str:
    """Return the settings as a file that they could be read from, but for the secrets."""
    writer = YAML()
    writer.width = 4096  # a comment would not follow a value that is folded
    text = StringIO()
    data = settings.model_dump(mode="json", exclude_none=True)
    # The two ways to say where to listen are not for one file.
    for key in ("host", "port") if settings.web.listen_addresses else ("listen_addresses",):
        del data["web"][key]
    writer.dump(_commented(data, (), layers, layers.data), text)
    return text.getvalue()


def _commented(data: dict[str, Any], above: Location, layers: Layers, given: Any) -> CommentedMap:
    node = CommentedMap()
    for key, value in data.items():
        here = (*above, key)
        inner = given.get(key) if isinstance(given, dict) else None
        field = field_at(Settings, here)
        if isinstance(value, dict) and value:
            # What a plug-in takes may be a secret, too.
            is_free = field is not None and Any in get_args(field.annotation)
            shown = dict.fromkeys(value, MASK) if is_free else value
            node[key] = _commented(shown, here, layers, inner)
            continue
        node[key] = MASK if is_secret(field) else redact(value) if isinstance(value, str) else value
        if isinstance(given, dict) and key in given:
            node.yaml_add_eol_comment(str(layers.place(here)), key, column=0)
    return node
