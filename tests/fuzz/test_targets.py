"""Each target takes the inputs of its corpus, and a few made-up ones, and nothing happens that should not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.fuzz.trial import try_corpus, try_made_up


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_takes_whatever_comes(target: Target, tmp_path: Path) -> None:
    with target.opened(tmp_path) as check:
        assert try_corpus(target, check) == len(target.corpus) > 0
        try_made_up(target, check, examples=target.short)
