"""The recipes of `reproduce.py`: what differs from each method's own settings.

A recipe's name is `family-architecture-dataset`. What it does not say is as
its method says (`keras_ff/methods`): loss, optimizer, rates, dropout,
clipping and contribution, as published.
"""

import keras_ff
from keras_ff.applications.architecture import ARCHITECTURES

# The families' methods: papers are known by other names than their layers.
FAMILIES = {
    "caw": "caw",
    "deeperforward": "cw",
    "hff": "prototype",
    "projection": "projection",
    "contrast": "contrast",
    "predsim": "predsim",
    "deep_supervision": "deep_supervision",
    "backprop": "backprop",
}
# What differs from the method's settings: of a family, of an architecture, of
# both together, of one recipe. Any of `OPTIONS`.
DIFFERENT = {
    # Trained in minutes, alike by every method (docs/measured.md).
    "whitened_cnn": dict(
        epochs=16,
        batch_size=250,
        width=2.0,
        dropout=0.0,
        augment=True,
        mirrored_shift=2,
        learning_rate=(0.1, 0.0),
        schedule="triangular",
        weight_decay=None,
        # The network's own, written down.
        contribution={"class_name": "SkipFirst", "config": {"number": 3}},
        layer_clipnorm=None,
        optimizer={
            "class_name": "Muon",
            "config": dict(
                momentum=0.6,
                ns_steps=3,
                rms_rate=None,
                normalize_weights=True,
                adam_lr_ratio=0.1,
                weight_decay=None,
                adam_weight_decay=None,
            ),
        },
        loss={
            "class_name": "LocalCrossentropy",
            "config": dict(label_smoothing=0.1),
        },
    ),
    "caw-resnet17": dict(learning_rate=(0.08, 0.006)),
    "caw-resnet17-mnist": dict(layer_options={"pooling": (0.97, 0.03, 0.03)}),
    # AdamW with PyTorch's default decay.
    "deeperforward-tiny_cnn": dict(weight_decay=1e-2),
    # Adam, which decays nothing.
    "deeperforward-vgg14": dict(weight_decay=0.0),
    "hff": dict(epochs=100),
    "predsim": dict(epochs=400),
    # What benchmarks/hff_search.py found.
    "hff-mlp": dict(layer_options={"embedding_size": 512}),
}
OPTIONS = {
    *("epochs", "batch_size", "augment", "validation_split", "width"),
    *("learning_rate", "weight_decay", "dropout", "layer_options"),
    # Further arguments of the architecture.
    "architecture_options",
    # The largest shift of `AugmentedBatches`, whose borders are mirrored.
    "mirrored_shift",
    # "triangular": step by step (`keras_ff.optimizers.Triangular`), not a
    # cosine from epoch to epoch.
    "schedule",
    # As `Method.settings` records them.
    *("optimizer", "loss", "contribution", "layer_clipnorm"),
}
# Share of the training images that validates: (CAW-Conv and whitened_cnn, all
# others).
VALIDATION = {
    "mnist": (1 / 6, 1 / 6),
    "fashion_mnist": (1 / 6, 1 / 6),
    "cifar10": (0.02, 0.1),
    "cifar100": (0.02, 0.1),
    "digits": (0.1, 0.1),
}
# Test accuracy in the papers, in percent. HFF does not publish its networks.
PUBLISHED = {
    "caw-resnet17-mnist": 99.74,
    "caw-resnet17-fashion_mnist": 94.55,
    "caw-resnet17-cifar10": 89.37,
    "caw-resnet17-cifar100": 63.52,
    "caw-resnet17-tiny_imagenet": 49.87,
    "deeperforward-tiny_cnn-mnist": 99.50,
    "deeperforward-tiny_cnn-fashion_mnist": 91.83,
    "deeperforward-tiny_cnn-cifar10": 79.49,
    "deeperforward-vgg14-mnist": 99.65,
    "deeperforward-vgg14-fashion_mnist": 92.44,
    "deeperforward-vgg14-cifar10": 81.76,
    "deeperforward-resnet17-mnist": 99.63,
    "deeperforward-resnet17-fashion_mnist": 93.13,
    "deeperforward-resnet17-cifar10": 86.22,
    "deeperforward-resnet17-cifar100": 53.09,
    "hff-mlp-cifar10": 61.93,
    "hff-vgg14-cifar10": 83.08,
    "hff-vgg14-cifar100": 54.34,
}


def recipes_of(method, family=None):
    """The recipes of a method, a dict by name.

    Args:
        method: as in `keras_ff.methods.get`, for instance
            `"path/to/file.py:NAME"`.
        family: string, the first part of the recipes' names; the method's
            name by default.

    Raises:
        ValueError: if the method makes no layers, or its name is that of
            another method's recipes.
    """
    found = keras_ff.methods.get(method)
    makes = found.makes
    if not any(map(makes, ARCHITECTURES.values())):
        raise ValueError(
            f"The method {found.name!r} makes no layers. Received: "
            f"{type(found).__name__} without `head`, `conv` and `dense`. Give "
            "it one of them (see keras_ff.methods.Method)."
        )
    if family is None:
        family = found.name
        if FAMILIES.get(family, family) != family or family in ARCHITECTURES:
            raise ValueError(
                f"{family!r} names recipes of another method. Received: "
                f"{type(found).__name__}.name={family!r}. Give it a `name` "
                "of its own."
            )
    return {
        f"{family}-{architecture}-{dataset}": _recipe(
            method, family, architecture, dataset
        )
        for architecture, kind in ARCHITECTURES.items()
        if makes(kind)
        for dataset in VALIDATION
    }


def _recipe(method, family, architecture, dataset):
    few = family == "caw" or architecture == "whitened_cnn"
    recipe = dict(
        method=method,
        paper=keras_ff.methods.get(method).paper,
        architecture=architecture,
        dataset=dataset,
        epochs=150,
        batch_size=128,
        augment=False,
        validation_split=VALIDATION[dataset][not few],
    )
    name = f"{family}-{architecture}-{dataset}"
    pair = f"{family}-{architecture}"
    for part in (family, architecture, pair, name):
        different = DIFFERENT.get(part, {})
        if not set(different) <= OPTIONS:
            raise ValueError(
                f"`DIFFERENT[{part!r}]` may hold {sorted(OPTIONS)}. Received: "
                f"{sorted(set(different) - OPTIONS)}"
            )
        recipe.update(different)
    return recipe


RECIPES = {}
for _family, _method in FAMILIES.items():
    RECIPES.update(recipes_of(_method, _family))
RECIPES["caw-resnet17-tiny_imagenet"] = dict(
    RECIPES["caw-resnet17-cifar10"],
    dataset="tiny_imagenet",
    width=2.0,
    augment=True,
    validation_split=0.1,
)
# Not published: as Tiny-ImageNet, with fewer epochs and narrow first layers.
for _family in ("caw", "hff"):
    RECIPES[f"{_family}-resnet17-imagenet2012"] = dict(
        RECIPES[f"{_family}-resnet17-cifar10"],
        dataset="imagenet2012",
        epochs=60,
        augment=True,
        validation_split=0.01,
    )
# The library's own: strictly local single convolutions, more of the same.
RECIPES["keras_ff-best-cifar10"] = dict(
    RECIPES["caw-resnet17-cifar10"],
    paper="the library's own recipe",
    epochs=400,
    augment=True,
    validation_split=0.1,
)
