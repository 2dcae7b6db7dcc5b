"""Hooks of mkdocs (`hooks` in mkdocs.yml) that bring files outside docs/ into the site, without a second copy.

Pages are made of the files in `PAGES` and of every runbook, `runbooks/<AlertName>/` on the site. Links in the sources
are relative to the source, so that they work in a checkout; here they become links between pages, or, to files that
are no pages, links to the published repository. A link that leads nowhere is left to mkdocs, which reports it.
"""

from __future__ import annotations

import os
import posixpath
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from ml_monitoring.alerting.generate.document import DOMAIN_TITLES

ROOT = Path(__file__).resolve().parents[1]
# File of the repository: page of the site.
PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "docker/README.md": "docker.md",
}
RUNBOOK_INDEX = "runbooks/index.md"

_LINK = re.compile(r"\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
_PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\s*'
    r'<img alt="(?P<alt>[^"]*)" src="(?P<light>[^"]+)">\s*</picture>'
)
_SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]


def runbooks() -> dict[str, list[Path]]:
    """Return the runbooks by the domain of their alerts, in the order of the domains."""
    found = {domain: sorted((ROOT / "alerting" / domain / "runbooks").glob("*.md")) for domain in DOMAIN_TITLES}
    return {domain: paths for domain, paths in found.items() if paths}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the runbooks below their index in the navigation."""
    config.nav = _with_runbooks(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose sources are outside docs/."""
    for source, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / source)))
    for paths in runbooks().values():
        for path in paths:
            files.append(File.generated(config, _runbook_uri(path), abs_src_path=str(path)))
    files.append(File.generated(config, RUNBOOK_INDEX, content="\n".join(_index())))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Point links at pages or at the repository, and write pictures so that they follow the site's theme."""
    if page.file.abs_src_path is None:
        return markdown
    source = Path(page.file.abs_src_path)
    pages = {Path(file.abs_src_path): file.src_uri for file in files if file.abs_src_path}
    # Where a checkout has the runbooks; their index is on the site only.
    pages[ROOT / "alerting"] = RUNBOOK_INDEX

    def moved(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(source.parent / link["target"]))
        anchor = link["anchor"] or ""
        if target in pages:
            return f"]({posixpath.relpath(pages[target], posixpath.dirname(page.file.src_uri))}{anchor})"
        if target.exists() and target.is_relative_to(ROOT):
            return f"]({_SOURCE}/blob/HEAD/{target.relative_to(ROOT).as_posix()}{anchor})"
        return link[0]

    markdown = _PICTURE.sub(r"![\g<alt>](\g<light>#only-light)![\g<alt>](\g<dark>#only-dark)", markdown)
    return "\n".join(line if code else _LINK.sub(moved, line) for code, line in _lines(markdown))


def _lines(markdown: str) -> Iterator[tuple[bool, str]]:
    """Yield each line, and whether it is in a fenced block of code."""
    fenced = False
    for line in markdown.splitlines():
        fence = line.lstrip().startswith("```")
        yield fenced or fence, line
        fenced ^= fence


def _with_runbooks(item: Any) -> Any:
    if isinstance(item, list):
        return [_with_runbooks(one) for one in item]
    if isinstance(item, dict):
        return {title: _with_runbooks(below) for title, below in item.items()}
    if item == RUNBOOK_INDEX:
        return [item, *({DOMAIN_TITLES[domain]: [*map(_runbook_uri, paths)]} for domain, paths in runbooks().items())]
    return item


def _runbook_uri(path: Path) -> str:
    return f"runbooks/{path.name}"


def _index() -> Iterator[str]:
    yield "# Runbooks\n"
    yield "One page for each alert: what it means, its impact, diagnosis, causes and mitigation."
    yield "[Alerts](../alerts.md) lists conditions, severities and teams.\n"
    for domain, paths in runbooks().items():
        yield f"## {DOMAIN_TITLES[domain]}\n"
        yield "| alert | meaning |\n|---|---|"
        for path in paths:
            yield f"| [{path.stem}]({path.name}) | {_first_sentence(path.read_text(encoding='utf-8'))} |"
        yield ""


def _first_sentence(runbook: str) -> str:
    """Return the first sentence of the section Meaning."""
    meaning = runbook.partition("## Meaning\n\n")[2].partition("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=\.) (?=[A-Z])", meaning)[0].replace("|", "\\|")
