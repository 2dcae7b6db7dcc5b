"""What is said of files of experiments that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.exporter.sources.experiments.folder import DeclarationFiles

_EXPERIMENT = """\
start: 2026-01-01
arms: {control: 1, treatment: 1}
baseline: control
metrics: {sold: {kind: ratio, numerator: a_total, denominator: b_total}}
"""


def _problems(text: str, path: Path) -> list[str]:
    path.write_text(text, encoding="utf-8")
    files = DeclarationFiles(path)
    files.read()
    return files.problems


def _nested(text: str, *names: str) -> str:
    for name in reversed(names):
        text = f"{name}:\n" + "".join(f"  {line}\n" for line in text.splitlines())
    return text


def test_a_misspelt_key_is_answered_with_the_one_that_may_be_meant(tmp_path: Path) -> None:
    path = tmp_path / "experiments.yml"
    problems = _problems(_nested(_EXPERIMENT.replace("arms", "arm"), "checkout"), path)
    assert f"{path}:3: checkout.arm: unknown key; did you mean arms?" in problems
    assert not [problem for problem in problems if "there are: root" in problem]


@pytest.mark.parametrize("above", [("experiments",), ("declared",), ("sources", "experiments", "declared")])
def test_names_that_stand_too_deep_are_said_to(above: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "experiments.yml"
    assert _problems(_nested(_EXPERIMENT, *above, "checkout"), path) == [
        f"{path}:1: {above[0]}: names of experiments belong on the first level of this file, "
        f"without `{above[0]}:` above them"
    ]


def test_an_experiment_may_be_called_so_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "experiments.yml"
    problems = _problems(_nested(_EXPERIMENT.replace("arms", "arm"), "declared"), path)
    assert [problem for problem in problems if "declared.arm: unknown key" in problem]
