"""What a guide printed and drew, on its page."""

import pytest

pytestmark = pytest.mark.only_on("torch")
pytest.importorskip("nbclient", reason="needs the extra `docs`: make docs")

import nbformat.v4  # noqa: E402

from website import rendering  # noqa: E402


def test_printed_text_is_as_printed_and_a_printed_table_a_table(tmp_path):
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    outputs = [
        nbformat.v4.new_output("stream", name="stdout", text=text)
        for text in ("\x1b[1m5\x1b[0m | 6\n", f"{table}\n")
    ]
    cell = nbformat.v4.new_code_cell("run()", outputs=outputs)
    assert list(rendering._parts(cell, tmp_path)) == [
        "```python\nrun()\n```",
        "```text\n5 | 6\n```",
        table,
    ]
