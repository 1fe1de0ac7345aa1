"""What the public packages show: names that users need, with what they take."""

import importlib
import inspect
import pkgutil

import keras
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


def test_the_library_has_its_packages_and_two_functions():
    assert set(public_names(keras_ff)) == {"export_training", "import_training"}


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


# What of `**kwargs` stands in the place of arguments that others decide.
# Layers and optimizers have those of Keras's base class.
OPEN = {
    "ForwardOnlyHyperModel.fit": "those of `search`, as KerasTuner has them",
    "LocalLossModel.evaluate": "what Keras's `fit` says when it validates",
    "Exporting.export": "those of a format",
    "ForwardOnlyModel.export": "those of a format",
    "Method.block": "those of the method's head",
    "Method.conv": "those of the method's head",
    "Method.dense": "those of the method's head",
    "Method.model": "those of the method's model",
    "ReliableSearch": "those of the tuner that it is mixed into",
    "ReliableSearch.search": "those of the tuner that it is mixed into",
}


def public_functions():
    """Pairs of a name and what is called, of all that users may call."""
    for package in PACKAGES:
        module = importlib.import_module(f"keras_ff.{package}")
        for name in reference.names(package):
            value = getattr(module, name)
            yield name, value
            if inspect.isclass(value):
                yield from methods(value)


def methods(cls):
    for name, method in inspect.getmembers(cls):
        method = method.fget if isinstance(method, property) else method
        ours = getattr(method, "__module__", None) or ""
        if ours.startswith("keras_ff.") and not name.startswith("_"):
            if inspect.isroutine(method):
                yield method.__qualname__, method


FUNCTIONS = dict(public_functions())


def is_open(name):
    base = (keras.layers.Layer, keras.optimizers.Optimizer)
    function = FUNCTIONS[name]
    model = inspect.isclass(function) and issubclass(function, keras.Model)
    layer = inspect.isclass(function) and issubclass(function, base)
    return name in OPEN or (layer and not model)


def test_arguments_have_names():
    open_ones = set()
    for name, function in FUNCTIONS.items():
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                assert is_open(name), name
                open_ones.add(name)
            elif parameter.kind is parameter.VAR_POSITIONAL:
                assert name.startswith("ReliableSearch"), name
    assert set(OPEN) <= open_ones


def test_arguments_and_results_have_hints():
    missing = []
    for name, function in FUNCTIONS.items():
        signature = inspect.signature(function)
        missing += [
            f"{name}({parameter.name})"
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty
            and parameter.name not in ("self", "cls")
        ]
        result = signature.return_annotation
        if result is signature.empty and not inspect.isclass(function):
            missing.append(name)
    assert not missing
