"""Rules that a researcher brings: no gradient, scores, targets of a layer."""

import keras
import numpy as np
import pytest
from keras import ops
from reference.backend import gradients
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import crossentropy
from tiny_models import data
from tiny_models import dense_block
from tiny_models import numpy

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel
from keras_ff.objectives import LocalObjective

RATE = 0.1


class Oja(keras.layers.Layer):
    """Learns by Oja's rule, without a gradient."""

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], 4), trainable=False, name="kernel"
        )

    def call(self, inputs, training=None):
        outputs = inputs @ self.kernel
        if training:
            found = ops.transpose(inputs) @ outputs
            decay = self.kernel * ops.sum(ops.square(outputs), axis=0)
            number = ops.cast(ops.shape(inputs)[0], inputs.dtype)
            self.kernel.assign_add(0.01 * (found - decay) / number)
        return outputs


def oja_by_hand(kernel, x):
    y = x @ kernel
    return kernel + 0.01 * (x.T @ y - kernel * (y**2).sum(0)) / len(x)


def oja_model():
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            layers.LocalBlock(Oja(), layers.GoodnessProjection(CLASSES)),
            dense_block("local_1"),
        ]
    )
    model.compile(keras.optimizers.SGD(RATE))
    return model


def test_update_without_gradient_happens_once_a_step():
    model, (x, y) = oja_model(), data(24)
    (oja,) = model.local_layers[0].layers
    expected = numpy(oja.kernel)
    model.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        for start in (0, 10, 20):
            expected = oja_by_hand(expected, x[start : start + 10])
    assert_close(numpy(oja.kernel), expected)

    before = numpy(oja.kernel)
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    model.goodness(x)
    assert_same([numpy(oja.kernel)], [before])

    # What a batch that is not trained on did is not kept.
    x[0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.train_on_batch(x, y)
    assert_same([numpy(oja.kernel)], [before])


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class Agreement(LocalObjective):
    """Scores of the goodness shall be the means of the features."""

    def sample_losses(self, projection, labels, present, goodness):
        mean = ops.mean(projection, axis=-1, keepdims=True)
        return ops.sum(labels * ops.square(goodness - mean), axis=-1)


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class CoarseClasses(LocalObjective):
    """The layer tells groups of classes apart."""

    def __init__(self, group_of_class, **kwargs):
        super().__init__(**kwargs)
        self.group_of_class = group_of_class
        self.projection = keras.layers.Dense(max(group_of_class) + 1)

    def sample_losses(self, projection, labels, present):
        groups = ops.one_hot(self.group_of_class, projection.shape[-1])
        return keras.losses.categorical_crossentropy(
            labels @ groups, projection, from_logits=True
        )

    def get_config(self):
        return {**super().get_config(), "group_of_class": self.group_of_class}


def by_hand(layer, objective, x, y):
    """Loss of a layer of one dense kernel with its objective, once more."""
    (dense,) = layer.layers
    features = ops.relu(x @ dense.kernel + dense.bias)
    goodness = layer.head(features)
    rows = ops.one_hot(y, CLASSES)
    loss = ops.mean(keras.losses.categorical_crossentropy(rows, goodness, True))
    if isinstance(objective, Agreement):
        mean = ops.mean(features, axis=-1)
        right = ops.sum(rows * goodness, axis=-1)
        other = ops.mean(ops.square(right - mean))
    else:
        scores = objective.projection(features)
        log_p = ops.log_softmax(scores)
        groups = ops.one_hot(np.array([0, 0, 1])[y], 2)
        other = -ops.mean(ops.sum(groups * log_p, axis=-1))
    return loss + objective.weight * other


@pytest.mark.only_on("torch")
@pytest.mark.parametrize(
    "objective", [lambda: Agreement(0.5), lambda: CoarseClasses([0, 0, 1])]
)
def test_scores_and_coarse_classes_in_an_objective(objective, tmp_path):
    objective = objective()
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            dense_block("local_0", objectives=[objective]),
        ]
    )
    model.compile(keras.optimizers.SGD(RATE))
    x, y = data(12)
    (layer,) = model.local_layers
    variables = layer.trainable_variables
    expected = gradients(
        lambda: by_hand(layer, objective, ops.convert_to_tensor(x), y),
        variables,
    )
    loss = float(numpy(by_hand(layer, objective, ops.convert_to_tensor(x), y)))
    plain = crossentropy(model.goodness(x)[:, 0], y).mean()
    assert abs(loss - plain) > 1e-3
    before = [numpy(v) for v in variables]
    logs = model.train_on_batch(x, y, return_dict=True)
    assert_close([logs["loss"]], [loss])
    for variable, old, gradient in zip(variables, before, expected):
        assert_close(old - numpy(variable), RATE * gradient, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    logs = [m.train_on_batch(x, y, return_dict=True) for m in (model, loaded)]
    assert logs[0] == logs[1]
