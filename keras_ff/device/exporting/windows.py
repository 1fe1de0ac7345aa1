"""Windows of a map, as slices: what LiteRT has instead of many gradients.

The gradients of convolutions and poolings are sums over the positions within
a window. `windows` gives what every position sees, one map each, and `placed`
puts maps back where their windows were, which is the gradient of that. Both
are made of padding, slicing and reshaping.
"""

import math

import tensorflow as tf


class Windows:
    """How windows lie over a map `(batch, height, width, channels)`.

    Args:
        shape: the shape of the map, all of it known.
        size, strides, dilations: pairs of ints.
        padding: `"SAME"` or `"VALID"`.

    Attributes:
        positions: list of the pairs (row, column) within a window.
        outer: pair of ints, how many windows there are along either axis.
    """

    def __init__(self, shape, size, strides, dilations, padding):
        self._shape = tuple(shape)
        self._strides = tuple(strides)
        self._dilations = tuple(dilations)
        reach = [(k - 1) * d + 1 for k, d in zip(size, dilations)]
        outer, self._before, self._total = [], [], []
        for length, window, step in zip(self._shape[1:3], reach, strides):
            if padding == "SAME":
                number = math.ceil(length / step)
                missing = max((number - 1) * step + window - length, 0)
            else:
                number, missing = (length - window) // step + 1, 0
            outer.append(number)
            self._before.append(missing // 2)
            self._total.append(
                max(length + missing, (number - 1) * step + window)
            )
        self.outer = tuple(outer)
        self.positions = [
            (i, j) for i in range(size[0]) for j in range(size[1])
        ]

    def padded(self, x, value=0.0):
        """The map with what lies around it."""
        after = [
            total - before - length
            for total, before, length in zip(
                self._total, self._before, self._shape[1:3]
            )
        ]
        around = [[0, 0], *map(list, zip(self._before, after)), [0, 0]]
        if not any(map(any, around)):
            return x
        return tf.pad(x, around, constant_values=value)

    def seen(self, padded, position):
        """What one position of all windows sees, of a padded map."""
        begin = [p * d for p, d in zip(position, self._dilations)]
        end = [
            b + (n - 1) * s + 1
            for b, n, s in zip(begin, self.outer, self._strides)
        ]
        rows, columns = (
            slice(b, e, s) for b, e, s in zip(begin, end, self._strides)
        )
        return padded[:, rows, columns]

    def placed(self, maps):
        """A map that is the sum of others, each put where a position saw.

        Args:
            maps: iterable of maps, one a position.
        """
        total = None
        for position, x in zip(self.positions, maps):
            channels = x.shape[-1]
            for axis in (1, 2):
                x = self._spread(x, axis, position[axis - 1])
            x = tf.reshape(x, (-1, *self._total, channels))
            total = x if total is None else total + x
        height, width = self._shape[1:3]
        top, left = self._before
        return total[:, top : top + height, left : left + width]

    def _spread(self, x, axis, position):
        """Puts rows, or columns, at their steps, zeros between them."""
        step = self._strides[axis - 1]
        number, total = self.outer[axis - 1], self._total[axis - 1]
        begin = position * self._dilations[axis - 1]
        shape = x.shape.as_list()
        leading = math.prod(shape[:axis])
        inner = math.prod(shape[axis + 1 :])
        x = tf.reshape(x, (leading * number, 1, inner))
        x = tf.pad(x, [[0, 0], [0, step - 1], [0, 0]])
        x = tf.reshape(x, (leading, number * step, inner))
        # The last one may have no room for the zeros after it.
        x = x[:, : total - begin]
        after = total - begin - x.shape[1]
        x = tf.pad(x, [[0, 0], [begin, after], [0, 0]])
        return tf.reshape(x, (*shape[:axis], total, *shape[axis + 1 :]))
