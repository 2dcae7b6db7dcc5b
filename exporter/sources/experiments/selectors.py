"""Selectors of PromQL: taken apart, narrowed, and written again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

_TEXT: Final = r'"(?:[^"\\\n]|\\.)*"' + r"|'(?:[^'\\\n]|\\.)*'"
_MATCHER: Final = rf"\s*(?P<label>[a-zA-Z_][a-zA-Z0-9_]*)\s*(?P<sign>=~|!~|!=|=)\s*(?P<text>{_TEXT})\s*"
_MATCHERS: Final = re.compile(_MATCHER)
_PART: Final = re.sub(r"\?P<\w+>", "?:", _MATCHER)
_SELECTOR: Final = re.compile(
    rf"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{{(?P<matchers>(?:{_PART}(?:,{_PART})*,?)?\s*)\}})?\s*"
)
_SPECIAL: Final = re.compile(r"[.?+*|\\^$(){}\[\]]")
# The shortest text that says which series are meant.
PATTERN: Final = r"^[^()]+$"


class Matcher(NamedTuple):
    """One condition on a label; the text is quoted as it was."""

    label: str
    sign: str
    text: str

    def __str__(self) -> str:
        return f"{self.label}{self.sign}{self.text}"


@dataclass(frozen=True, slots=True)
class SeriesSelector:
    """What chooses series: a name, conditions on labels, or both."""

    name: str
    matchers: tuple[Matcher, ...] = ()

    @classmethod
    def parse(cls, text: str) -> SeriesSelector:
        """Take a selector apart.

        Raises:
            ValueError: It is something else, such as an expression.
        """
        found = _SELECTOR.fullmatch(text)
        if not found or not (found["name"] or found["matchers"]):
            raise ValueError('not a selector of counters, such as requests_total{outcome="success"}')
        inside = found["matchers"] or ""
        return cls(found["name"] or "", tuple(Matcher(*each.groups()) for each in _MATCHERS.finditer(inside)))

    @property
    def metric(self) -> str:
        """Return the name of the metric; empty where it names none, or several."""
        named = [each for each in self.matchers if each.label == "__name__"]
        if self.name or len(named) != 1 or named[0].sign != "=":
            return "" if named else self.name
        return named[0].text[1:-1]

    def problem(self) -> str:
        """Return why no counter can be meant; nothing where one may be."""
        metric = self.metric
        if not metric:
            return "names no metric, or several: give the name of one counter"
        if metric.endswith("_bucket") and not any(each.label == "le" and each.sign in "=~" for each in self.matchers):
            return f'buckets of a histogram count each event several times: give one of them, as {metric}{{le="0.5"}}'
        return ""

    def narrowed(self, *matchers: Matcher) -> SeriesSelector:
        """Return a selector of those that meet further conditions too."""
        return SeriesSelector(self.name, (*self.matchers, *matchers))

    def __str__(self) -> str:
        return f"{self.name}{{{','.join(map(str, self.matchers))}}}" if self.matchers else self.name


def matching(label: str, values: Sequence[str]) -> Matcher:
    """Return the condition that a label has one of these values."""
    if len(values) == 1:
        return Matcher(label, "=", _quoted(values[0]))
    return Matcher(label, "=~", _quoted("|".join(_SPECIAL.sub(r"\\\g<0>", value) for value in values)))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
