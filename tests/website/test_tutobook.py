"""Guides become notebooks of the same text and code."""

import ast

import pytest

pytestmark = pytest.mark.only_on("torch")
pytest.importorskip("nbformat", reason="needs the extra `docs`: make docs")

from website import tutobook  # noqa: E402

GUIDE = '''"""
Title: A guide
Author: Somebody
Description: What it shows.
"""

"""
## A heading

Text with `code`.
"""

import os

script = """
print("not a text")
"""

"""
The end.
"""
'''


def test_text_and_code_in_turn():
    notebook = tutobook.to_notebook(GUIDE)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        ("markdown", "# A guide\n\nWhat it shows."),
        ("markdown", "## A heading\n\nText with `code`."),
        ("code", 'import os\n\nscript = """\nprint("not a text")\n"""'),
        ("markdown", "The end."),
    ]
    assert tutobook.read_header(GUIDE)["Author"] == "Somebody"


def test_all_code_of_the_guides_is_there():
    from website import rendering

    for guide in rendering.guides():
        source = guide.read_text()
        cells = tutobook.to_notebook(source).cells
        code = "\n".join(c.source for c in cells if c.cell_type == "code")
        statements = [
            node
            for node in ast.parse(source).body
            if not isinstance(getattr(node, "value", None), ast.Constant)
            or not isinstance(node, ast.Expr)
        ]
        assert [ast.dump(node) for node in ast.parse(code).body] == [
            ast.dump(node) for node in statements
        ], guide
