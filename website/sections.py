"""Our docstrings for mkdocstrings: sections that Google's style has not."""

import re

import griffe

ARGUMENTS = ("Call arguments",)
TEXTS = (
    "Input shape",
    "Output shape",
    "Example",
    "Examples",
    "Reference",
    "References",
)


class Sections(griffe.Extension):
    """Turns them into such as it has, or into text under a heading."""

    def on_instance(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = convert(obj.docstring.value)


def convert(docstring):
    """A docstring that griffe reads as it is meant."""
    lines, indented = [], False
    for line in docstring.splitlines():
        title = line[:-1] if line.endswith(":") else None
        if title in ARGUMENTS:
            lines.append(f"Other Parameters: {title}")
        elif title in TEXTS:
            lines += ["", f"**{title}:**", ""]
            indented = True
            continue
        elif re.match(r"\S", line):
            lines.append(line)
        else:
            lines.append(line.removeprefix("    ") if indented else line)
            continue
        indented = False
    return "\n".join(lines)
