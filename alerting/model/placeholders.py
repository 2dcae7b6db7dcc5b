"""The one notation for what is filled in later, in PromQL and in sentences: `<name>`.

| Placeholder | Stands for | In |
|---|---|---|
| `<filter>` | matchers of a dashboard's variables | signals |
| `<place>` | those of clusters and namespaces only, for series without the other labels | signals |
| `<window>` | the range of a rate | signals |
| `<exporter>`, `<node>`, ... | matchers of the targets that are watched, see `Selectors` | signals, recording rules |
| `<own_alerts>` | matchers of the alerts that rules of this project make | signals |
| `<threshold>`, `<parameter>` | a number of the alert itself | an alert's condition, matchers and guards |
| `<Alert.threshold>`, `<Alert.parameter>` | a number, duration or pattern of any alert | signals, recording rules |
| `<Alert.deviations>` | the standard errors that its `confidence` means | signals, recording rules |
| `<section.key>` | a number of another section of `thresholds.yml` | recording rules, conditions |
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# PromQL has `<` and `>` too, but never both around a bare name.
_PLACEHOLDER = re.compile(r"<(?P<name>[A-Za-z]\w*(?:\.\w+)*)>")


class UnknownPlaceholderError(ValueError):
    """Report a placeholder that stands for nothing."""


def names_in(text: str) -> set[str]:
    """Return the names of the placeholders in a text."""
    return {match["name"] for match in _PLACEHOLDER.finditer(text)}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with each `<name>` replaced by its value.

    Where the value is empty, in a list of label matchers, the comma and an empty pair of braces go with it.

    Args:
        text: PromQL or a sentence.
        values: The values by name; those that the text does not name are left out.

    Raises:
        UnknownPlaceholderError: The text names a placeholder that has no value.
    """
    names = names_in(text)
    if unknown := sorted(names - values.keys()):
        known = ", ".join(sorted(values)) or "none"
        names_of_them = ", ".join(f"<{name}>" for name in unknown)
        raise UnknownPlaceholderError(f"no value for {names_of_them} in {text!r}; known are: {known}")
    if empty := "|".join(re.escape(name) for name in names if not values[name]):
        text = re.sub(rf",<(?:{empty})>|<(?:{empty})>,?", "", text).replace("{}", "")
    return _PLACEHOLDER.sub(lambda match: values[match["name"]], text)
