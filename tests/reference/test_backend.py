"""The gradients that tests use, on functions with known derivatives."""

import keras
import numpy as np
from keras import ops
from reference.backend import gradients


def test_gradients_of_a_known_function():
    a = keras.Variable(np.array([1.0, -2.0, 3.0], "float32"))
    b = keras.Variable(np.array(4.0, "float32"))
    unused = keras.Variable(np.ones((2, 2), "float32"))
    found = gradients(
        lambda: ops.sum(ops.power(a, 3)) * ops.convert_to_tensor(b),
        [a, b, unused],
    )
    np.testing.assert_allclose(found[0], [12, 48, 108])
    np.testing.assert_allclose(found[1], 1 - 8 + 27)
    np.testing.assert_array_equal(found[2], np.zeros((2, 2)))


def test_gradients_stop_where_they_are_stopped():
    a = keras.Variable(np.array([1.0, 2.0], "float32"))
    found = gradients(lambda: ops.sum(ops.stop_gradient(a) ** 2), [a])
    np.testing.assert_array_equal(found[0], [0, 0])
    found = gradients(lambda: ops.sum(ops.stop_gradient(a) * a), [a])
    np.testing.assert_array_equal(found[0], [1, 2])


def test_gradients_see_the_losses_a_layer_adds():
    layer = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(3.0))
    x = np.ones((2, 2), "float32")
    layer.build((None, 2))
    layer.kernel.assign([[0.5], [-1.0]])

    def objective():
        return ops.sum(layer(x)) * 0 + sum(layer.losses)

    (found, _) = gradients(objective, layer.trainable_variables)
    np.testing.assert_allclose(found, [[3.0], [-6.0]])
