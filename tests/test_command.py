"""The command line as a whole; what each command does is tested beside it."""

from __future__ import annotations

import argparse
import ast
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring import cli
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-v", "there is no option -v; did you mean --version?"),
        ("version", "argument COMMAND: there is no 'version'; did you mean --version?"),
        ("-v serve", "-v belongs behind the command: ml-monitoring serve --log.level ..."),
        ("alerts maintenance --duration 1h", "the following arguments are required: --reason REASON"),
        ("dashboards prove --wait x", "argument --wait: 'x': not a duration: write it as 30s, 5m, 6h, 1d or 1h30m"),
        ("dashboards prove --slow 500", "argument --slow: '500' has no unit: write it as 500ms, 30s, 5m, 6h or 1d"),
        ("alerts test-fire --wait 5x", "argument --wait: '5x': not a duration: write it as 30s, 5m, 6h, 1d or 1h30m"),
        ("alerts maintenance --reason x --duration 400d", "argument --duration: '400d' is longer than a year"),
    ],
)
def test_wrong_usage_is_said_below_one_line(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words.split(), prog="ml-monitoring")
    assert caught.value.code == 2
    usage, message = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: ml-monitoring ")
    assert message.partition(": error: ")[2] == said


def test_the_beginning_of_an_option_with_two_names_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--conf", "/nowhere.yml"]) == 1
    assert capsys.readouterr().out == "FAIL  settings  /nowhere.yml: cannot be read: No such file or directory\n"


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
    ("missing", "module", "arguments", "hint"),
    [
        ("grafanalib", "ml_monitoring", ["dashboards", "generate", "--output-dir", "x"], "'ml-monitoring[dashboards]'"),
        ("requests", "dashboards", ["push"], "'ml-monitoring[dashboards]'"),
        ("matplotlib", "ml_monitoring", ["dashboards", "render"], "'ml-monitoring[render]'"),
        ("shtab", "ml_monitoring", ["completion", "bash"], "ml-monitoring"),
        ("pydantic", "ml_monitoring", ["check"], "ml-monitoring"),
        ("pydantic", "exporter", ["check"], "ml-monitoring"),
        ("ruamel.yaml", "alerting", ["generate"], "ml-monitoring"),
        ("typing_extensions", "ml_monitoring.alerting", ["explain", "x"], "ml-monitoring"),
        ("grafanalib", "dashboards", ["generate", "--output-dir", "x"], "'ml-monitoring[dashboards]'"),
    ],
)
@pytest.mark.parametrize("in_checkout", [True, False])
def test_a_missing_package_is_named_with_the_command_that_brings_it(
    missing: str, module: str, arguments: list[str], hint: str, in_checkout: bool
) -> None:
    # `None` makes an import fail as if the package were not installed.
    script = (
        f"import runpy, sys; sys.modules[{missing!r}] = None; sys.argv[1:] = {arguments}\n"
        "from ml_monitoring.exporter import version\n"
        f"version.CHECKOUT = {in_checkout} and version.CHECKOUT\n"
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    ).replace("False and version.CHECKOUT", "None")
    done = _python("-c", script)
    assert done.returncode == 1
    command = (
        f"run `make -C {shlex.quote(str(_TOP))} .venv`, and then this with .venv/bin/python"
        if in_checkout
        else f"pip install {hint}"
    )
    assert done.stderr == f"error: {missing} is not installed: {command}\n"


def test_all_packages_that_a_command_lacks_are_named_with_one_command_that_brings_them(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text("keep_firing_for: 5m\n", encoding="utf-8")
    missing = ("grafanalib", "requests", "markdown_it", "matplotlib", "numpy", "plotly", "pyarrow")
    for settings, names, extras in (
        (str(tmp_path / "own.yml"), missing, "dashboards,render"),
        ("/dev/null", ("markdown_it", "matplotlib", "numpy", "plotly", "pyarrow", "requests"), "render"),
    ):
        script = (
            f"import runpy, sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
            f"sys.argv[1:] = ['serve', '--settings', {settings!r}]\n"
            "from ml_monitoring.exporter import version\n"
            "version.CHECKOUT = None\n"
            "runpy.run_module('dashboards', run_name='__main__', alter_sys=True)"
        )
        done = _python("-c", script)
        assert done.returncode == 1
        if extras == "render":
            assert "grafanalib" not in done.stderr
        command = f"pip install 'ml-monitoring[{extras}]'"
        assert done.stderr.splitlines()[-1] == f"error: {', '.join(names)} are not installed: {command}"


def test_every_package_that_is_imported_has_a_command_that_brings_it() -> None:
    imported: dict[str, str] = {}
    for room in ("exporter", "alerting", "dashboards", "k8s"):
        for path in (_TOP / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                imported |= {name.partition(".")[0]: str(path) for name in names}
    others = {name: path for name, path in imported.items() if name not in sys.stdlib_module_names}
    assert {"pydantic", "matplotlib", "pymysql"} <= others.keys()
    ours = {"ml_monitoring", "demo"}
    assert {name: path for name, path in others.items() if name not in command_line.EXTRAS | dict.fromkeys(ours)} == {}


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (OSError("no space left"), 1, "error: no space left\n"),
        (NotADirectoryError(20, "Not a directory", "/dev/null/x"), 1, "error: /dev/null: is a file, not a folder\n"),
    ],
    ids=repr,
)
def test_every_command_ends_with_the_documented_exit_codes_and_a_sentence(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_options: object) -> int:
        raise error

    parser = command_line.new_parser("prog", "description")
    parser.set_defaults(command=fail)
    assert command_line.run(parser, []) == code
    assert capsys.readouterr().err == said


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chek"], "argument COMMAND: there is no 'chek'; did you mean check?"),
        (["alerts", "maintenence"], "argument COMMAND: there is no 'maintenence'; did you mean maintenance?"),
        (["dashboards", "zzz"], "argument COMMAND: there is no 'zzz'; there are: generate, render, serve, "),
        (["--verson"], "there is no option --verson; did you mean --version?"),
        (
            ["serve", "--web.listen-adress=:1"],
            "there is no option --web.listen-adress; did you mean --web.listen-address?",
        ),
        (["alerts", "maintenance", "--duraton", "1h"], "there is no option --duraton; did you mean --duration?"),
        (["alerts", "test-fire", "--severity", "warn"], "there is no 'warn'; did you mean warning?"),
        (["dashboards", "render", "--format", "pgn"], "there is no 'pgn'; did you mean png?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_answered_with_the_one_that_may_be_meant(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments, prog="ml-monitoring")
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_options_may_still_be_shortened_and_follow_their_command() -> None:
    options = cli.new_parser("ml-monitoring", complete=True).parse_args(
        ["dashboards", "render", "--for", "pdf", "--out=x", "--", "--odd-name"]
    )
    assert (options.format, options.dashboards) == ("pdf", ["--odd-name"])


def test_every_command_and_argument_says_what_it_is_for() -> None:
    def without_help(parser: argparse.ArgumentParser) -> Iterator[str]:
        if not parser.description:
            yield parser.prog
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for below in action.choices.values():
                    yield from without_help(below)
            elif not action.help:
                yield f"{parser.prog} {action.dest}"

    assert list(without_help(cli.new_parser("ml-monitoring", complete=True))) == []


def test_the_address_of_prometheus_is_taken_from_one_variable_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_URL", "http://prometheus.example:9090")
    parser = cli.new_parser("ml-monitoring", complete=True)
    for words in (["dashboards", "render"], ["dashboards", "serve"], ["alerts", "backtest"], ["services", "discover"]):
        assert parser.parse_args(words).prometheus == "http://prometheus.example:9090"
