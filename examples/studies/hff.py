"""HFF: layer arguments, loss, and whether to adapt first."""

import keras
from keras import ops

import keras_ff

METHOD = keras_ff.methods.get("prototype")
LEARNING_RATES = METHOD.learning_rate
# What benchmarks/hff_search.py found.
EMBEDDING = 512


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


def variants():
    """Variants of HFF: layer arguments, loss, whether to adapt first."""
    margin = keras_ff.losses.SmoothMarginLoss
    separated = keras_ff.initializers.MaximallySeparated

    def variant(loss=None, adapt=False, **layer_arguments):
        return dict(
            loss=loss or METHOD.loss(),
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
        "margin 0": variant(margin(0.0, METHOD.loss().scale)),
        "proxy anchor": variant(ProxyAnchorLoss()),
        "start at class means": variant(adapt=True),
        "fixed, random": fixed("random_normal"),
        "fixed, orthogonal": fixed("orthogonal"),
        "fixed, separated": fixed(separated()),
        "plain projection": None,
    }


def build(change, info, flags, steps):
    # 500 at the default width.
    units = round(2500 * flags.width_multiplier)
    if change and "method" in change:
        method = change["method"]
        model = keras_ff.applications.mlp(
            info.input_shape, info.num_classes, method, units=(units, units)
        )
        model.compile(optimizer=method.optimizer(), loss=method.loss())
        return model

    def layer():
        if change is None:
            return keras_ff.layers.LocalBlock(
                [
                    keras.layers.Dense(
                        units, "relu", kernel_initializer="he_normal"
                    ),
                    keras.layers.Dropout(METHOD.dropout),
                ],
                keras_ff.layers.GoodnessProjection(info.num_classes),
                normalization="rms",
            )
        return keras_ff.layers.PrototypeDense(
            units,
            info.num_classes,
            dropout=METHOD.dropout,
            **{"embedding_size": EMBEDDING, **change["layer_arguments"]},
        )

    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input(info.input_shape),
            keras.layers.Flatten(),
            layer(),
            layer(),
        ]
    )
    loss = change["loss"] if change else keras_ff.losses.LocalCrossentropy()
    model.compile(optimizer=METHOD.optimizer(), loss=loss)
    return model


def prepare(change, model, train):
    if change and change.get("adapt"):
        images, labels = next(iter(train.take(16).unbatch().batch(2048)))
        keras_ff.models.adapt_prototypes(model, images.numpy(), labels.numpy())
