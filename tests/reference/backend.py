"""The only place where tests know a backend."""

import keras
import numpy as np

BACKEND = keras.backend.backend()


def gradients(fn, variables):
    """Gradients of a scalar by the backend's own automatic differentiation.

    Args:
        fn: function without arguments that gives a scalar tensor, computed
            from the current values of `variables`.
        variables: list of trainable Keras variables.

    Returns:
        List of NumPy arrays; zeros where `fn` does not depend on a variable.
    """
    if BACKEND == "tensorflow":
        found = _tensorflow_gradients(fn, variables)
    elif BACKEND == "jax":
        found = _jax_gradients(fn, variables)
    else:
        found = _torch_gradients(fn, variables)
    return [
        np.zeros(v.shape) if g is None else keras.ops.convert_to_numpy(g)
        for g, v in zip(found, variables)
    ]


def _tensorflow_gradients(fn, variables):
    import tensorflow as tf

    values = [v.value for v in variables]
    with tf.GradientTape() as tape:
        loss = fn()
    return tape.gradient(loss, values)


def _jax_gradients(fn, variables):
    import jax

    def stateless(values):
        mapping = list(zip(variables, values))
        with keras.StatelessScope(mapping, collect_losses=True):
            return fn()

    # Compiled as one program: much faster than operation by operation.
    return jax.jit(jax.grad(stateless))([v.value for v in variables])


def _torch_gradients(fn, variables):
    import torch

    loss = fn()
    if not loss.requires_grad:
        return [None for _ in variables]
    return torch.autograd.grad(
        loss, [v.value for v in variables], allow_unused=True
    )


def has_channels_first():
    """TensorFlow's convolutions on a CPU know channels-last only."""
    if BACKEND != "tensorflow":
        return True
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
