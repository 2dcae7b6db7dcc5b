"""Each module can be imported first, and imports point one way."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.files import ROOT

# What is installed, from left to right; the first line that fits a module is its own. A module imports from its own
# line and from lines above.
ORDER = (
    r"instrument",
    r"exporter\.catalog",
    r"exporter",
    r"alerting\.model",
    r"alerting\.(?!(?:domains|generate|operate|log|commands|extension(?:s|_\w+)|options|cli|__main__)(?:\.|$))\w+",
    r"alerting\.domains",
    r"alerting\.extension(?:s|_\w+)",
    r"alerting\.(generate|operate|log)",
    r"alerting",
    r"dashboards(?!\.)|dashboards\.(lib|render)",
    r"dashboards\.pages",
    r"dashboards",
    r"k8s",
    r"cli|__main__",
)
_NAMES = tuple(re.compile(rf"ml_monitoring\.(?:{names})(?:\..*)?") for names in ORDER)
# The demos run in a checkout, where the condition beside that import holds.
ALLOWED = {("ml_monitoring.exporter.__main__", "demo.cli")}
_NOT_INSTALLED = {"demo", "tools", "tests"}

# Runs in a clean interpreter. It imports what all modules need of others once, then forks for each module of ours.
_IMPORT_EACH = """
import gc, importlib, os, signal, sys, warnings
others, modules = (line.split() for line in sys.stdin)
for name in others:
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # an option that is not installed; who needs it says so below
warnings.simplefilter("ignore")  # threads of others at a fork
gc.disable()
gc.freeze()
running = {}
def wait():
    child, status = os.wait()
    name = running.pop(child)
    if status:
        print("cannot be imported first:", name, flush=True)
for name in modules:
    assert name not in sys.modules, name
    if len(running) == os.cpu_count():
        wait()
    child = os.fork()
    if not child:
        signal.alarm(60)  # a module that serves instead
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    running[child] = name
while running:
    wait()
print(len(modules), "modules", file=sys.stderr)
"""


@cache
def _modules() -> dict[str, Path]:
    """Return all modules but the tests', by name."""
    found = {}
    for top in (
        "exporter",
        "alerting",
        "dashboards",
        "k8s",
        "instrument/src/ml_monitoring/instrument",
        "demo",
        "tools",
    ):
        for path in sorted((ROOT / top).rglob("*.py")):
            if "standins" in path.parts:
                continue  # programs of images, which run when they are imported
            parts = [Path(top).name, *path.relative_to(ROOT / top).with_suffix("").parts]
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name if top in {"demo", "tools"} else f"ml_monitoring.{name}"] = path
    for path in sorted((ROOT / "ml_monitoring").glob("*.py")):
        found[f"ml_monitoring.{path.stem}"] = path
    return found


@cache
def _imports(module: str) -> frozenset[str]:
    """Return what a module imports, what it imports by name (`import_module`) or for types included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_modules()[module].read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.ImportFrom) or node.level == 0, f"{module}: a relative import"
        found.update(_imported(node))
        if isinstance(node, ast.Constant) and "." in str(node.value) and node.value in _modules():
            found.add(str(node.value))
    return frozenset(found)


def _imports_at_once(module: str) -> frozenset[str]:
    """Return what is imported as soon as the module is: not what its functions import, nor what is for types alone."""
    tree = ast.parse(_modules()[module].read_text(encoding="utf-8"))
    return frozenset().union(*map(_imported, _run_at_once(tree))) & _modules().keys()


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        is_later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_for_types = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if not is_later and not is_for_types:
            yield child
            yield from _run_at_once(child)


def _imported(node: ast.AST) -> frozenset[str]:
    """Return what one statement imports: of `from package import module` the module, else what it is imported from."""
    if isinstance(node, ast.Import):
        return frozenset(alias.name for alias in node.names)
    if not isinstance(node, ast.ImportFrom):
        return frozenset()
    names = {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names & _modules().keys() or {str(node.module)})


def _place(module: str) -> int:
    return next(place for place, pattern in enumerate(_NAMES) if pattern.fullmatch(module))


def _installed() -> Iterator[str]:
    return (name for name in _modules() if name.startswith("ml_monitoring."))


def test_no_module_waits_for_one_that_waits_for_it() -> None:
    graph = {module: _imports_at_once(module) for module in _modules()}
    assert sum(map(len, graph.values())) > len(graph)
    # A cycle is an error that names its modules.
    list(TopologicalSorter(graph).static_order())


@pytest.mark.wide  # A process for each of hundreds of modules; without cycles it holds, as far as can be read.
def test_every_module_can_be_imported_first() -> None:
    modules = [name for name in _modules() if not name.endswith("__main__")]
    ours = {"ml_monitoring", *_NOT_INSTALLED}
    others = {name for module in modules for name in _imports(module) if name.partition(".")[0] not in ours}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_EACH],
        input=f"{' '.join(sorted(others))}\n{' '.join(modules)}\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=1200,
    )
    assert (done.stdout, done.returncode) == ("", 0), done.stdout + done.stderr
    assert done.stderr == f"{len(modules)} modules\n"


def test_imports_of_what_is_installed_point_left() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module in _installed()
        for imported in sorted(_imports(module))
        if imported.startswith("ml_monitoring.") and _place(imported) > _place(module)
    ]
    assert wrong == []


def test_nothing_that_is_installed_imports_what_is_not() -> None:
    imported = {(module, name) for module in _installed() for name in _imports(module)}
    assert {pair for pair in imported if pair[1].partition(".")[0] in _NOT_INSTALLED} == ALLOWED


@pytest.mark.parametrize("line", range(len(ORDER)))
def test_every_line_of_the_order_has_modules(line: int) -> None:
    assert any(_place(module) == line for module in _installed())
