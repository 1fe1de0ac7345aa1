"""Markdown files link to what is in the checkout."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", flags=re.M | re.S)
LINK = re.compile(r"(?:\]\(|(?:src|href)=\")(?![a-z]+:|#)([^)\s\"#]+)")
pytestmark = pytest.mark.only_on("torch")


def test_every_relative_link_leads_somewhere():
    links = [
        (page, target)
        for page in PAGES
        for target in LINK.findall(CODE.sub("", page.read_text()))
    ]
    assert len(links) > 100
    missing = [
        (str(page.relative_to(ROOT)), target)
        for page, target in links
        if not (page.parent / target).exists()
    ]
    assert not missing
