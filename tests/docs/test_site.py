"""The documentation's site: complete, without dead links, and without anything from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.domains import ALERTS
from tools import site_pages
from tools.stack import ROOT

CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def build(folder: Path, *, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(config),
        "--site-dir",
        str(folder),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def leaves(item: object) -> Iterator[str]:
    if isinstance(item, str):
        yield item
    elif isinstance(item, list):
        for one in item:
            yield from leaves(one)
    elif isinstance(item, dict):
        yield from leaves(list(item.values()))


def test_each_page_is_in_the_navigation_once() -> None:
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(leaves(CONFIG["nav"])) == sorted({*written, *site_pages.PAGES.values(), site_pages.RUNBOOK_INDEX})


def test_each_alert_has_a_page_that_the_index_and_the_table_link_to(site: Path) -> None:
    index = (site / "runbooks" / "index.html").read_text(encoding="utf-8")
    table = (site / "alerts" / "index.html").read_text(encoding="utf-8")
    for alert in ALERTS:
        page = (site / "runbooks" / alert.name / "index.html").read_text(encoding="utf-8")
        assert f'<h1 id="{alert.name.lower()}">{alert.name}' in page
        assert f'href="{alert.name}/"' in index
        assert f'href="../runbooks/{alert.name}/"' in table


def test_the_index_says_what_each_alert_means(site: Path) -> None:
    rows = re.findall(r"<td><a [^>]*>(\w+)</a></td>\s*<td>(.+?)</td>", (site / "runbooks/index.html").read_text(), re.S)
    assert sorted(name for name, _ in rows) == sorted(alert.name for alert in ALERTS)
    assert [name for name, meaning in rows if not meaning.endswith(".")] == []


class Resources(HTMLParser):
    """Collects what a browser would load by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        loads = given.get("src") or (given.get("href") if tag == "link" else None)
        if loads:
            self.found.append(loads)


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 80
    for page in pages:
        resources = Resources()
        resources.feed(page.read_text(encoding="utf-8"))
        assert resources.found
        assert [one for one in resources.found if re.match(r"(https?:)?//", one)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_pictures_follow_the_theme(site: Path) -> None:
    page = (site / "gallery" / "index.html").read_text(encoding="utf-8")
    assert page.count("-light.png#only-light") == page.count("-dark.png#only-dark") >= 10
    assert "<picture" not in page


def test_links_to_files_that_are_no_pages_lead_to_the_repository(site: Path) -> None:
    assert '/blob/HEAD/exporter/risk.py"' in (site / "fleet" / "index.html").read_text(encoding="utf-8")
    assert 'href="../deploy/"' in (site / "contributing" / "index.html").read_text(encoding="utf-8")


def test_each_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    links = "[a](nosuch.md) [b](../nosuch.py) [c](contributing.md#nosuch) [d](/index) [e](nosuch/)"
    (tmp_path / "docs" / "index.md").write_text(f"# Page\n\n{links}\n", encoding="utf-8")
    config = {**CONFIG, "docs_dir": str(tmp_path / "docs"), "nav": ["index.md"], "not_in_nav": "/*.md\n/runbooks/*"}
    config |= {"theme": "mkdocs", "extra_css": [], "hooks": [str(ROOT / "tools" / "site_pages.py")]}
    path = tmp_path / "mkdocs.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    done = build(tmp_path / "site", config=path)
    assert done.returncode == 1
    warnings = [line for line in done.stderr.splitlines() if "Doc file 'index.md'" in line]
    assert [re.findall(r"link '([^']+)'", line)[0] for line in warnings] == [
        "nosuch.md",
        "../nosuch.py",
        "/index",
        "nosuch/",
        "contributing.md#nosuch",
    ]
