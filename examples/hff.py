"""HFF, hyperspherical prototypes, on real images at any width.

    python examples/hff.py --dataset fashion_mnist --architecture mlp \\
        --width-multiplier 0.5 --epochs 30 --output runs/hff_fashion

The same command resumes an interrupted run. The paper (Sarode et al., 2026,
arXiv 2605.00082) does not publish margin, scale, prototypes per class and the
size of the embedding; their defaults are what benchmarks/hff_search.py found.
"""

import keras_ff
from examples import recipes
from examples.common import data
from examples.common import options
from examples.common.run import run

ARCHITECTURES = ("mlp", "tiny_cnn", "vgg14", "resnet17")


def main():
    method = keras_ff.methods.get("prototype")
    loss = method.loss()
    first, last = method.learning_rate
    flags = options.parser(__doc__.splitlines()[0], ARCHITECTURES)
    options.add_contribution(flags, "uniform")
    add = flags.add_argument
    add("--margin", type=float, default=loss.margin, help="of the cosines")
    add("--scale", type=float, default=loss.scale, help="of the cosines")
    add("--prototypes-per-class", type=int, default=1)
    add("--beta", type=float, default=10.0, help="of several prototypes")
    add("--embedding-size", type=int, help="default: 128, 512 in an mlp")
    add("--dropout", type=float, default=method.dropout)
    add("--learning-rate", type=float, default=first)
    add("--adapt", action="store_true", help="start at the class means")
    flags = flags.parse_args()
    size = data.image_size(flags.architecture, flags.dataset)

    def build(info, train, epochs):
        height, width, channels = info.input_shape
        different = recipes.DIFFERENT.get(f"hff-{flags.architecture}", {})
        layer_options = dict(
            different.get("layer_options", {}),
            prototypes_per_class=flags.prototypes_per_class,
            beta=flags.beta,
        )
        if flags.embedding_size:
            layer_options["embedding_size"] = flags.embedding_size
        model = getattr(keras_ff.applications, flags.architecture)(
            (size or height, size or width, channels),
            info.num_classes,
            method=method,
            width_multiplier=flags.width_multiplier,
            dropout=flags.dropout,
            model_options=dict(
                contribution=options.contribution(flags), layer_metrics=True
            ),
            layer_options=layer_options,
        )
        model.compile(
            optimizer=method.optimizer(),
            loss=keras_ff.losses.SmoothMarginLoss(flags.margin, flags.scale),
        )
        return model

    def prepare(model, train):
        if flags.adapt:
            images, labels = next(iter(train.take(8).unbatch().batch(1024)))
            keras_ff.models.adapt_prototypes(
                model, images.numpy(), labels.numpy()
            )

    run(
        "HFF",
        flags,
        build,
        learning_rate=flags.learning_rate,
        final_learning_rate=flags.learning_rate * last / first,
        load=lambda flags: data.pipelines(flags, size),
        prepare=prepare,
    )


if __name__ == "__main__":
    main()
