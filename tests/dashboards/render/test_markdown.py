from __future__ import annotations

import pytest

from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.intervals import TimeRange
from ml_monitoring.dashboards.render.markdown import Block, content_of, to_blocks, to_html
from ml_monitoring.dashboards.render.model import DashboardPanel, GridPos
from ml_monitoring.dashboards.render.variables import Value, Variables


def panel(content: str, mode: str) -> PanelData:
    raw = {"options": {"content": content, "mode": mode}}
    variables = Variables({"room": Value(("kitchen",), ("kitchen",))})
    return PanelData(DashboardPanel(1, "text", "T", GridPos(0, 0, 12, 8), raw), "T", TimeRange(0, 1), variables)


def test_markdown_becomes_html() -> None:
    text = "# Rooms\n\nThe **warm** ones, see [limits](/d/limits).\n\n- `attic`\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    assert to_html(text) == (
        "<h1>Rooms</h1>\n"
        '<p>The <strong>warm</strong> ones, see <a href="/d/limits">limits</a>.</p>\n'
        "<ul>\n<li><code>attic</code></li>\n</ul>\n"
        "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n"
        "<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>\n"
    )


@pytest.mark.parametrize("address", ["https://a.example/x?y=1", "http://a.example", "/d/uid?var-x=1", "other", "#top"])
def test_links_lead_to_http_or_relative_addresses(address: str) -> None:
    assert to_html(f"[x]({address})") == f'<p><a href="{address}">x</a></p>\n'


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "&#106;avascript:alert(1)",
        "java&#x0A;script:alert(1)",
        "vbscript:x",
        "data:text/html,x",
        "file:///etc/passwd",
    ],
)
def test_no_other_link_is_one(address: str) -> None:
    for text in (f"[x]({address})", f"[x](<{address}>)", f"<{address}>", f"[x]\n\n[x]: {address}"):
        assert "href" not in to_html(text)


def test_html_and_pictures_are_words() -> None:
    assert to_html("<script>alert(1)</script> a <b onclick=x>b</b>\n\n![room *plan*](https://a.example/p.png)") == (
        "<p>&lt;script&gt;alert(1)&lt;/script&gt; a &lt;b onclick=x&gt;b&lt;/b&gt;</p>\n<p>room plan</p>\n"
    )


def test_markdown_becomes_blocks_of_plain_text() -> None:
    text = (
        "# Rooms\nThe *warm*\nones &amp; [more](/x)\n\n**All bold**\n\n- a\n  - b\n\n3. c\n4. d\n\n"
        "|  |  |\n|--|--|\n| 1 | 2 |\n\n```\nx\n  y\n```\n\n> ![plan](/p.png)"
    )
    assert to_blocks(text) == [
        Block("Rooms", heading=1),
        Block("The warm ones & more", apart=True),
        Block("All bold", bold=True, apart=True),
        Block("a", depth=1, mark="•", apart=True),
        Block("b", depth=2, mark="•"),
        Block("c", depth=1, mark="3.", apart=True),
        Block("d", depth=1, mark="4."),
        Block("1   2", cells=("1", "2"), apart=True),
        Block("x\n  y", code=True, apart=True),
        Block("plan", apart=True),
    ]


@pytest.mark.parametrize(
    ("mode", "content", "blocks"),
    [
        ("markdown", "in the **$room**", [Block("in the kitchen")]),
        ("code", "# $room\n  **x**", [Block("# kitchen\n  **x**", code=True)]),
        (
            "html",
            "<style>p {}</style><h2>Rooms</h2><p>a &amp; <b>b</b><ul><li>c</li></ul><script>d</script>e",
            [
                Block("Rooms", heading=2),
                Block("a & b", apart=True),
                Block("c", depth=1, mark="•", apart=True),
                Block("e", apart=True),
            ],
        ),
    ],
)
def test_each_mode_of_a_text_panel(mode: str, content: str, blocks: list[Block]) -> None:
    assert to_blocks(content_of(panel(content, mode))) == blocks
