"""The overlay `render`: a browser draws under all its restrictions, for clients with the token.

The renderer is a stand-in where its image cannot be pulled: distribution, browser, init, user, home and token are those
of the real one, its own program is not. What Grafana asks of it is not shown here.
"""

import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.support.deployment import Deployment, wait_for
from tools.standin_images import ensure_image

pytestmark = pytest.mark.stack

PNG = b"\x89PNG\r\n\x1a\n"
WIDTH, HEIGHT = 640, 480


@pytest.fixture(scope="module")
def rendering(deployed: Deployment) -> Deployment:
    ensure_image("RENDERER_IMAGE")
    deployed.do("--with", f"render {deployed.folder / 'tests.yaml'}", "up")
    return deployed


def ask(deployment: Deployment, token: str, page: str) -> bytes:
    query = urllib.parse.urlencode({"url": page, "width": WIDTH, "height": HEIGHT, "encoding": "png"})
    url = f"http://{deployment.address('renderer')}:8081/render?{query}"
    request = urllib.request.Request(url, headers={"X-Auth-Token": token})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=90) as answer:
        return bytes(answer.read())


def test_a_browser_draws_a_page_of_the_stack(rendering: Deployment) -> None:
    picture = ask(rendering, rendering.secret("renderer_token"), "http://exporter:9847/")
    assert picture.startswith(PNG)
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (WIDTH, HEIGHT)
    # Something is on it: an empty page of that size is far smaller.
    assert len(picture) > 2 * len(ask(rendering, rendering.secret("renderer_token"), "about:blank"))


def test_nobody_else_gets_a_picture_and_the_token_is_not_on_show(rendering: Deployment) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(rendering, "guessed", "http://exporter:9847/")
    container = rendering.container("renderer")
    assert rendering.secret("renderer_token") not in str(container)
    assert container["HostConfig"]["ReadonlyRootfs"] is True
    assert container["HostConfig"]["CapDrop"] == ["ALL"]
    assert set(container["NetworkSettings"]["Networks"]) == {f"{rendering.project}_monitoring"}
    owner = rendering.inside("renderer", "sh", "-c", "grep ^Uid: /proc/1/status").split()[1]
    assert owner != "0"


def test_a_renderer_that_dies_comes_back(rendering: Deployment) -> None:
    before = rendering.container("renderer")["State"]["StartedAt"]
    # The program, whose init then ends.
    rendering.inside("renderer", "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)")
    wait_for(lambda: rendering.container("renderer")["State"]["StartedAt"] != before)
    wait_for(lambda: ask(rendering, rendering.secret("renderer_token"), "about:blank").startswith(PNG))
