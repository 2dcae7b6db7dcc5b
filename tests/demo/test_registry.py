import argparse
import subprocess
import sys
from importlib.util import find_spec

import pytest

from demo import cli as demo
from ml_monitoring.exporter.command_parser import CommandParser
from ml_monitoring.exporter.errors import ConfigError


def parse(*arguments: str) -> argparse.Namespace:
    parser = CommandParser(prog="python -m demo")
    demo.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("name", demo.DEMOS)
def test_every_demo_is_a_module_that_exists(name: str) -> None:
    assert find_spec(demo.DEMOS[name].module) is not None


def test_what_follows_the_name_is_left_to_the_demo() -> None:
    options = parse("mlflow", "--output-dir", "x", "--help")
    assert options.name == "mlflow"
    assert options.arguments == ["--output-dir", "x", "--help"]


def test_an_unknown_demo_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse("nothing")
    assert stopped.value.code == 2
    assert "there is no 'nothing'; there are: experiments, fleet, " in capsys.readouterr().err


def test_help_lists_every_demo(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    for name, entry in demo.DEMOS.items():
        assert [name, entry.help] in lines


def test_no_demo_is_imported_before_it_is_chosen() -> None:
    code = (
        "import argparse, sys\n"
        "from demo import cli as demo\n"
        "demo.add_arguments(argparse.ArgumentParser())\n"
        "loaded = [d.module for d in demo.DEMOS.values() if d.module in sys.modules]\n"
        "assert not loaded and 'mlflow' not in sys.modules, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # A demo of the registry whose module does not exist stands for one whose package is not installed.
    monkeypatch.setattr(demo, "DEMOS", {"other": demo.Demo("package_that_is_not_there", "for this test")})
    with pytest.raises(
        ConfigError, match=r"demo other: package_that_is_not_there is not installed: run `make -C ('.+'|/\S+) .venv`"
    ):
        demo.run(parse("other"))
