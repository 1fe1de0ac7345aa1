"""CAW-Conv on real images, with the published recipe at any width.

    python examples/caw_conv.py --dataset fashion_mnist \\
        --architecture tiny_cnn --width-multiplier 0.2 --output runs/fashion

`--devices 2` shares every batch between two devices or processes; with PyTorch
`torchrun` in the place of `python` does, too. The same command resumes an
interrupted run. Width 1, 150 epochs and batch 128 are the published setting
(Ghader et al., 2026, arXiv 2606.09928).
"""

import keras_ff
from examples import recipes
from examples.common import data
from examples.common import options
from examples.common import processes
from examples.common.run import run

ARCHITECTURES = ("tiny_cnn", "vgg14", "resnet17")


def main():
    processes.start()
    flags = options.parser(__doc__.splitlines()[0], ARCHITECTURES)
    options.add_contribution(flags, "loss_aware")
    processes.add_flag(flags)
    flags = flags.parse_args()
    processes.share(flags.devices)
    method = keras_ff.methods.get("caw")
    learning_rate, final_learning_rate = recipes.DIFFERENT.get(
        f"caw-{flags.architecture}", {}
    ).get("learning_rate", method.learning_rate)
    size = data.image_size(flags.architecture, flags.dataset)

    def build(info, train, epochs):
        height, width, channels = info.input_shape
        model = getattr(keras_ff.applications, flags.architecture)(
            (size or height, size or width, channels),
            info.num_classes,
            method=method,
            width_multiplier=flags.width_multiplier,
            model_options=dict(
                contribution=options.contribution(flags),
                layer_metrics=True,
            ),
        )
        model.compile(optimizer=method.optimizer(), loss=method.loss())
        return model

    run(
        "CAW-Conv",
        flags,
        build,
        learning_rate,
        final_learning_rate,
        load=lambda flags: data.pipelines(flags, size),
    )


if __name__ == "__main__":
    main()
