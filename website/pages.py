"""The pages of the site, put together in one folder.

`docs` as it is, guides as notebooks, the API reference, and copies of what
pages link to in the rest of the project.
"""

import os
import pathlib
import re
import shutil

import nbformat

from website import ROOT
from website import reference
from website import rendering
from website import tutobook

PAGES = ROOT / "build" / "pages"
DOCS = ROOT / "docs"
PACKAGE = ROOT / "keras_ff"
RENAMED = {
    ROOT / "README.md": pathlib.Path("index.md"),
    ROOT / "CONTRIBUTING.md": pathlib.Path("contribute.md"),
    ROOT / "CHANGELOG.md": pathlib.Path("changelog.md"),
}
LINK = re.compile(r"(\]\(|(?:src|href)=\")(?![a-z]+:|#|/)([^)\s\"#]+)")


def assemble():
    """Writes all pages anew; returns what stands in the menu."""
    shutil.rmtree(PAGES, ignore_errors=True)
    waiting = [
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted(path for path in DOCS.rglob("*") if path.is_file()),
    ]
    copied = set()
    while waiting:
        source = waiting.pop()
        if source in copied:
            continue
        copied.add(source)
        target = PAGES / place(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            inside = sorted(source.iterdir())
            target.write_text(_listing(source, inside))
            waiting += inside
        elif source.suffix == ".md":
            text, linked = _relink(source)
            if source.parent == rendering.RENDERED:
                text = _offer_notebook(text, source.stem)
            target.write_text(text)
            waiting += linked
        else:
            shutil.copyfile(source, target)
    for guide in rendering.guides():
        notebook = tutobook.to_notebook(guide.read_text())
        nbformat.write(notebook, PAGES / "guides" / f"{guide.stem}.ipynb")
    (PAGES / "guides" / "index.md").write_text(_guides())
    (PAGES / "api").mkdir()
    for package in reference.packages():
        (PAGES / "api" / f"{package}.md").write_text(reference.page(package))
    (PAGES / "api" / "index.md").write_text(_packages())
    return menu()


def place(source):
    """Where a file of the project lies among the pages."""
    if source in RENAMED:
        return RENAMED[source]
    if source.parent == rendering.GUIDES:
        return pathlib.Path("guides", f"{source.stem}.md")
    if source.is_relative_to(DOCS):
        return source.relative_to(DOCS)
    if source == PACKAGE:
        return pathlib.Path("api", "index.md")
    if source.parent == PACKAGE and source.is_dir():
        return pathlib.Path("api", f"{source.name}.md")
    place = pathlib.Path("files") / source.relative_to(ROOT)
    return place / "index.md" if source.is_dir() else place


def menu():
    """What mkdocs calls `nav`: new pages of `docs` come in by themselves."""
    start = ["get_started.md", "in_the_box.md", "more_than_one_device.md"]
    placed = ("index.md", "upstream.md", *start)
    plain = sorted(path.name for path in DOCS.glob("*.md"))
    guides = [f"guides/{guide.stem}.md" for guide in _in_order()]
    coming = [page for page in guides if "/coming_from_" in page]
    methods = sorted(path.name for path in (DOCS / "methods").glob("*.md"))
    packages = reference.packages()
    return [
        {"Home": "index.md"},
        {"Get started": [start[0], *coming, *start[1:]]},
        {
            "Guides": [
                "guides/index.md",
                *(page for page in guides if page not in coming),
            ]
        },
        {
            "Methods": [
                "methods/index.md",
                *(f"methods/{page}" for page in methods if page != "index.md"),
            ]
        },
        {"Measured": [page for page in plain if page not in placed]},
        {
            "API reference": [
                "api/index.md",
                *(f"api/{package}.md" for package in packages),
            ]
        },
        {
            "Contribute": [
                {"Contribute": "contribute.md"},
                "upstream.md",
                {"Changelog": "changelog.md"},
            ]
        },
    ]


def _in_order():
    """Guides as "Get started" names them, then the others."""
    text = (DOCS / "get_started.md").read_text()

    def position(guide):
        found = text.find(f"{guide.stem}.")
        return found if found >= 0 else len(text)

    return sorted(rendering.guides(), key=position)


def _relink(source):
    """The text with its links as they are on the site, and their targets."""
    linked = []

    def change(match):
        target = (source.parent / match[2]).resolve()
        if not target.exists():
            # Code that looks like a link.
            return match[0]
        start, end = place(source), place(target)
        if target.parent != rendering.GUIDES and end.parts[0] != "api":
            linked.append(target)
        path = os.path.relpath(PAGES / end, (PAGES / start).parent)
        return match[1] + path

    return LINK.sub(change, source.read_text()), linked


def _offer_notebook(text, guide):
    link = f"[Download it as a notebook]({guide}.ipynb)"
    return re.sub(
        r"^(\*Run on \w+\.)\*$", rf"\1 {link}*", text, count=1, flags=re.M
    )


def _listing(folder, inside):
    rows = [
        f"- [{path.name}]({path.name + ('/index.md' if path.is_dir() else '')})"
        for path in inside
    ]
    name = folder.relative_to(ROOT).as_posix()
    return f"# {name}\n\n" + "\n".join(rows) + "\n"


def _guides():
    rows = []
    for guide in _in_order():
        header = tutobook.read_header(guide.read_text())
        rows.append(
            f"- [{header['Title']}]({guide.stem}.md): {header['Description']}"
        )
    return (
        "# Guides\n\nEach was run from top to bottom as it stands here, and "
        "can be downloaded as a notebook.\n\n" + "\n".join(rows) + "\n"
    )


def _packages():
    rows = [
        f"| [`keras_ff.{package}`]({package}.md) | "
        f"{reference.summary(package)} |"
        for package in reference.packages()
    ]
    return (
        "# API reference\n\nAll public names, one page a package.\n\n"
        "| package | |\n|---|---|\n" + "\n".join(rows) + "\n"
    )
