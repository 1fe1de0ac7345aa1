"""CAW-Conv: one change at a time between it and DeeperForward."""

import keras

import keras_ff

LEARNING_RATES = (0.03, 0.003)


def variants():
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


def build(variant, info, flags):
    options = {
        "method": "caw",
        "dropout": 0.1,
        "label_smoothing": 0.1,
        "layer_clipnorm": 1.0,
        "contribution": keras_ff.contributions.LossAware,
        "layer_options": {},
        **variants()[variant],
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


def prepare(variant, model, train):
    pass
