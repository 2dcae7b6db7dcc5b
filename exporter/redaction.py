"""Keep passwords out of texts: logs, messages and pages."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(?<=://)(?P<user>[^:/?#\s]*):(?P<password>[^\s]*)@")
_PASSWORD_PARAMETER = re.compile(r"(?i)\b(password|sslpassword)=[^&\s]*")


def redact(text: str) -> str:
    """Replace the passwords of all URIs and DSNs in a text."""
    return _PASSWORD_PARAMETER.sub(r"\1=***", _PASSWORD.sub(r"\g<user>:***@", text))
