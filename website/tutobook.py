"""Guides are tutobooks, as on keras.io: text and code in one Python file."""

import ast

import nbformat


def read_header(source):
    """The fields of a guide's first block, by name."""
    header = _blocks(source)[0][1]
    return dict(line.split(": ", 1) for line in header.splitlines())


def to_notebook(source):
    """A notebook without outputs, its title first."""
    make = {
        "text": nbformat.v4.new_markdown_cell,
        "code": nbformat.v4.new_code_cell,
    }
    header = read_header(source)
    title = f"# {header['Title']}\n\n{header['Description']}"
    cells = [make["text"](title)]
    cells += [make[kind](block) for kind, block in _blocks(source)[1:]]
    for number, cell in enumerate(cells):
        cell["id"] = str(number)
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    return notebook


def _blocks(source):
    """Pairs of a kind and a block: texts are strings that nothing takes."""
    lines = source.splitlines()
    pairs, end = [], 0
    for node in ast.parse(source).body:
        value = getattr(node, "value", None)
        if isinstance(node, ast.Expr) and isinstance(value, ast.Constant):
            pairs.append(("code", lines[end : node.lineno - 1]))
            pairs.append(("text", lines[node.lineno : node.end_lineno - 1]))
            end = node.end_lineno
    pairs.append(("code", lines[end:]))
    blocks = [(kind, "\n".join(part).strip("\n")) for kind, part in pairs]
    return [pair for pair in blocks if pair[1].strip()]
