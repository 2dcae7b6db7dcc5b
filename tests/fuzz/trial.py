"""Trying inputs on a target."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.target import Check, Target

# Of one input; far more than any takes on a busy machine.
_MOST_SECONDS = 60


class Stuck(Exception):  # noqa: N818  # says what the target is
    """Report an input that takes too long."""


def try_corpus(target: Target, check: Check) -> int:
    """Try all inputs of the corpus; return how many there are."""
    for path in target.corpus:
        try:
            with _in_time():
                check(path.read_bytes())
        except Exception as error:
            error.add_note(f"input: {path}")
            raise
    return len(target.corpus)


def try_made_up(target: Target, check: Check, *, examples: int, number: int = 0) -> None:
    """Try made-up inputs; a failure is the one of the smallest input found.

    Args:
        target: What takes them.
        check: Its check.
        examples: How many.
        number: Others for each number.
    """

    @seed(number)
    @settings(
        max_examples=examples,
        # What was found is kept as a file of the corpus.
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def trial(content: bytes) -> None:
        try:
            with _in_time():
                check(content)
        except Exception as error:
            # Read by `tests.fuzz.__main__`.
            error.__dict__["content"] = content
            raise

    trial()


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(_MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise Stuck(f"no end within {_MOST_SECONDS} s")
