"""The built site holds together: its links, its pictures, its reference."""

import html.parser
import json
import os
import urllib.parse

import pytest

from website import reference

pytestmark = pytest.mark.only_on("torch")


class Page(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.path, self.targets, self.anchors = path, set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.targets |= {found[k] for k in ("href", "src") if found.get(k)}
        self.anchors |= {found[k] for k in ("id", "name") if found.get(k)}


@pytest.fixture(scope="module")
def pages(site):
    return {
        path.resolve(): Page(path)
        for path in site.rglob("*.html")
        if path.name != "404.html"
    }


def test_every_link_and_picture_is_there(pages):
    missing = set()
    for page in pages.values():
        for target in page.targets:
            url = urllib.parse.urlsplit(target)
            if url.scheme in ("http", "https", "mailto", "data"):
                continue
            path = page.path.parent / urllib.parse.unquote(url.path)
            path = (path if url.path else page.path).resolve()
            path = path / "index.html" if path.is_dir() else path
            anchors = pages[path].anchors if path in pages else {url.fragment}
            if not path.exists() or (
                url.fragment and url.fragment not in anchors
            ):
                missing.add((os.path.relpath(page.path), target))
    assert not missing


def test_every_guide_offers_its_notebook(site, pages):
    guides = [*(site / "guides").resolve().glob("*/index.html")]
    assert guides
    for path in guides:
        name = f"{path.parent.name}.ipynb"
        assert any(x.endswith(name) for x in pages[path].targets), path


def test_nothing_is_loaded_from_elsewhere(pages):
    for page in pages.values():
        for line in page.path.read_text().split("<"):
            if line.startswith(("script", "img", "iframe", "video")):
                assert 'src="http' not in line, (page.path, line)
            if line.startswith("link") and "stylesheet" in line:
                assert 'href="http' not in line, (page.path, line)


def test_every_public_name_is_on_one_page(site, pages):
    for package in reference.packages():
        page = pages[(site / "api" / package / "index.html").resolve()]
        for name in reference.names(package):
            anchor = f"keras_ff.{package}.{name}"
            on = [p for p in pages.values() if anchor in p.anchors]
            assert on == [page], anchor


def test_search_knows_every_class(site):
    found = json.dumps(json.loads((site / "search.json").read_text()))
    for name in reference.names("layers"):
        assert name in found
