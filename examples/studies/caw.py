"""CAW-Conv: one change at a time between it and DeeperForward."""

import keras_ff

METHOD = keras_ff.methods.get("caw")
LEARNING_RATES = METHOD.learning_rate


def variants():
    """Variants of CAW-Conv: what differs from the published recipe."""
    entropy = keras_ff.regularizers.AssignmentEntropy
    orthogonality = keras_ff.regularizers.AssignmentOrthogonality
    contributions = keras_ff.contributions
    one_class = keras_ff.initializers.OneClassAChannel

    def layer(**options):
        return {"layer_options": options}

    def model(**options):
        return {"model_options": options}

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
        "no label smoothing": {"loss": keras_ff.losses.LocalCrossentropy()},
        "no clipping": model(layer_clipnorm=None),
        "no dropout": {"dropout": 0.0},
        "uniform sum": model(contribution=contributions.Uniform()),
        "loss-aware, training": model(
            contribution=contributions.LossAware("training")
        ),
        "interval": model(contribution=contributions.Interval()),
        "DeeperForward": {"method": keras_ff.methods.get("cw")},
    }


def build(change, info, flags, steps):
    arguments = {"method": METHOD, **change}
    loss = arguments.pop("loss", None)
    model = getattr(keras_ff.applications, flags.architecture)(
        info.input_shape,
        info.num_classes,
        width_multiplier=flags.width_multiplier,
        **arguments,
    )
    method = arguments["method"]
    model.compile(optimizer=method.optimizer(), loss=loss or method.loss())
    return model


def prepare(change, model, train):
    pass
