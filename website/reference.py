"""The API reference: one page a public package, from its docstrings."""

import importlib
import inspect
import pkgutil

import keras_ff


def packages():
    """Names of the public packages."""
    return [
        module.name
        for module in pkgutil.iter_modules(keras_ff.__path__)
        if module.ispkg and not module.name.startswith("_")
    ]


def names(package):
    """Public names of a package, wherever in the library they are made."""
    module = importlib.import_module(f"keras_ff.{package}")
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and _made_in(value) in packages()
    )


def _made_in(value):
    """The package of the library, if it is of one."""
    first, *rest = getattr(value, "__module__", "").split(".")
    return rest[0] if first == "keras_ff" and rest else None


def summary(package):
    """The first line of what it says of itself."""
    module = importlib.import_module(f"keras_ff.{package}")
    return inspect.getdoc(module).partition("\n")[0]


def page(package):
    """Markdown that mkdocstrings fills."""
    module = importlib.import_module(f"keras_ff.{package}")
    summary, _, rest = inspect.getdoc(module).partition("\n")
    parts = [f"# keras_ff.{package}", summary, rest.strip(), _table(module)]
    parts += [
        f"::: keras_ff.{package}.{name}\n"
        "    options:\n"
        f"      heading: {package}.{name}\n"
        f"      toc_label: {name}"
        for name in names(package)
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(module):
    package = module.__name__.rpartition(".")[2]
    rows = ["| name | |", "|---|---|"]
    for name in names(package):
        value = getattr(module, name)
        summary = (inspect.getdoc(value) or "").partition("\n")[0]
        rows.append(f"| [`{name}`](#keras_ff.{package}.{name}) | {summary} |")
    return "\n".join(rows)
