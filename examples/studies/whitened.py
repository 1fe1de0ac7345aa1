"""The whitened network: one change at a time, down to backpropagation.

The recipe is that of `examples/reproduce.py`, with prototypes; a width
multiplier of 1 is the network's own, half of the recipe's.
"""

from examples import reproduce
from examples.recipes import RECIPES
from keras_ff.initializers import OneClassAChannel
from keras_ff.methods.caw import CAW

FAMILY = "hff"
# Its optimizer has a schedule.
LEARNING_RATES = None


class FrozenCAW(CAW):
    """Every channel of every cell counts for one class, drawn at random."""

    name = "caw_frozen"

    def cell_assignment(self):
        return dict(
            assignment_initializer=OneClassAChannel(shuffle=True),
            learnable_assignment=False,
            learnable_temperature=False,
            assignment_regularizers=None,
        )


def variants():
    """Variants of the recipe: what differs from it."""

    def network(**options):
        return {"architecture_options": options}

    def adamw(rate):
        config = {"weight_decay": 0.0}
        return {
            "optimizer": {"class_name": "AdamW", "config": config},
            "learning_rate": (rate, 0.0),
        }

    return {
        "whitened network": {},
        "AdamW, rate 0.002": adamw(0.002),
        "AdamW, rate 0.005": adamw(0.005),
        "learned first layer": network(whitening=False),
        "grid 1": network(grid=1),
        "grid 4": network(grid=4),
        "no auxiliary convolution": network(auxiliary_channels=None),
        "auxiliary convolution 1x1": network(auxiliary_kernel_size=1),
        "auxiliary convolution on whole maps": network(auxiliary_size=None),
        "instance normalization": network(normalization="instance"),
        "no normalization": network(normalization=None),
        "2 convolutions a loss": network(convolutions_per_block=2),
        "3 convolutions a loss": network(convolutions_per_block=3),
        "all under one loss": network(convolutions_per_block=6),
        **{
            name.replace("_", " "): {"method": name}
            for name in ("caw", "contrast", "predsim", "deep_supervision")
        },
        "caw, frozen": {"method": FrozenCAW()},
    }


def recipe(change, flags):
    common = RECIPES[f"{FAMILY}-whitened_cnn-{flags.dataset}"]
    return reproduce.settings({**common, "width": 1.0, **change})


def load(change, flags, seed):
    return reproduce.load(
        reproduce.data_flags(
            recipe(change, flags), data_dir=flags.data_dir, seed=seed
        )
    )


def build(change, info, flags, steps):
    return reproduce.build(
        recipe(change, flags), info, flags.width_multiplier, steps
    )


def prepare(change, model, train):
    reproduce.prepare(model, train)
