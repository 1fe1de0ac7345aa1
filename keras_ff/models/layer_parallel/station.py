import collections
import contextlib

import keras


class Station:
    """A stage at work.

    Args:
        device: the `StageDevice` that runs it.
        turns: list of what it does with a batch.
    """

    # How many batches a device is given before the first must be done.
    _ahead = 2

    def __init__(self, device, turns):
        self.turns = turns
        # Of the batches that are done, the first that was not sound.
        self.unsound = None
        self._device = device
        self._policy = keras.config.dtype_policy()
        self._under_way = collections.deque()
        self._at_work = contextlib.ExitStack()

    def __enter__(self):
        # Keras's settings are of a thread.
        keras.config.set_dtype_policy(self._policy)
        self._at_work.enter_context(self._device.at_work())

    def __exit__(self, kind, error, traceback):
        with self._at_work:
            while kind is None and self._under_way:
                self._wait()

    def __call__(self, item):
        item.move(self._device.put)
        for turn in self.turns:
            turn(item)
        marker = self._device.mark((item.sound, item.outputs))
        self._under_way.append((item.number, item.sound, marker))
        if len(self._under_way) > self._ahead:
            self._wait()
        return item

    def _wait(self):
        number, sound, marker = self._under_way.popleft()
        self._device.wait(marker)
        if self.unsound is None and not bool(sound):
            self.unsound = number
