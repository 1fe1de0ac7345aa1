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


CODE = '''
def scale(x: int = 3, *, y: float | None = None) -> str:
    """One line.

    Args:
        x: int, the one. Defaults to `3`.
        y: float. Defaults to `None`.

    Returns:
        A string: or
        two.
    """
'''


def test_types_and_defaults_are_said_once():
    extensions = griffe.load_extensions("website.sections")
    with griffe.temporary_visited_module(CODE, extensions=extensions) as module:
        function = module["scale"]
        _, arguments, returns = function.docstring.parse("google")
    assert [(p.annotation, p.value) for p in arguments.value] == [
        (None,) * 2
    ] * 2
    assert arguments.value[0].description == "int, the one. Defaults to `3`."
    assert returns.value == "**Returns:**\n\nA string: or\ntwo."
    assert function.parameters["x"].default == "3"
