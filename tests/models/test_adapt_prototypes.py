import keras
import numpy as np
import pytest
from tiny_models import data
from tiny_models import dense_model
from tiny_models import numpy

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import adapt_prototypes


def prototype_model():
    return ForwardOnlyModel(
        [
            keras.Input((5,)),
            layers.PrototypeDense(8, 3, name="local_0"),
            layers.PrototypeDense(8, 3, dropout=0.5, name="local_1"),
        ]
    )


@pytest.mark.parametrize(
    "one_hot",
    [False, pytest.param(True, marks=pytest.mark.only_on("torch"))],
)
def test_prototypes_are_the_class_means_of_every_layer(one_hot):
    x, y = data(20)
    model = prototype_model()
    adapt_prototypes(model, x, np.eye(3)[y] if one_hot else y)
    features = x
    for layer in model.local_layers:
        h = np.maximum(features @ numpy(layer.kernel) + numpy(layer.bias), 0.0)
        z = h / np.maximum(np.linalg.norm(h, axis=-1, keepdims=True), 1e-6)
        for k in range(3):
            mean = z[y == k].sum(axis=0)
            np.testing.assert_allclose(
                numpy(layer.prototypes)[k, 0],
                mean / np.linalg.norm(mean),
                atol=1e-5,
            )
        features = numpy(layer(features)[0])


def test_model_without_prototypes():
    with pytest.raises(ValueError, match="No local layer of the model has"):
        adapt_prototypes(dense_model(), *data(4))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x[:0], y[:0]), "must hold samples"),
        (lambda x, y: (x * np.nan, y), "`x` must be finite"),
    ],
)
def test_bad_data_changes_nothing(change, message):
    model = prototype_model()
    before = [numpy(v) for v in model.weights]
    with pytest.raises(ValueError, match=message):
        adapt_prototypes(model, *change(*data(6)))
    for variable, old in zip(model.weights, before):
        np.testing.assert_array_equal(numpy(variable), old)


def test_other_model():
    with pytest.raises(TypeError, match="must be a ForwardOnlyModel"):
        adapt_prototypes(keras.Sequential(), *data(4))


def test_bad_label():
    x, y = data(4)
    with pytest.raises(ValueError, match=r"whole numbers in \[0, 3\)"):
        adapt_prototypes(prototype_model(), x, y + 3)
