"""Values of options that no command can use are refused in words, before anything is read or written."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from ml_monitoring.cli import main

_NAMESPACE = "a namespace has at most 63 small letters, digits and dashes, with no dash at its ends"
_OF_RENDER = ("dashboards", "render", "ml-monitoring-mlflow")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*_OF_RENDER, "--dpi", "0"), "argument --dpi: must be from 10 to 1200"),
        ((*_OF_RENDER, "--dpi", "100000"), "argument --dpi: must be from 10 to 1200"),
        ((*_OF_RENDER, "--dpi", "nan"), "argument --dpi: 'nan' is no whole number"),
        ((*_OF_RENDER, "--width", "0"), "argument --width: must be from 200 to 10000"),
        ((*_OF_RENDER, "--width=-5"), "argument --width: must be from 200 to 10000"),
        (("dashboards", "data", "a/b", "--width", "0"), "argument --width: must be from 1 to 11000"),
        (("dashboards", "push", "--org", "0"), "argument --org: must be from 1 to 2147483647"),
        (("alerts", "grafana", "--org=-1"), "argument --org: must be from 1 to 2147483647"),
        *(
            (("kubernetes", "manifests", "--output-dir", "km", f"--namespace={name}"), f"--namespace: {_NAMESPACE}")
            for name in ("My NS", "a b", "MyNS", "a_b", "-a", "a-", "", "a" * 64, "a.b", "ä", "a\n")
        ),
    ],
)
def test_a_value_that_no_command_can_use_is_refused(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"{said}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("demo", ["experiments", "inference", "search"])
def test_a_demo_refuses_a_port_that_there_is_not(demo: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        import_module("demo.cli").main([demo, "--port", "65536"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith("argument --port: must be from 0 to 65535\n")
