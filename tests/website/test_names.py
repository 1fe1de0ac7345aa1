"""Every public name is documented, and every documented name is there."""

import importlib
import inspect
import pathlib
import pkgutil
import re

import pytest

from website import reference

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.only_on("torch")
# `tuners` needs an extra.
PACKAGES = [p for p in reference.packages() if p != "tuners"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_a_docstring_and_is_on_its_page_once(package):
    module = importlib.import_module(f"keras_ff.{package}")
    page = reference.page(package)
    for name, value in vars(module).items():
        foreign = not getattr(value, "__module__", "").startswith("keras_ff.")
        private = name.startswith("_") or inspect.ismodule(value) or foreign
        if not private:
            assert value.__doc__, f"keras_ff.{package}.{name}"
            entry = f"::: keras_ff.{package}.{name}\n"
            assert page.count(entry) == 1, f"keras_ff.{package}.{name}"
    assert page.count("\n::: ") == len(reference.names(package))


def test_every_name_in_the_texts_is_there():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    texts = "\n".join(
        page.read_text() for page in [*pages, *(ROOT / "guides").glob("*.py")]
    )
    names = set(re.findall(r"\bkeras_ff(?:\.[A-Za-z_]\w*)+", texts))
    assert len(names) > 50
    for name in names:
        if not name.startswith("keras_ff.tuners"):
            pkgutil.resolve_name(name)
