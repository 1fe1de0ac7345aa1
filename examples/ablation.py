"""What carries a method's accuracy: one change at a time, several seeds.

    python examples/ablation.py hff --output runs/ablation_hff
    python examples/ablation.py caw --width-multiplier 0.2 --epochs 10 \\
        --output runs/ablation_caw
    python examples/ablation.py caw --architecture resnet17 --epochs 150 \\
        --width-multiplier 1 --dataset cifar10 --output runs/resnet17

Every variant is trained alone on the same data, split and seeds. A finished
run is kept; the same command goes on after an interruption. Writes
`ablation.json`, `ablation.png` and a table.
"""

import argparse
import statistics

import common
import keras
from keras import ops

import keras_ff


@keras.saving.register_keras_serializable(package="examples")
class ProxyAnchorLoss(keras.losses.Loss):
    """Proxy-Anchor (Kim et al., 2020), a loss of whole batches."""

    def __init__(self, alpha=32.0, delta=0.1, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.delta = delta

    def call(self, y_true, y_pred):
        k = y_pred.shape[-1]
        right = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), k)
        present = ops.cast(ops.sum(right, axis=0) > 0, "float32")

        def log_sum(mask, exponent):
            return ops.log1p(ops.sum(mask * ops.exp(exponent), axis=0))

        pull = log_sum(right, -self.alpha * (y_pred - self.delta))
        push = log_sum(1 - right, self.alpha * (y_pred + self.delta))
        loss = ops.sum(present * pull) / ops.sum(present) + ops.mean(push)
        # One number a sample, as Keras expects; their mean is the loss.
        return loss * ops.ones_like(y_pred[:, 0])


def caw_study():
    """Variants of CAW-Conv: what differs from the published recipe."""
    entropy = keras_ff.regularizers.AssignmentEntropy
    orthogonality = keras_ff.regularizers.AssignmentOrthogonality
    contributions = keras_ff.contributions
    one_class = keras_ff.initializers.OneClassAChannel

    def layer(**options):
        return {"layer_options": options}

    return {
        "CAW-Conv": {},
        "frozen groups": layer(
            assignment_initializer=one_class(),
            learnable_assignment=False,
            learnable_temperature=False,
        ),
        "frozen at random": layer(
            assignment_initializer=one_class(shuffle=True),
            learnable_assignment=False,
            learnable_temperature=False,
        ),
        "no regularizer": layer(assignment_regularizers=None),
        "entropy alone": layer(assignment_regularizers=entropy()),
        "orthogonality normalized": layer(
            assignment_regularizers=[
                entropy(),
                orthogonality(1e-2, scale="normalized"),
            ]
        ),
        "temperature 1, not 10": layer(temperature=1.0),
        "mean pooling": layer(pooling=(1.0, 0.0, 0.0)),
        "group normalization": layer(normalization="group"),
        "no label smoothing": {"label_smoothing": 0.0},
        "no clipping": {"layer_clipnorm": None},
        "no dropout": {"dropout": 0.0},
        "uniform sum": {"contribution": contributions.Uniform},
        "loss-aware, training": {
            "contribution": lambda: contributions.LossAware("training")
        },
        "interval": {"contribution": contributions.Interval},
        "DeeperForward": {
            "method": "cw",
            "dropout": 0.2,
            "label_smoothing": 0.0,
            "layer_clipnorm": None,
            "contribution": contributions.Interval,
        },
    }


def build_caw(variant, info, flags):
    options = {
        "method": "caw",
        "dropout": 0.1,
        "label_smoothing": 0.1,
        "layer_clipnorm": 1.0,
        "contribution": keras_ff.contributions.LossAware,
        "layer_options": {},
        **caw_study()[variant],
    }
    model = getattr(keras_ff.applications, flags.architecture)(
        info.input_shape,
        info.num_classes,
        method=options["method"],
        width_multiplier=flags.width_multiplier,
        dropout=options["dropout"],
        model_options=dict(
            contribution=options["contribution"](),
            layer_clipnorm=options["layer_clipnorm"],
        ),
        layer_options=options["layer_options"],
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(weight_decay=5e-4),
        loss=keras_ff.losses.LocalCrossentropy(options["label_smoothing"]),
    )
    return model


# Margin, scale and embedding size are what benchmarks/hff_search.py found.
MARGIN, SCALE, EMBEDDING = 0.25, 8.0, 512


def hff_study():
    """Variants of HFF: layer arguments, loss, whether to adapt first."""
    margin = keras_ff.losses.SmoothMarginLoss
    separated = keras_ff.initializers.MaximallySeparated

    def variant(loss=None, adapt=False, **layer_arguments):
        return dict(
            loss=loss or margin(MARGIN, SCALE),
            adapt=adapt,
            layer_arguments=layer_arguments,
        )

    def fixed(initializer):
        return variant(
            prototype_initializer=initializer, learnable_prototypes=False
        )

    return {
        "base": variant(),
        "2 prototypes": variant(prototypes_per_class=2),
        "4 prototypes": variant(prototypes_per_class=4),
        "no embedding": variant(embedding_size=None),
        "margin 0": variant(margin(0.0, SCALE)),
        "proxy anchor": variant(ProxyAnchorLoss()),
        "start at class means": variant(adapt=True),
        "fixed, random": fixed("random_normal"),
        "fixed, orthogonal": fixed("orthogonal"),
        "fixed, separated": fixed(separated()),
        "plain projection": None,
    }


def build_hff(variant, info, flags):
    options = hff_study()[variant]

    def layer():
        # 500 at the default width.
        units = round(2500 * flags.width_multiplier)
        if options is None:
            return keras_ff.layers.LocalBlock(
                [
                    keras.layers.Dense(
                        units, "relu", kernel_initializer="he_normal"
                    ),
                    keras.layers.Dropout(0.1),
                ],
                keras_ff.layers.GoodnessProjection(info.num_classes),
                normalization="rms",
            )
        return keras_ff.layers.PrototypeDense(
            units,
            info.num_classes,
            dropout=0.1,
            **{"embedding_size": EMBEDDING, **options["layer_arguments"]},
        )

    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input(info.input_shape),
            keras.layers.Flatten(),
            layer(),
            layer(),
        ]
    )
    loss = options["loss"] if options else keras_ff.losses.LocalCrossentropy()
    model.compile(
        optimizer=keras.optimizers.AdamW(weight_decay=1e-3), loss=loss
    )
    return model


def adapt_hff(variant, model, train):
    options = hff_study()[variant]
    if options and options["adapt"]:
        images, labels = next(iter(train.take(16).unbatch().batch(2048)))
        keras_ff.models.adapt_prototypes(model, images.numpy(), labels.numpy())


# Variants, how a variant is built and prepared, first and last learning rate.
STUDIES = {
    "caw": (caw_study, build_caw, None, (0.03, 0.003)),
    "hff": (hff_study, build_hff, adapt_hff, (1e-3, 1e-5)),
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("study", choices=STUDIES)
    add("--dataset", choices=common.DATASETS, default="fashion_mnist")
    add("--data-dir", help="folder of prepared TFDS data")
    add(
        "--architecture",
        choices=("tiny_cnn", "vgg14", "resnet17"),
        default="tiny_cnn",
        help="of the study of CAW-Conv",
    )
    add("--variants", nargs="+", help="default: all")
    add("--seeds", nargs="+", type=common.seed, default=[0, 1, 2])
    add("--epochs", type=common.positive_int, default=6)
    add("--width-multiplier", type=common.positive_float, default=0.2)
    add("--output", type=common.folder, required=True)
    flags = parser.parse_args()
    known = list(STUDIES[flags.study][0]())
    flags.variants = flags.variants or known
    unknown = sorted(set(flags.variants) - set(known))
    if unknown:
        parser.error(f"unknown variants {unknown}; there are {known}")
    return flags


def train(variant, seed, flags):
    """Accuracy of one variant with one seed."""
    _, build, prepare, rates = STUDIES[flags.study]
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    data, validation, test = keras_ff.datasets.load(
        flags.dataset, data_dir=flags.data_dir, seed=seed
    )
    model = build(variant, keras_ff.datasets.info(flags.dataset), flags)
    if prepare is not None:
        prepare(variant, model, data)
    history = model.fit(
        data,
        validation_data=validation,
        epochs=flags.epochs,
        verbose=0,
        callbacks=[
            keras.callbacks.LearningRateScheduler(
                common.cosine(*rates, flags.epochs)
            )
        ],
    ).history
    result = model.evaluate(test, verbose=0, return_dict=True)
    return {
        "test_accuracy": result["accuracy"],
        "val_accuracy": history["val_accuracy"],
    }


def main():
    flags = parse_arguments()
    flags.output.mkdir(parents=True, exist_ok=True)
    path = flags.output / "ablation.json"
    names = ["study", "dataset", "epochs", "width_multiplier"]
    if flags.study == "caw":
        names.append("architecture")
    settings = {name: getattr(flags, name) for name in names}
    settings["backend"] = keras.backend.backend()
    results = {
        "settings": settings,
        "hardware": common.hardware(),
        "runs": {},
    }
    if path.exists():
        results = common.read_json(path)
        saved = results.get("settings")
        if saved != settings:
            raise SystemExit(
                f"{path} holds runs of other settings: {saved}. "
                f"Given: {settings}. Give another --output."
            )
    for seed in flags.seeds:
        for variant in flags.variants:
            runs = results["runs"].setdefault(variant, {})
            if str(seed) not in runs:
                runs[str(seed)] = train(variant, seed, flags)
                common.write_json(path, results)
                accuracy = runs[str(seed)]["test_accuracy"]
                print(f"{variant}, seed {seed}: {accuracy:.2%}", flush=True)
    print(table(results))
    save_plot(results, flags.output / "ablation.png")


def accuracies(results, take):
    """By variant, a dict from seeds to percent."""
    return {
        variant: {seed: 100 * take(run) for seed, run in runs.items()}
        for variant, runs in results["runs"].items()
        if runs
    }


def table(results):
    """Mean and spread; differences are of runs with the same seed."""
    first = accuracies(results, lambda run: run["val_accuracy"][0])
    last = accuracies(results, lambda run: run["test_accuracy"])
    reference = next(iter(last))
    lines = [
        "Mean and standard deviation over seeds, in percent",
        f"{'variant':26}{'seeds':>5}{'test, last epoch':>20}"
        f"{'more than the first':>21}{'validation, epoch 1':>22}",
    ]
    for variant, values in last.items():
        more = [
            value - last[reference][seed]
            for seed, value in values.items()
            if variant != reference and seed in last[reference]
        ]
        lines.append(
            f"{variant:26}{len(values):5}"
            f"{_mean_and_spread([*values.values()]):>20}"
            f"{_mean_and_spread(more, '+'):>21}"
            f"{_mean_and_spread([*first[variant].values()]):>22}"
        )
    return "\n".join(lines)


def _mean_and_spread(values, sign=""):
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.2f}" if values[1:] else ""
    return f"{statistics.mean(values):{sign}.2f}{spread}"


def save_plot(results, path):
    """Test accuracy of every seed, and the mean, by variant."""
    import matplotlib.figure

    values = accuracies(results, lambda run: run["test_accuracy"])
    figure = matplotlib.figure.Figure(
        figsize=(8, 0.35 * len(values) + 1.4), layout="constrained"
    )
    axes = figure.subplots()
    for row, by_seed in enumerate(values.values()):
        points = [*by_seed.values()]
        axes.plot(points, [row] * len(points), "o", color="#0072B2", alpha=0.5)
        axes.plot(
            statistics.mean(points), row, "|", color="black", markersize=16
        )
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.set_xlabel(
        "test accuracy (%) after the last epoch: a point a seed, a bar the mean"
    )
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
