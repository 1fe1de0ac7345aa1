"""How fast this machine and backend compute, without any training around."""

import statistics
import time

import keras
import numpy as np
from keras import ops

from benchmarks.measure.in_turn import in_turn
from benchmarks.stacks import product_flops
from benchmarks.stacks import random_batch

MATRIX_SIZE = 2048
PRODUCTS = ("output", "input_gradient", "kernel_gradient")


def measure(widths, batch_size, repeats, matrix_size=MATRIX_SIZE):
    """Achieved GFLOP/s of a matrix product and of a convolution's three."""
    return {
        "matrix_size": matrix_size,
        "matrix_product_gflops": matrix_product_gflops(
            matrix_size, "float32", repeats
        ),
        "convolutions": [
            _convolution(width, batch_size, repeats) for width in widths
        ],
    }


def matrix_product_gflops(size, dtype, repeats):
    """Achieved GFLOP/s of a product of square matrices."""
    matrix = ops.convert_to_tensor(
        np.random.default_rng(0).normal(size=(size,) * 2), dtype
    )
    (seconds,) = _times([lambda: ops.matmul(matrix, matrix)], repeats)
    return 2 * size**3 / seconds / 1e9


def ratio_limit(depth, seconds=None):
    """The local step over backpropagation, if products were all they did.

    Args:
        depth: int, the number of layers.
        seconds: dict from `PRODUCTS` to what each takes on a backend. `None`
            counts them as equal, which gives `2L / (3L - 1)`.
    """
    seconds = seconds or dict.fromkeys(PRODUCTS, 1)
    both = depth * (seconds["output"] + seconds["kernel_gradient"])
    return both / (both + (depth - 1) * seconds["input_gradient"])


def _convolution(width, batch_size, repeats):
    x, _ = random_batch(batch_size, width)
    kernel = np.random.default_rng(0).normal(size=(3, 3, width, width))
    products = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[
        keras.backend.backend()
    ](ops.convert_to_tensor(x), ops.convert_to_tensor(kernel, "float32"))
    seconds = dict(zip(PRODUCTS, _times(products, repeats)))
    gflops = product_flops(batch_size, width) / 1e9
    return {
        "width": width,
        "seconds": seconds,
        "gflops": {name: gflops / value for name, value in seconds.items()},
    }


def _times(functions, repeats):
    """Median seconds of functions that are called in turn."""

    def visit(function):
        start = time.perf_counter()
        _wait(function())
        return time.perf_counter() - start

    functions = dict(enumerate(functions))
    seconds = in_turn(visit, functions, repeats)
    return [statistics.median(values) for values in seconds.values()]


def _wait(result):
    """JAX, and PyTorch on a GPU, return before they have finished."""
    if hasattr(result, "block_until_ready"):
        result.block_until_ready()
    elif getattr(result, "is_cuda", False):
        import torch

        torch.cuda.synchronize()


def _tensorflow(x, kernel):
    import tensorflow as tf

    options = {"strides": [1, 1, 1, 1], "padding": "SAME"}
    return (
        lambda: tf.nn.conv2d(x, kernel, **options),
        lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=x.shape, filter=kernel, out_backprop=x, **options
        ),
        lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=kernel.shape, out_backprop=x, **options
        ),
    )


def _jax(x, kernel):
    import jax

    def output(x, kernel):
        return ops.conv(x, kernel, padding="same")

    @jax.jit
    def input_gradient(x, kernel):
        return jax.vjp(lambda x: output(x, kernel), x)[1](x)[0]

    @jax.jit
    def kernel_gradient(x, kernel):
        return jax.vjp(lambda kernel: output(x, kernel), kernel)[1](x)[0]

    compiled_output = jax.jit(output)
    return (
        lambda: compiled_output(x, kernel),
        lambda: input_gradient(x, kernel),
        lambda: kernel_gradient(x, kernel),
    )


def _torch(x, kernel):
    import torch

    # In the memory format in which Keras calls PyTorch.
    layout = {"memory_format": torch.channels_last}
    x = x.detach().permute(0, 3, 1, 2).contiguous(**layout)
    kernel = kernel.detach().permute(3, 2, 0, 1).contiguous(**layout)

    def gradient(mask):
        return torch.ops.aten.convolution_backward(
            x, x, kernel, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, mask
        )

    return (
        lambda: torch.conv2d(x, kernel, padding=1),
        lambda: gradient([True, False, False]),
        lambda: gradient([False, True, False]),
    )
