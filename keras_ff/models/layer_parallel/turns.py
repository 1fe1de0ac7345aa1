"""What a stage does with a batch: one turn after another."""


class Turn:
    """A unit's turn.

    Args:
        unit: the `Unit`.
        function: the unit's function, made ready for its device.
        values: list of the values of the unit's variables.
    """

    def __init__(self, unit, function, values):
        self.unit = unit
        self.values = values
        self._function = function

    def __call__(self, item):
        given, outputs = self._run(self._taken(item), item)
        item.outputs.update(outputs)
        tensors = {**item.tensors, **given}
        item.tensors = {key: tensors[key] for key in self.unit.alive}
        if not self.unit.needs_samples_later:
            item.data = (None, *item.data[1:])

    def try_out(self, item, device):
        """Takes its turn, and waits for it; the batch stays as it is."""
        sound = item.sound
        device.wait(device.mark(self._run(self._taken(item), item)))
        item.sound = sound

    def _taken(self, item):
        return {
            key: item.tensors[key]
            for key in self.unit.takes
            if key in item.tensors
        }

    def _run(self, tensors, item):
        return self._function(self.values, tensors, item.data)


class LearningTurn(Turn):
    """A unit's turn in training, which changes its values.

    Args:
        unit, function, values: see `Turn`.
        sound: scalar, whether all batches so far were sound.
    """

    def __init__(self, unit, function, values, sound):
        super().__init__(unit, function, values)
        self._sound = sound

    def _run(self, tensors, item):
        self.values, given, outputs, sound = self._function(
            self.values,
            tensors,
            item.data,
            (item.sound, self._sound),
            item.learning_rate,
        )
        item.sound = self._sound = sound
        return given, outputs


class LastTurn:
    """The turn of what follows the last layer.

    Args:
        report: the `Report`.
        function: its function, made ready for its device.
        values: list of the values of its variables.
    """

    def __init__(self, report, function, values):
        self.unit = report
        self.values = values
        self._function = function


class LoggingTurn(LastTurn):
    """Updates the metrics; the logs come out."""

    def __call__(self, item):
        self.values, logs = self._function(self.values, item.data, item.outputs)
        item.give(logs)


class PredictingTurn(LastTurn):
    """The combined prediction comes out."""

    def __call__(self, item):
        item.give(self._function(self.values, item.outputs))
