import concurrent.futures

from keras import ops


class Item:
    """A batch on its way through the stages.

    Args:
        number: int, which batch of the epoch it is.
        data: tuple of samples, labels and weights.
        sound: scalar, whether it may be learned from, so far.
        learning_rate: scalar, or `None` for the one of the optimizer's state.

    Attributes:
        tensors: dict from keys to pairs of a tensor and its mask: what layers
            still ahead take.
        outputs: dict from the numbers of layers to what they gave.
        result: a `Result` of what comes out.
    """

    def __init__(self, number, data, sound, learning_rate=None):
        self.number = number
        self.data = data
        self.sound = sound
        self.learning_rate = learning_rate
        self.tensors = {}
        self.outputs = {}
        self.result = Result()

    def move(self, put):
        """Puts it on another device."""
        parts = (
            self.data,
            self.sound,
            self.learning_rate,
            self.tensors,
            self.outputs,
        )
        (
            self.data,
            self.sound,
            self.learning_rate,
            self.tensors,
            self.outputs,
        ) = put(parts)

    def give(self, result):
        """Hands out what was made of it."""
        self.result.future.set_result(result)

    def drop(self, error):
        """Leaves it; whoever waits for its result gets the error."""
        if not self.result.future.done():
            self.result.future.set_exception(error)


class Result:
    """An array that is known once its batch is through."""

    def __init__(self):
        self.future = concurrent.futures.Future()

    def __array__(self, dtype=None, copy=None):
        array = ops.convert_to_numpy(self.future.result())
        return array if dtype is None else array.astype(dtype)
