"""Our docstrings for mkdocstrings.

They have sections that Google's style has not, and say types and defaults in
words.
"""

import importlib

import griffe

ARGUMENTS = {
    "Args": "Args:",
    "Call arguments": "Other Parameters: Call arguments",
}
TEXTS = (
    "Input shape",
    "Output shape",
    "Returns",
    "Example",
    "Examples",
    "Reference",
    "References",
)


class Sections(griffe.Extension):
    """Turns them into such as it has, or into text under a heading."""

    def on_instance(self, *, obj, **kwargs):
        if not obj.docstring or obj.is_module:
            return
        if "{arguments}" in obj.docstring.value:
            # Filled in when the module is imported.
            module = importlib.import_module(obj.module.path)
            obj.docstring.value = getattr(module, obj.name).__doc__
        obj.docstring = Docstring(
            convert(obj.docstring.value),
            lineno=obj.docstring.lineno,
            endlineno=obj.docstring.endlineno,
            parent=obj,
        )


class Docstring(griffe.Docstring):
    """Its arguments are without the types and defaults of the signature."""

    def parse(self, *args, **kwargs):
        sections = super().parse(*args, **kwargs)
        for section in sections:
            if isinstance(section, griffe.DocstringSectionParameters):
                for parameter in section.value:
                    parameter.annotation = parameter.value = None
        return sections


def convert(docstring):
    """A docstring that griffe reads as it is meant."""
    lines, section = [], None
    for line in docstring.splitlines():
        if line[:1].strip():
            section = line.removesuffix(":")
            if section in ARGUMENTS:
                line = ARGUMENTS[section]
            elif section in TEXTS:
                lines += ["", f"**{section}:**"]
                line = ""
        elif section in TEXTS:
            line = line.removeprefix("    ")
        elif section in ARGUMENTS and lines[-1].endswith(","):
            # Several names, in more than a line.
            if ":" not in lines[-1]:
                line = f"{lines.pop()} {line.strip()}"
        lines.append(line)
    return "\n".join(lines)
