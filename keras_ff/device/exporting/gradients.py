"""The gradients that LiteRT has no operation for, made of those it has.

TensorFlow's own end in operations such as `Conv2DBackpropFilter` and
`ReluGrad`, which no runtime on a device has. These here are for graphs that
are exported only: see `lowering`.
"""

import tensorflow as tf

from keras_ff.device.exporting.windows import Windows

_PREFIX = "KerasFF"
_MADE = {}


def _gradient_of(kind):
    """Registers a gradient of a kind of operation of TensorFlow."""

    def register(function):
        _MADE[kind] = f"{_PREFIX}{kind}"
        return tf.RegisterGradient(_MADE[kind])(function)

    return register


def gradients_made():
    """By the kind of an operation, the name of its gradient made here."""
    return dict(_MADE)


@_gradient_of("Conv2D")
def _conv2d(op, grad):
    x, kernel = op.inputs
    height, width, taken, _ = kernel.shape.as_list()
    windows = _windows(op, x.shape, (height, width))
    padded = windows.padded(x)
    rows = _rows(grad)
    of_kernel = [
        tf.matmul(_rows(windows.seen(padded, p)), rows, transpose_a=True)
        for p in windows.positions
    ]
    of_kernel = tf.reshape(tf.stack(of_kernel), kernel.shape)
    maps = (
        tf.reshape(
            tf.matmul(rows, kernel[i, j], transpose_b=True),
            (*grad.shape[:-1], taken),
        )
        for i, j in windows.positions
    )
    return windows.placed(maps), of_kernel


@_gradient_of("DepthwiseConv2dNative")
def _depthwise_conv2d(op, grad):
    x, kernel = op.inputs
    height, width, channels, multiplier = kernel.shape.as_list()
    windows = _windows(op, x.shape, (height, width))
    padded = windows.padded(x)
    grad = tf.reshape(grad, (-1, *windows.outer, channels, multiplier))
    # TensorFlow's hints know no ellipsis in a tuple.
    parts = [grad[..., m] for m in range(multiplier)]  # pyright: ignore[reportArgumentType]
    of_kernel = []
    for position in windows.positions:
        seen = windows.seen(padded, position)
        of_kernel.append(
            tf.stack([tf.reduce_sum(seen * g, (0, 1, 2)) for g in parts], -1)
        )
    of_kernel = tf.reshape(tf.stack(of_kernel), kernel.shape)
    maps = (
        tf.add_n([g * kernel[i, j, :, m] for m, g in enumerate(parts)])
        for i, j in windows.positions
    )
    return windows.placed(maps), of_kernel


@_gradient_of("MaxPool")
def _max_pool(op, grad):
    (x,), (y,) = op.inputs, op.outputs
    windows = _windows(op, x.shape, op.get_attr("ksize")[1:3])
    padded = windows.padded(x, value=x.dtype.min)
    free, maps = tf.ones_like(y), []
    for position in windows.positions:
        # The first of several largest, as in TensorFlow.
        largest = free * _as_number(windows.seen(padded, position) >= y, y)
        free = free - largest
        maps.append(grad * largest)
    return windows.placed(maps)


@_gradient_of("AvgPool")
def _average_pool(op, grad):
    (x,) = op.inputs
    windows = _windows(op, x.shape, op.get_attr("ksize")[1:3])
    with tf.init_scope():
        # What lies around the map is not counted.
        ones = windows.padded(tf.ones((1, *x.shape[1:3], 1), x.dtype))
        counts = tf.add_n([windows.seen(ones, p) for p in windows.positions])
        shares = (1.0 / counts).numpy()
    part = grad * shares
    return windows.placed(part for _ in windows.positions)


@_gradient_of("LeakyRelu")
def _leaky_relu(op, grad):
    (x,) = op.inputs
    alpha = op.get_attr("alpha")
    return grad * (alpha + (1.0 - alpha) * _as_number(x > 0, x))


@_gradient_of("Elu")
def _elu(op, grad):
    (y,) = op.outputs
    return grad * tf.minimum(y + 1.0, 1.0)


@_gradient_of("Softsign")
def _softsign(op, grad):
    (x,) = op.inputs
    return grad / tf.square(1.0 + tf.abs(x))


@_gradient_of("StridedSlice")
def _strided_slice(op, grad):
    x, *bounds = op.inputs
    begin, end, strides = (tf.get_static_value(b) for b in bounds)
    masks = {
        name: op.get_attr(f"{name}_mask")
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    shape = x.shape.as_list()
    spans = _spans(shape, begin, end, strides, masks)
    grad = tf.reshape(grad, [len(range(*span)) for span in spans])
    for axis, (first, last, step) in enumerate(spans):
        grad = _put_along(grad, axis, range(first, last, step), shape[axis])
    return grad, None, None, None


def _spans(shape, begin, end, strides, masks):
    """By axis, what a slice takes of it, as the arguments of `range`."""
    spans = []
    ellipsis = [bool(masks["ellipsis"] >> i & 1) for i in range(len(begin))]
    new = [bool(masks["new_axis"] >> i & 1) for i in range(len(begin))]
    for i in range(len(begin)):
        if ellipsis[i]:
            later = sum(not n for n in new[i + 1 :])
            while len(spans) < len(shape) - later:
                spans.append((0, shape[len(spans)], 1))
        elif not new[i]:
            length, step = shape[len(spans)], int(strides[i])
            first = None if masks["begin"] >> i & 1 else int(begin[i])
            last = None if masks["end"] >> i & 1 else int(end[i])
            if masks["shrink_axis"] >> i & 1:
                first = int(begin[i]) % length
                last, step = first + 1, 1
            spans.append(slice(first, last, step).indices(length))
    while len(spans) < len(shape):
        spans.append((0, shape[len(spans)], 1))
    return spans


def _put_along(x, axis, places, length):
    """Puts what lies along an axis at some places, zeros elsewhere."""
    if places.step < 0:
        x, places = tf.reverse(x, [axis]), places[::-1]
    if len(places) == length:
        return x
    shape = x.shape.as_list()
    number, step = len(places), places.step
    outer, inner = 1, 1
    for size in shape[:axis]:
        outer *= size
    for size in shape[axis + 1 :]:
        inner *= size
    x = tf.reshape(x, (outer * number, 1, inner))
    x = tf.pad(x, [[0, 0], [0, step - 1], [0, 0]])
    x = tf.reshape(x, (outer, number * step, inner))
    # The last one may have no room for the zeros after it.
    x = x[:, : min(number * step, length - places.start)]
    after = length - places.start - x.shape[1]
    x = tf.pad(x, [[0, 0], [places.start, after], [0, 0]])
    return tf.reshape(x, (*shape[:axis], length, *shape[axis + 1 :]))


def _windows(op, shape, size):
    """The `Windows` of a convolution or a pooling."""
    if op.get_attr("data_format") != b"NHWC":
        raise NotImplementedError(
            f"{op.type} with channels first has no gradient on a device"
        )
    padding = op.get_attr("padding").decode()
    if padding not in ("SAME", "VALID"):
        raise NotImplementedError(
            f"{op.type} with padding {padding} has no gradient on a device"
        )
    names = [a for a in op.node_def.attr]
    dilations = op.get_attr("dilations") if "dilations" in names else [1] * 4
    return Windows(
        shape.as_list(),
        size,
        op.get_attr("strides")[1:3],
        dilations[1:3],
        padding,
    )


def _rows(x):
    return tf.reshape(x, (-1, x.shape[-1]))


def _as_number(condition, like):
    return tf.cast(condition, like.dtype)
