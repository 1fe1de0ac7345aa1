"""Docstrings keep all of their sections in the reference."""

import pytest

griffe = pytest.importorskip("griffe", reason="needs the extra `docs`")

from website.sections import convert  # noqa: E402

pytestmark = pytest.mark.only_on("torch")

DOCSTRING = """One line.

Args:
    units: int.
    name, dtype,
        trainable: as in Keras.

Call arguments:
    inputs: tensor.

Input shape:
    `(batch, units)`, with
    two lines.

Example:

```python
layer(x)
```

Reference:

- [A paper](https://arxiv.org)
"""


def test_sections_that_google_style_has_not():
    docstring = griffe.Docstring(convert(DOCSTRING), parser="google")
    sections = docstring.parse(warnings=False)
    assert [section.kind.value for section in sections] == [
        "text",
        "parameters",
        "other parameters",
        "text",
    ]
    assert [parameter.name for parameter in sections[1].value] == [
        "units",
        "name, dtype, trainable",
    ]
    assert sections[2].title == "Call arguments"
    assert sections[2].value[0].name == "inputs"
    assert sections[3].value == (
        "**Input shape:**\n\n`(batch, units)`, with\ntwo lines.\n\n\n"
        "**Example:**\n\n\n```python\nlayer(x)\n```\n\n\n**Reference:**\n\n\n"
        "- [A paper](https://arxiv.org)"
    )
