"""Fifty steps in LiteRT are fifty steps of `fit`, kind for kind.

Many local layers side by side in one model: each has a program of its own,
and one export is enough.
"""

import keras
import numpy as np
import pytest
from models.tiny_models import CLASSES
from models.tiny_models import numpy

import keras_ff
from keras_ff import layers
from keras_ff.device import LiteRTTrainer
from keras_ff.models import ForwardOnlyModel

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.only_on("tensorflow")
K = keras.layers
BATCH, STEPS = 4, 50
SHAPE = (6, 6, 4)
ACTIVATIONS = (
    "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_tanh "
    "leaky_relu linear log_sigmoid mish relu relu6 selu sigmoid silu "
    "soft_shrink softplus softsign sparse_plus squareplus tanh tanh_shrink"
).split()


@keras.saving.register_keras_serializable("device_tests")
class Activations(K.Layer):
    """A channel through each activation, those of several channels last."""

    def build(self, shape):
        self.negative = K.PReLU()
        self.negative.build((shape[0], 1))

    def call(self, inputs):
        parts = keras.ops.split(inputs, inputs.shape[-1], axis=-1)
        found = [
            getattr(keras.activations, name)(x)
            for name, x in zip(ACTIVATIONS, parts)
        ]
        found.append(self.negative(parts[0]))
        for name in ("softmax", "log_softmax", "glu"):
            found.append(getattr(keras.activations, name)(inputs[:, :4]))
        return keras.ops.concatenate(found, axis=-1)


@keras.saving.register_keras_serializable("device_tests")
class Attention(K.Layer):
    """A layer of one's own, whose part has no name."""

    def build(self, shape):
        self.attention = K.MultiHeadAttention(2, 3)
        self.attention.build(shape, shape)

    def call(self, inputs):
        return self.attention(inputs, inputs)


def head(**options):
    return layers.GoodnessProjection(CLASSES, **options)


def model():
    """Local layers side by side, all on the samples themselves."""
    inputs = keras.Input(SHAPE)
    convolutions = layers.LocalBlock(
        [
            K.Conv2D(6, 2, padding="same", groups=2, use_bias=False),
            K.BatchNormalization(),
            K.ReLU(),
            K.DepthwiseConv2D(2, dilation_rate=2, padding="same"),
            K.MaxPooling2D(3, 2, padding="same"),
            K.SeparableConv2D(5, 2, padding="same", use_bias=False),
            K.GroupNormalization(5),
            K.AveragePooling2D(2, 1, padding="same"),
            K.Conv2D(4, (1, 2), dilation_rate=2, padding="same"),
            K.UnitNormalization(),
        ],
        head(pooling="flatten"),
        normalization="instance",
    )
    sequences = layers.LocalBlock(
        [
            K.Reshape((12, 12)),
            K.Conv1D(6, 2, padding="causal"),
            K.LayerNormalization(),
            K.LeakyReLU(),
            K.MaxPooling1D(2),
            K.Conv1D(6, 2, groups=2, dilation_rate=2, padding="same"),
            K.AveragePooling1D(2, padding="same"),
            K.SeparableConv1D(6, 2, activation="tanh"),
            K.DepthwiseConv1D(2),
            K.RMSNormalization(),
        ],
        head(),
        normalization="group",
    )
    parts = layers.LocalBlock(
        [
            K.ZeroPadding2D(1),
            K.Conv2D(4, 2, 2),
            K.Cropping2D(((0, 1), (1, 0))),
            K.Permute((3, 1, 2)),
            K.Reshape((4, -1)),
            Attention(),
            K.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"),
            K.GlobalAveragePooling1D(),
            K.Dense(len(ACTIVATIONS)),
            Activations(),
        ],
        head(kernel_regularizer="l1"),
    )
    objectives = [
        keras_ff.objectives.SimilarityMatching(0.1),
        keras_ff.objectives.SupervisedContrast(0.5, units=4),
    ]
    constraints = layers.LocalBlock(
        [
            K.GlobalMaxPooling2D(),
            K.Dense(
                6,
                kernel_constraint=keras.constraints.MaxNorm(0.5),
                bias_constraint="non_neg",
                bias_regularizer="l2",
                activity_regularizer="l2",
            ),
            K.Dropout(0.0),
        ],
        layers.AuxiliaryHead(
            K.Dense(4), layers.HypersphericalPrototypes(CLASSES), 4.0
        ),
        objectives=objectives,
    )
    # Its temperature soon reaches a bound, beyond which it has no gradient.
    bounded = layers.CAWDense(
        6,
        CLASSES,
        temperature=0.12,
        temperature_range=(0.1, 1.0),
        assignment_initializer=keras.initializers.RandomNormal(0.5, 0.3),
        dropout=0.0,
    )
    made = [x(inputs) for x in (convolutions, sequences, parts, constraints)]
    made.append(bounded(K.Flatten()(inputs)))
    return ForwardOnlyModel(inputs, [goodness for _, goodness in made])


def samples(shape=SHAPE, seed=0):
    random = np.random.default_rng(seed)
    y = random.integers(0, CLASSES, BATCH * STEPS)
    x = random.normal(size=(BATCH * STEPS, *shape))
    x += y.reshape(-1, *[1] * len(shape))
    return x.astype("float32"), y


def check_learns_as_fit(model, path, x, y, **options):
    """Raises unless a device gets the weights that `fit` gets."""
    before = [numpy(v) for v in model.variables]
    keras_ff.export_training(model, path, batch_size=BATCH, **options)
    trainer = LiteRTTrainer(path)
    trainer.fit(x, y, shuffle=False)
    model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    trained = keras_ff.import_training(path)
    apart, still = {}, []
    for v, other, first in zip(model.variables, trained.variables, before):
        if "seed" in v.path or not v.shape and "readout" in v.path:
            continue
        value = numpy(v)
        apart[v.path] = np.abs(value - numpy(other)).max()
        if v.trainable and np.abs(value - first).max() < 2e-4:
            still.append(v.path)
    wrong = {path: value for path, value in apart.items() if value >= 1e-4}
    assert not wrong, wrong
    found = trainer.evaluate(x[: BATCH + 2], y[: BATCH + 2])
    expected = model.evaluate(
        x[: BATCH + 2], y[: BATCH + 2], batch_size=BATCH, verbose=0
    )
    np.testing.assert_allclose([*found.values()], expected, rtol=1e-3)
    return trained, still


def test_every_kind_of_layer(tmp_path):
    keras.utils.set_random_seed(3)
    made = model()
    made.compile(keras.optimizers.SGD(0.02, momentum=0.5), jit_compile=False)
    x, y = samples()
    _, still = check_learns_as_fit(made, tmp_path / "exported", x, y)
    # Softmax takes out what is the same for all keys.
    assert [path.rpartition("attention/")[2] for path in still] == ["key/bias"]


def regression(y):
    return np.stack([np.sin(y), y * 0.5], axis=1).astype("float32")


def several(y):
    return np.stack([y > 0, y < 2, y == 1], axis=1).astype("float32")


def rows(y):
    return keras.utils.to_categorical(y, CLASSES)


SCHEDULE = keras.optimizers.schedules.CosineDecay(
    0.001, STEPS + 5, warmup_target=0.01, warmup_steps=10
)


def decay():
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=1.0, clipnorm=0.2)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


TASKS = {
    "values": (
        decay,
        keras.losses.Huber(0.5),
        regression,
    ),
    "several": (
        lambda: keras.optimizers.RMSprop(0.005, momentum=0.5, centered=True),
        keras.losses.BinaryCrossentropy(from_logits=True),
        several,
    ),
    "one logit": (
        lambda: keras.optimizers.Lion(SCHEDULE),
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        lambda y: (y > 0).astype("float32"),
    ),
    "rows": (
        lambda: keras_ff.optimizers.Muon(0.01, adam_weight_decay=1.0),
        keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=0.1, reduction="sum"
        ),
        rows,
    ),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_kind_of_loss_and_optimizer(task, tmp_path):
    optimizer, loss, labels = TASKS[task]
    keras.utils.set_random_seed(3)
    x, y = samples((5,))
    y = labels(y)
    columns = y.shape[1] if y.ndim == 2 else 1
    made = ForwardOnlyModel(
        [
            keras.Input((5,)),
            layers.LocalBlock(
                K.Dense(6, activation="relu"),
                layers.GoodnessProjection(columns),
            ),
        ]
    )
    made.compile(optimizer(), loss, jit_compile=False)
    given = decay() if task == "values" else None
    trained, still = check_learns_as_fit(
        made, tmp_path / "exported", x, y, optimizer=given
    )
    assert not still
    assert type(trained.optimizer) is type(made.optimizer)
    for one, other in zip(
        trained.optimizer.variables, made.optimizer.variables
    ):
        np.testing.assert_allclose(numpy(one), numpy(other), atol=1e-4)
    if task == "one logit":
        # The schedule goes on where the device stopped.
        for model in (trained, made):
            model.train_on_batch(x[:BATCH], y[:BATCH])
        for one, other in zip(trained.variables, made.variables):
            if "seed" not in one.path:
                np.testing.assert_allclose(numpy(one), numpy(other), atol=1e-4)
