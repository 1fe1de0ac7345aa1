"""What the public packages show: names that users need, and no others."""

import importlib
import inspect
import pkgutil

import pytest

import keras_ff
from website import reference

pytestmark = pytest.mark.only_on("torch")
PACKAGES = reference.packages()


def public_names(module):
    """Names of a package that are not modules of this library."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not getattr(value, "__name__", "").startswith("keras_ff.")
    }


def test_the_library_has_its_packages_and_no_other_names():
    assert public_names(keras_ff) == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_what_its_reference_lists(package):
    module = importlib.import_module(f"keras_ff.{package}")
    assert sorted(public_names(module)) == reference.names(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_a_function_or_a_module_as_imports_went(package):
    module = importlib.import_module(f"keras_ff.{package}")
    files = {file.name for file in pkgutil.iter_modules(module.__path__)}
    assert not files & set(reference.names(package))
    for value in vars(module).values():
        inside = getattr(value, "__name__", "").startswith(module.__name__)
        if inspect.ismodule(value) and inside:
            name = value.__name__.rpartition(".")[2]
            assert vars(module)[name] is value


def test_what_users_do_not_need_is_not_public():
    for name in (
        "contributions.BY_NAME",
        "datasets.DatasetInfo",
        "layers.LabelOverlay",
        "layers.SquaredGoodness",
        "visualization.channel_order",
    ):
        package, _, name = name.partition(".")
        assert name not in reference.names(package)
