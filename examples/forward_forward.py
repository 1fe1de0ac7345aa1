"""The original Forward-Forward on real images.

    python examples/forward_forward.py --dataset mnist \\
        --width-multiplier 0.5 --epochs 30 --output runs/ff_mnist

The same command resumes an interrupted run. Width 1 is four layers of 2000
units, as published (Hinton, 2022, arXiv 2212.13345).
"""

import keras

import keras_ff
from examples.common import options
from examples.common.run import run

ARCHITECTURES = {"mlp": (2000, 2000, 2000, 2000)}
LOSSES = {
    "logistic": keras_ff.losses.ForwardForwardLoss,
    "symba": keras_ff.losses.SymBaLoss,
}


def main():
    flags = options.parser(__doc__.splitlines()[0], tuple(ARCHITECTURES))
    options.add_contribution(flags, "skip_first")
    add = flags.add_argument
    add("--loss", choices=sorted(LOSSES), default="logistic")
    add("--goodness", choices=("sum", "mean"), default="sum")
    add("--negatives", choices=("hard", "uniform"), default="hard")
    add("--inference", choices=("goodness", "readout"), default="goodness")
    add("--peer-normalization", type=float, default=0.03)
    add("--label-scale", type=float, default=3.0)
    add("--learning-rate", type=float, default=3e-3)
    flags = flags.parse_args()

    def build(info, train, epochs):
        model = keras_ff.models.ForwardForwardModel(
            [
                keras.Input(info.input_shape),
                *[
                    keras_ff.layers.FFDense(
                        round(units * flags.width_multiplier),
                        reduction=flags.goodness,
                        peer_normalization=flags.peer_normalization,
                    )
                    for units in ARCHITECTURES[flags.architecture]
                ],
            ],
            num_classes=info.num_classes,
            negatives=flags.negatives,
            inference=flags.inference,
            label_scale=flags.label_scale,
            contribution=options.contribution(flags),
            layer_metrics=True,
        )
        model.compile(
            optimizer=keras.optimizers.Adam(), loss=LOSSES[flags.loss]()
        )
        return model

    run(
        "Forward-Forward",
        flags,
        build,
        learning_rate=flags.learning_rate,
        final_learning_rate=flags.learning_rate / 100,
    )


if __name__ == "__main__":
    main()
