"""Texts of panels: Markdown as safe HTML for the interactive page, and as blocks of plain text for pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from ml_monitoring.dashboards.render.engine import PanelData


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of text that begins on a line of its own.

    Attributes:
        text: Without marks; of code with its line ends.
        heading: Its level, 1 to 6; 0 where it is none.
        depth: How many lists it is in.
        mark: What stands before an item of a list: a bullet or its number.
        cells: The cells of a row of a table.
        header: Whether it is the row that names the columns.
        code: Whether its lines must stay as they are.
        bold: Whether all of it is bold.
        apart: Whether a blank line stands before.
    """

    text: str
    heading: int = 0
    depth: int = 0
    mark: str = ""
    cells: tuple[str, ...] = ()
    header: bool = False
    code: bool = False
    bold: bool = False
    apart: bool = False


class _Safe(MarkdownIt):
    """CommonMark with tables; HTML in it is text, links lead to http(s) or relative addresses, pictures are words."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False})
        self.enable(["table", "strikethrough"])
        self.add_render_rule("image", _image)

    def validateLink(self, url: str) -> bool:  # noqa: N802  # the library's own name
        """Return whether a link is one; what is none stays text."""
        return bool(_ADDRESS.match(url))


# A colon before the first slash begins another scheme than these two, in whatever disguise.
_ADDRESS = re.compile(r"https?:|[^:/?#]*(?:[/?#]|$)", re.IGNORECASE)


def _image(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    # The page asks nobody for anything.
    return escapeHtml(renderer.renderInlineAsText(tokens[place].children, options, env))


_PARSER = _Safe()


def content_of(data: PanelData) -> str:
    """Return the Markdown of a text panel with its variables replaced; HTML becomes Markdown."""
    content = data.variables.title(str(data.panel.options.get("content") or data.panel.raw.get("content") or ""))
    mode = data.panel.options.get("mode")
    if mode == "html":
        return _from_html(content)
    # As a fenced block, whose lines are left as they are.
    return f"~~~~~~~~\n{content}\n~~~~~~~~" if mode == "code" else content


def to_html(content: str) -> str:
    """Return Markdown as HTML."""
    return str(_PARSER.render(content))


def to_blocks(content: str) -> list[Block]:
    """Return Markdown as blocks of plain text."""
    found: list[Block] = []
    for node in SyntaxTreeNode(_PARSER.parse(content)).children:
        blocks = list(_blocks(node))
        if found and blocks:
            blocks[0] = replace(blocks[0], apart=True)
        found += blocks
    return found


def _blocks(node: SyntaxTreeNode, depth: int = 0, mark: str = "") -> Iterator[Block]:
    if node.type == "heading":
        yield Block(_plain(node), heading=int(node.tag[1:]), depth=depth)
    elif node.type == "paragraph":
        inline = node.children[0]
        bold = [child.type for child in inline.children if child.content or child.children] == ["strong"]
        yield Block(_plain(node), depth=depth, mark=mark, bold=bold)
    elif node.type in {"fence", "code_block"}:
        yield Block(node.content.rstrip("\n"), depth=depth, code=True)
    elif node.type == "tr":
        cells = tuple(_plain(cell) for cell in node.children)
        if any(cells):
            header = node.parent is not None and node.parent.type == "thead"
            yield Block("   ".join(cells), depth=depth, cells=cells, header=header)
    elif node.type in {"bullet_list", "ordered_list"}:
        first = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
        for place, item in enumerate(node.children):
            before = "•" if first is None else f"{first + place}."
            for child in item.children:
                yield from _blocks(child, depth + 1, before)
                # What follows in the item stands below its first line.
                before = ""
    else:
        for child in node.children:
            yield from _blocks(child, depth)


def _plain(node: SyntaxTreeNode) -> str:
    """Return the text of a node without its marks, on one line unless it says otherwise."""
    if node.type in {"softbreak", "hardbreak"}:
        return " " if node.type == "softbreak" else "\n"
    return "".join(map(_plain, node.children)) if node.children else node.content


def _from_html(content: str) -> str:
    """Return HTML as Markdown: its headings, items and lines; all else of it is left out."""
    content = re.sub(r"<(style|script)\b.*?</\1>", "", content, flags=re.DOTALL | re.IGNORECASE)
    content = re.sub(r"<h([1-6])[^>]*>", lambda found: "\n\n" + "#" * int(found[1]) + " ", content)
    content = re.sub(r"<li[^>]*>", "\n- ", content)
    content = re.sub(r"<(?:br|p|div|tr|/h\d|/p|/div|/ul|/ol)\b[^>]*>", "\n\n", content)
    return re.sub(r"<[^>]+>", "", content)
