import functools

import keras
import numpy as np

from keras_ff.models.layer_parallel.balance import cut
from keras_ff.models.layer_parallel.balance import seconds
from keras_ff.models.layer_parallel.item import Item
from keras_ff.models.layer_parallel.pipeline import Pipeline
from keras_ff.models.layer_parallel.report import Report
from keras_ff.models.layer_parallel.station import Station
from keras_ff.models.layer_parallel.touched import optimizer_variables
from keras_ff.models.layer_parallel.turns import LearningTurn
from keras_ff.models.layer_parallel.turns import LoggingTurn
from keras_ff.models.layer_parallel.turns import PredictingTurn
from keras_ff.models.layer_parallel.turns import Turn
from keras_ff.models.layer_parallel.unit import Unit
from keras_ff.models.trainers import StageDevice
from keras_ff.models.trainers import list_devices


class Spread:
    """Runs the batches of a loop of Keras's through a model in stages.

    Args:
        model: a compiled `ForwardOnlyModel`.
        distribution: a `keras_ff.distribution.LayerParallel`.
        kind: `"train"`, `"test"` or `"predict"`.
        exits: tuple of the numbers of the local layers that are needed, in
            the order in which they run.
    """

    def __init__(self, model, distribution, kind, exits):
        self.distribution = distribution
        self.kind = kind
        # The variable of the learning rate, if it is no schedule; which batch
        # of the epoch comes next, and which one was not sound.
        self.number = 0
        self.unsound = None
        self.learning_rate = None
        if kind == "train":
            rate = model.optimizer.learning_rate
            if isinstance(rate, keras.Variable):
                self.learning_rate = rate
        self._model = model
        self._devices = _devices(distribution, len(exits), kind == "train")
        self._units = list(self._make_units(exits))
        report = Report(model, kind)
        last = report.combine if kind == "predict" else report.log
        self._report = report, self._compiled(last)
        self._functions = [
            self._compiled(self._step_of(unit)) for unit in self._units
        ]
        # What each unit took when it was measured.
        self.seconds = None
        self._stages = None
        self._stations = []
        self._pipeline = None
        self._error = None
        self._logs = {}

    @property
    def is_running(self):
        return self._pipeline is not None

    def put(self, data, values, learning_rate=None):
        """Hands in a batch.

        Args:
            data: the batch.
            values: function without arguments that gives a dict from the ids
                of the model's variables to values, to start with.
            learning_rate: see `Item`.

        Returns:
            The logs of the newest batch that is through; when predicting, a
            `Result`.
        """
        data = keras.utils.unpack_x_y_sample_weight(data)
        if self._pipeline is None:
            self._start(values(), data)
        if self._pipeline.error is not None:
            self.raise_error()
        item = Item(self.number, data, _TRUE, learning_rate)
        self.number += 1
        if self.kind != "predict":
            item.result.future.add_done_callback(self._take_logs)
        self._pipeline.put(item)
        if self.kind == "predict":
            return item.result
        if any(station.unsound is not None for station in self._stations):
            self._model.stop_training = True
        return dict(self._logs)

    def collect(self):
        """Waits for all batches under way, and ends.

        Returns:
            Dict from the ids of variables to their values.
        """
        self._pipeline.close()
        values = {}
        for station in self._stations:
            for turn in station.turns:
                ids = map(id, turn.unit.variables)
                values.update(zip(ids, turn.values))
        # It is the model's, where callbacks change it.
        values.pop(id(self.learning_rate), None)
        found = [station.unsound for station in self._stations]
        self.unsound = min((n for n in found if n is not None), default=None)
        self._error = self._pipeline.error
        self._pipeline, self._stations, self._logs = None, [], {}
        return values

    def raise_error(self):
        """Raises the error, if there was one, that ended the stages."""
        error = self._error
        if self._pipeline is not None:
            error = self._pipeline.error
        self._error = None
        if error is not None:
            raise error

    def _make_units(self, exits):
        model = self._model
        for i, part in enumerate(model._graph.stages(exits)):
            needed = []
            if self.kind == "train":
                trained = model.local_layers[part.exit].trainable_variables
                needed = trained and optimizer_variables(
                    model.optimizer, trained, self._devices[0].trace
                )
            yield Unit(model, part, i == 0, needed)

    def _step_of(self, unit):
        if self.kind == "train":
            return functools.partial(unit.learn, self._devices[0].keep)
        return getattr(unit, self.kind)

    def _compiled(self, function):
        if self._model.run_eagerly or not self._model.jit_compile:
            return function
        # Of JAX: `refusals` has no model that PyTorch would compile.
        return self._devices[0].compile(function)  # pyright: ignore[reportAttributeAccessIssue]

    def _start(self, values, data):
        model, device = self._model, self._devices[0]
        sound = _TRUE
        if self.kind == "train":
            variables = model._statistics.variables
            scope = [(v, values[id(v)]) for v in variables]
            with keras.StatelessScope(scope):
                sound = model._statistics.is_sound()
                sound = keras.ops.convert_to_numpy(sound)
        if self._stages is None:
            self._stages = self._balanced(values, data, sound)
        seen, stations = set(), []
        for device, stage in zip(self._devices, self._stages):
            turns = []
            for i in stage:
                variables = self._units[i].variables
                turns.append(
                    self._turn(
                        i,
                        device.place(
                            [values[id(v)] for v in variables],
                            [
                                v is self.learning_rate or id(v) in seen
                                for v in variables
                            ],
                        ),
                        device.put(sound),
                    )
                )
                seen.update(id(v) for v in variables)
            stations.append(Station(device, turns))
        report, function = self._report
        turn = PredictingTurn if self.kind == "predict" else LoggingTurn
        own = [values[id(v)] for v in report.variables]
        own = device.place(own, [False] * len(own))
        stations[-1].turns.append(turn(report, function, own))
        self.unsound, self._stations = None, stations
        self._pipeline = Pipeline(stations)

    def _turn(self, i, values, sound):
        unit, function = self._units[i], self._functions[i]
        if self.kind == "train":
            return LearningTurn(unit, function, values, sound)
        return Turn(unit, function, values)

    def _balanced(self, values, data, sound):
        """By stage, the numbers of its units; they take about as long."""
        device = self._devices[0]
        if len(self._devices) == 1:
            return [list(range(len(self._units)))]
        measured = []
        with device.on_trial():
            item = Item(0, data, _TRUE)
            item.move(device.put)
            for i, unit in enumerate(self._units):
                own = [values[id(v)] for v in unit.variables]
                own = device.place(own, [True] * len(own))
                turn = self._turn(i, own, device.put(sound))
                measured.append(seconds(turn, item, device))
                turn(item)
        self.seconds = measured
        return cut(measured, len(self._devices))

    def _take_logs(self, future):
        if future.exception() is None:
            self._logs = future.result()


_TRUE = np.asarray(True)


def _devices(distribution, size, training):
    """The device of every stage."""
    names = distribution.devices or list_devices()
    stages = distribution.stages
    if stages is None:
        stages = min(len(names), size)
    if stages > size:
        if training:
            raise ValueError(
                "LayerParallel cannot make more stages than there are local "
                f"layers. Received: stages={stages}, {size} local layer(s)"
            )
        stages = size
    if len(names) < stages:
        names = [names[i * len(names) // stages] for i in range(stages)]
    return [StageDevice(name, stages) for name in names[:stages]]
