"""The gradients made for LiteRT are those of TensorFlow."""

import contextlib

import numpy as np
import pytest

pytestmark = pytest.mark.only_on("tensorflow")
tf = pytest.importorskip("tensorflow")

CASES = {
    "steps": lambda x, w: tf.nn.conv2d(x, w, 2, "SAME"),
    "valid": lambda x, w: tf.nn.conv2d(x, w, 3, "VALID"),
    "depthwise": lambda x, w: tf.nn.depthwise_conv2d(
        x, w, (1, 2, 2, 1), "SAME"
    ),
    "maximum": lambda x, w: tf.nn.max_pool(tf.nn.relu(x), 3, 2, "SAME"),
    "overlaps": lambda x, w: tf.nn.max_pool(x, 2, 1, "VALID"),
    "mean": lambda x, w: tf.nn.avg_pool(x, 3, 2, "SAME"),
    "slices": lambda x, w: tf.concat(
        [
            tf.reshape(part, (-1,))
            for part in (x[:, ::2, ..., 1:], x[:, -1:0:-2, None, :, 0], x[1])
        ],
        0,
    ),
    "activations": lambda x, w: tf.concat(
        [
            activation(2 * x)
            for activation in (
                *(tf.nn.leaky_relu, tf.nn.elu, tf.nn.softsign),
                *(tf.nn.relu, tf.nn.relu6, tf.nn.gelu),
            )
        ],
        0,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_gradient(case):
    from keras_ff.device.exporting.lowering import Noise
    from keras_ff.device.exporting.lowering import lowered

    random = np.random.default_rng(0)
    shapes = (2, 9, 10, 4), (2, 3, 4, 3)
    values = [random.normal(size=s).astype("float32") for s in shapes]

    def gradients(context):
        @tf.function(autograph=False)
        def traced(x, w):
            with context():
                y = CASES[case](x, w)
                weights = np.cos(np.arange(np.prod(y.shape))).reshape(y.shape)
                total = tf.reduce_sum(y * tf.constant(weights, y.dtype))
                return tf.gradients(
                    total,
                    [x, w],
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )

        return traced(*map(tf.constant, values))

    expected = gradients(contextlib.nullcontext)
    found = gradients(lambda: lowered(Noise()))
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
