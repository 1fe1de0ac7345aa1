from keras import ops


def unit_norm(x, epsilon=1e-6):
    """Vectors on the unit sphere; of norm below `epsilon`, inside it."""
    # The square is bounded, not the norm: its root has no gradient at 0.
    square = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.maximum(square, epsilon**2))


def without_dead(x):
    """Vectors of which those that are zero learn nothing.

    They have no direction to learn. The slope of `unit_norm` there, `1 /
    epsilon`, would overflow in float16.
    """
    dead = ops.all(ops.equal(x, 0), axis=-1, keepdims=True)
    return ops.where(dead, ops.stop_gradient(x), x)
