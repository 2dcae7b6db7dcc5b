"""Keep secrets out of texts: logs, messages and pages.

Nothing here depends on a URI being well-formed: what stands between `//` and the last `@` of a text is hidden whatever
it is. Where the secret is known, as in a session on a database, a message that holds it is withheld as a whole:
stars in the place of a short password would tell by the words around them what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote, unquote_plus

# Passwords may hold anything, spaces and line breaks too.
_AUTHORITY = re.compile(r"://.*@", re.DOTALL)
_PARAMETER = re.compile(r"(?i)(password|passwd|pwd)(\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|\S+)", re.DOTALL)
_WITHHELD = "the words about it are withheld, as they hold what may be secret"


def redact(text: str) -> str:
    """Hide the credentials of all URIs and DSNs in a text."""
    # Parameters first: one that holds an `@` would be cut there.
    return _AUTHORITY.sub("://***@", _PARAMETER.sub(r"\1\2***", text))


class Secrets:
    """Secrets whose values are known, in every form in which a message may hold them."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value)}
        self._forms = frozenset({*forms, *map(_on_one_line, forms)} - {""})

    @classmethod
    def of_uri(cls, uri: str) -> Secrets:
        """Take whatever in a URI may be secret, well-formed or not."""
        after = uri.partition("//")[2]
        values = re.findall(r"(?i)(?:password|passwd|pwd)=([^&]*)", after)
        values.append(after.partition("@")[0].partition(":")[2] if "@" in after else "")
        if after.count("@") > 1:
            # It cannot be told where the password ends.
            before = after.rpartition("@")[0]
            values += [before, *re.split("[:@/?&=]", before)]
        return cls(values)

    def withhold(self, text: str) -> str:
        """Return the text in one line, or what stands for it where it holds a secret."""
        line = _on_one_line(text)
        if any(form in text or form in line for form in self._forms):
            return _WITHHELD
        return redact(line)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _forms(value: str) -> set[str]:
    return {value, unquote(value), unquote_plus(value), quote(value), quote(value, safe=""), quote_plus(value)}
