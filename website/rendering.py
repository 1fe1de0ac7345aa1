"""Guides as they ran: Markdown with what was printed, and PNG files."""

import base64
import hashlib
import io
import os
import re
import shutil
import tempfile

import nbclient
import yaml
from PIL import Image

from website import ROOT
from website import tutobook

GUIDES = ROOT / "guides"
RENDERED = ROOT / "docs" / "guides"
NAMES = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}


def guides():
    """The files of the guides, oldest first."""

    def age(guide):
        header = tutobook.read_header(guide.read_text())
        return header["Date created"], guide.stem

    return sorted(GUIDES.glob("*.py"), key=age)


def state(guide):
    """`"changed"` since it was run, run with an `"older"` package, or not."""
    page = RENDERED / f"{guide.stem}.md"
    ran = read_front_matter(page) if page.exists() else {}
    if ran.get("guide") != hash_of_guide(guide):
        return "changed"
    return "as run" if ran["package"] == hash_of_package() else "older"


def hash_of_package():
    """Of all source files of `keras_ff`."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "keras_ff").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def hash_of_guide(guide):
    return hashlib.sha256(guide.read_bytes()).hexdigest()[:16]


def read_front_matter(page):
    """What a page of `docs` says of itself before its first line."""
    found = re.match(r"---\n(.*?)\n---\n", page.read_text(), flags=re.S)
    return yaml.safe_load(found[1]) if found else {}


def render(guide):
    """Runs a guide and writes its page and pictures."""
    backend = os.environ.get("KERAS_BACKEND") or "torch"
    notebook = tutobook.to_notebook(guide.read_text())
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook,
            timeout=None,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute(
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "PYTHONPATH": str(ROOT),
                "PYTHONWARNINGS": "ignore",
            }
        )
    header = tutobook.read_header(guide.read_text())
    front_matter = yaml.safe_dump(
        {
            "title": header["Title"],
            "description": header["Description"],
            "guide": hash_of_guide(guide),
            "package": hash_of_package(),
        },
        sort_keys=False,
    )
    pictures = RENDERED / guide.stem
    shutil.rmtree(pictures, ignore_errors=True)
    text = "\n\n".join(
        part for cell in notebook.cells[1:] for part in _parts(cell, pictures)
    )
    page = (
        f"---\n{front_matter}---\n\n# {header['Title']}\n\n"
        f"{header['Description']}\n\n"
        f"*Run on {NAMES[backend]}.*\n\n{text}\n"
    )
    (RENDERED / f"{guide.stem}.md").write_text(page)


def _parts(cell, pictures):
    """A cell, and what it printed and drew, each in Markdown."""
    if cell.cell_type == "markdown":
        yield _relink(cell.source)
        return
    yield _fence(cell.source, "python")
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "stream" and output.name == "stdout":
            text = _plain(output.text)
            # Tables are printed in Markdown.
            yield text if text.startswith("| ") else _fence(text, "text")
        elif "image/png" in data:
            yield _picture(data["image/png"], pictures)


def _relink(text):
    """Pages lie a folder deeper than guides; guides that are named, beside."""

    def name(match):
        guide = GUIDES / f"{match[1]}.py"
        title = tutobook.read_header(guide.read_text())["Title"]
        return f"[{title}]({guide.stem}.md)"

    text = text.replace("](../", "](../../")
    return re.sub(r"`guides/(\w+)\.py`", name, text)


def _plain(text):
    """Without the colors of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text).strip("\n")


def _fence(text, language):
    return f"```{language}\n{text}\n```"


def _picture(encoded, folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{len(list(folder.iterdir())) + 1}.png"
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    # A palette makes the file a third as large.
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    return f"![What the code above draws]({folder.name}/{path.name})"
