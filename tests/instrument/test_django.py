"""Django's WSGI and ASGI handlers under real servers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.files import ROOT

# Django has one configuration a process, so each handler runs in a process of its own.
_SETTINGS = """
import asyncio
import django
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a test", DEBUG=False, LOGGING_CONFIG=None)
django.setup()
import logging
logging.disable()

from prometheus_client import CollectorRegistry
from ml_monitoring.instrument import HEALTH_CHECKS, Recorder, instrument

recorder = Recorder(registry=CollectorRegistry())
model = recorder.model("m", "1", variant="B")

def predict(request, number):
    with model.track_prediction():
        return HttpResponse(str(number))

async def predict_async(request, number):
    with model.track_prediction():
        return HttpResponse(str(number))

def broken(request):
    raise RuntimeError("the model is gone")

def stream(request):
    return StreamingHttpResponse([b"part"] * 3)

inner = [path("users/<int:number>/", predict), path("async/<int:number>", predict_async)]
urlpatterns = [
    path("v1/", include(inner)),
    re_path(r"^old/(?P<number>[0-9]+)$", predict),
    path("broken", broken),
    path("stream", stream),
    path("healthz", lambda request: HttpResponse("ok")),
]
"""
_WSGI = """
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
instrument(application, recorder, exclude=HEALTH_CHECKS)
from tests.support.wsgi_servers import lines, wait_for, wsgi_server as serve
"""
_ASGI = """
from django.core.asgi import get_asgi_application
application = get_asgi_application()
instrument(application, recorder, exclude=HEALTH_CHECKS)
from tests.support.wsgi_servers import asgi_server, lines, wait_for
serve = lambda app: asgi_server(app, lifespan="off")
"""
_ASK = """
with serve(application) as client:
    paths = "/v1/users/1/ /v1/users/2/ /v1/async/3 /old/4 /broken /stream /healthz /nowhere"
    for asked in paths.split():
        answer = client.get(asked)
    wait_for(lambda: b'route="unmatched"' in recorder.exposition().body)
    print("\\n".join(lines(client, "ml_http_requests_total", "ml_http_requests_in_progress", "ab_test_requests_total")))
"""
_EXPECTED = """\
ab_test_requests_total{outcome="success",variant="B"} 4.0
ml_http_requests_in_progress 0.0
ml_http_requests_total{method="GET",route="/broken",status="500"} 1.0
ml_http_requests_total{method="GET",route="/old/(?P<number>[0-9]+)$",status="200"} 1.0
ml_http_requests_total{method="GET",route="/stream",status="200"} 1.0
ml_http_requests_total{method="GET",route="/v1/async/<int:number>",status="200"} 1.0
ml_http_requests_total{method="GET",route="/v1/users/<int:number>/",status="200"} 2.0
ml_http_requests_total{method="GET",route="unmatched",status="404"} 1.0
"""


@pytest.mark.parametrize("handler", [_WSGI, _ASGI], ids=["wsgi", "asgi"])
def test_routes_of_django_are_the_labels(handler: str, tmp_path: Path) -> None:
    script = tmp_path / "site_under_test.py"
    script.write_text(_SETTINGS + handler + _ASK, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == _EXPECTED, done.stderr
