"""Methods by their names: the files of this folder, or files of yours."""

import importlib
import importlib.util
import pathlib
import pkgutil

from keras_ff.checks import check_maker
from keras_ff.methods.method import Method

_FOLDER = pathlib.Path(__file__).parent


def names() -> list[str]:
    """The names of the methods of this package: its files."""
    files = {module.name for module in pkgutil.iter_modules([str(_FOLDER)])}
    return sorted(files - {"lookup", "method"})


def get(identifier: str | Method | type[Method]) -> Method:
    """A method by its name, from a file, or as it is.

    Args:
        identifier: one of `keras_ff.methods.names()`; a `Method` or a
            subclass of it; or `"path/to/file.py:NAME"`, which runs the file
            and takes the `Method` called `NAME`.

    Returns:
        A `keras_ff.methods.Method`.

    Raises:
        ValueError: if there is no such method, or one of your own has the
            name of one of these.
        TypeError: if it is none.

    Example:

    ```python
    method = keras_ff.methods.get("caw")
    method.paper, method.learning_rate, method.loss()
    ```
    """
    method = identifier
    if isinstance(identifier, str):
        path, separator, name = identifier.rpartition(":")
        if separator and path.endswith(".py"):
            method = _from_file(path, name)
        elif identifier in names():
            method = _built_in(identifier)
        else:
            raise ValueError(
                f"`method` must be one of {names()}, a "
                "`keras_ff.methods.Method` of your own, or "
                f"'path/to/file.py:NAME'. Received: method={identifier!r}"
            )
    if isinstance(method, type) and issubclass(method, Method):
        method = method()
    if not isinstance(method, Method):
        raise TypeError(
            f"`method` must be one of {names()} or a "
            f"`keras_ff.methods.Method`. Received: method={identifier!r}"
        )
    if not isinstance(method.name, str):
        raise TypeError(
            "A method needs a `name`, a string. Received: "
            f"{type(method).__name__}.name={method.name!r}"
        )
    for attribute in ("head", "conv", "dense"):
        maker = getattr(method, attribute)
        if maker is not None:
            check_maker(
                f"{type(method).__name__}.{attribute}",
                maker,
                "a layer",
                "head = keras_ff.layers.GoodnessProjection",
            )
    if method.name in names() and type(method) is not _built_in(method.name):
        raise ValueError(
            f"{method.name!r} is the name of one of the methods "
            f"{names()}, and a method is known by its name. Received: "
            f"{type(method).__name__}.name={method.name!r}. Give it a `name` "
            "of its own."
        )
    return method


def _built_in(name):
    module = importlib.import_module(f"keras_ff.methods.{name}")
    return next(
        value
        for value in vars(module).values()
        if getattr(value, "__module__", None) == module.__name__
        and issubclass(value, Method)
    )


def _from_file(path, name):
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"There is no file {path} to take a method from.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    # Of a `.py` file there is one.
    module = importlib.util.module_from_spec(spec)  # pyright: ignore[reportArgumentType]
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        found = [
            key
            for key, value in vars(module).items()
            if isinstance(value, Method)
            or (isinstance(value, type) and issubclass(value, Method))
        ]
        raise ValueError(
            f"{path} has no method {name!r}. It has: {found or 'none'}"
        )
    return getattr(module, name)
