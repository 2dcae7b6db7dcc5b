"""The command line as a whole; what each command does is tested beside it."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from ml_monitoring.exporter import __version__, command_line

_TOP = Path(__file__).parents[1]
_MODULES = ("ml_monitoring", "exporter", "alerting", "dashboards", "ml_monitoring.exporter")


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", _MODULES)
def test_the_version_names_branch_revision_and_python(module: str) -> None:
    branch = f"branch {name}, " if (name := _git("branch", "--show-current")) else ""
    origin = f"{branch}revision {_git('rev-parse', 'HEAD')}, Python {platform.python_version()}"
    assert _python("-m", module, "--version").stdout == f"ml-monitoring {__version__} ({origin})\n"


@pytest.mark.parametrize("module", _MODULES)
def test_wrong_usage_is_answered_with_what_was_typed(module: str) -> None:
    done = _python("-m", module, "dance")
    assert done.returncode == 2
    assert done.stderr.startswith(f"usage: python -m {module} [-h]")


def test_subcommands_say_how_they_were_called() -> None:
    assert _python("-m", "ml_monitoring", "alerts", "explain").stderr.startswith(
        "usage: python -m ml_monitoring alerts explain [-h]"
    )


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["serve", "--help"], {"ml_monitoring.alerting", "ml_monitoring.dashboards", "matplotlib", "grafanalib"}),
        (["alerts", "--help"], {"ml_monitoring.dashboards", "ml_monitoring.exporter.app", "aiohttp", "matplotlib"}),
        (["dashboards", "--help"], {"ml_monitoring.exporter.app", "psycopg2", "matplotlib", "grafanalib"}),
        (["completion", "bash"], {"matplotlib", "grafanalib", "requests", "numpy"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_imports_only_what_it_needs(arguments: list[str], unwanted: set[str]) -> None:
    script = (
        "import sys; from ml_monitoring.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    imported = set(_python("-c", script).stderr.split())
    assert "ml_monitoring.cli" in imported
    assert not imported & unwanted


@pytest.mark.parametrize(
    ("missing", "arguments", "hint"),
    [
        ("grafanalib", ["dashboards", "generate", "--output-dir", "x"], "dashboards"),
        ("requests", ["dashboards", "push"], "dashboards"),
        ("matplotlib", ["dashboards", "render"], "render"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    missing: str, arguments: list[str], hint: str
) -> None:
    # `None` makes an import fail as if the package were not installed.
    script = (
        f"import sys; sys.modules[{missing!r}] = None\nfrom ml_monitoring.cli import main; sys.exit(main({arguments}))"
    )
    done = _python("-c", script)
    assert done.returncode == 1
    assert done.stderr == f"error: {missing} is not installed: pip install 'ml-monitoring[{hint}]'\n"


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError("no space left"), 1)], ids=repr)
def test_every_command_ends_with_the_documented_exit_codes(error: BaseException, code: int) -> None:
    def fail(_options: object) -> int:
        raise error

    parser = command_line.new_parser("prog", "description")
    parser.set_defaults(command=fail)
    assert command_line.run(parser, []) == code


def test_a_defect_is_not_taken_for_a_missing_extra() -> None:
    def fail(_options: object) -> int:
        raise ModuleNotFoundError("No module named 'ml_monitoring.nothing'", name="ml_monitoring.nothing")

    parser = command_line.new_parser("prog", "description")
    parser.set_defaults(command=fail)
    with pytest.raises(ModuleNotFoundError):
        command_line.run(parser, [])


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["ser"], ["serve", "services"]),
        (["alerts", "maint"], ["maintenance", "maintenance-end"]),
        (["dashboards", "render", "--th"], ["--theme"]),
        (["completion", ""], ["bash", "zsh"]),
    ],
    ids=" ".join,
)
def test_bash_completes_commands_and_options(typed: list[str], offered: list[str], tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(_python("-m", "ml_monitoring", "completion", "bash").stdout)
    words = " ".join(f"'{word}'" for word in ["ml-monitoring", *typed])
    ask = (
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _shtab_ml_monitoring; "
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    completed = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    assert completed.stdout.split() == offered


def test_zsh_gets_a_script_of_its_own() -> None:
    assert _python("-m", "ml_monitoring", "completion", "zsh").stdout.startswith("#compdef ml-monitoring\n")
