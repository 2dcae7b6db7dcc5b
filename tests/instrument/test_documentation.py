"""docs/instrument.md says what the library has, and its snippets run."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml_monitoring import instrument as library
from ml_monitoring.instrument import grpc
from tests.support.files import ROOT

PAGE = (ROOT / "docs" / "instrument.md").read_text(encoding="utf-8")
INDEX_PAGE = (ROOT / "instrument" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
CODE = set(re.findall(r"\w+", " ".join([*re.findall(r"`([^`]+)`", PROSE), *BLOCKS])))
# What the snippets take for granted.
GIVEN = """
import django
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a test", LOGGING_CONFIG=None)
django.setup()
urlpatterns = []
from prometheus_client import REGISTRY
from fastapi import FastAPI
def fresh():
    for collector in list(REGISTRY._collector_to_names):
        REGISTRY.unregister(collector)
    vars(REGISTRY).pop("_ml_monitoring_registered", None)
class Customer: features = [1.0]
class classifier: predict_proba = staticmethod(lambda rows: __import__("numpy").array([[0.2, 0.8]]))
def stream(prompt): yield from ("a", "b")
asgi_app = wsgi_app = lambda *_: None
"""


def public(owner: type) -> set[str]:
    return {name for name in vars(owner) if not name.startswith("_")} - {"__init__"}


def test_every_public_name_is_documented() -> None:
    names = {*library.__all__, grpc.ServerInterceptor.__name__, grpc.AsyncServerInterceptor.__name__}
    for name in library.__all__:
        found = getattr(library, name)
        if inspect.isclass(found):
            names |= public(found)
            names |= {key for key in inspect.signature(found).parameters if found is library.Recorder}
    names |= {key for key in inspect.signature(library.instrument).parameters if key != "app"}
    assert sorted(names - CODE) == []


def test_every_documented_name_is_public() -> None:
    imported = re.findall(r"^from ml_monitoring\.instrument import (.+)$", PAGE + INDEX_PAGE, re.MULTILINE)
    assert {name for line in imported for name in line.split(", ")} <= set(library.__all__)
    owners = {"recorder": library.Recorder, "model": library.ModelRecorder, "cache": library.CacheRecorder}
    for owner, method in re.findall(r"\b(recorder|model|cache)\.(\w+)\(", PAGE + INDEX_PAGE):
        assert callable(getattr(owners[owner], method)), f"{owner}.{method}"


@pytest.mark.parametrize("page", [PAGE, INDEX_PAGE], ids=["documentation", "index"])
def test_the_snippets_run_in_their_order(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    # Each start has an application of its own; what follows uses FastAPI's.
    text = GIVEN
    for block in blocks:
        text += "\nfresh()\n" if "import" in block else ""
        text += "app = FastAPI()\n" if "instrument(app, recorder" in block else ""
        text += block.replace("@app.post", "@FastAPI().post").replace(
            "def predict(customer: Customer)", "def predict(customer)"
        )
        text += "\npredict(Customer())\n" if "def predict" in block else ""
        text += "\nassert list(answer([1, 2])) == ['a', 'b']\n" if "def answer" in block else ""
        # As the last start left it.
        text += "\nmodel = None\n" if "from django" in block else ""
    script = tmp_path / "snippets.py"
    script.write_text(text + "\nimport os, sys; sys.stdout.flush(); os._exit(0)\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
