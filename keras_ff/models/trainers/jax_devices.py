import jax
import keras

from keras_ff import keras_private
from keras_ff.models.trainers.jax_data import OwnBatches
from keras_ff.models.trainers.jax_data import PlacedBatches
from keras_ff.models.trainers.jax_data import everywhere
from keras_ff.models.trainers.jax_data import placed
from keras_ff.models.trainers.jax_group import JaxGroup
from keras_ff.models.trainers.jax_weights import spans_processes
from keras_ff.models.trainers.jax_weights import whole_weights
from keras_ff.models.trainers.same import check_same
from keras_ff.models.trainers.same import described_fit
from keras_ff.models.trainers.same import described_model
from keras_ff.models.trainers.same import verbosity


class JaxDevices(keras_private.PlacedBuild):
    """Lets the devices of `keras.distribution` share every batch.

    They may be of several processes.
    """

    def fit(self, **options):
        if keras.distribution.distribution() is not None:
            options = self._placed_options(options)
        try:
            return super().fit(**options)
        except jax.errors.JaxRuntimeError as error:
            group = JaxGroup.joined()
            if group:
                error.add_note(
                    f"Process {group.index} of {group.size} may have lost "
                    "touch with another one, whose own error says why. End "
                    "all processes and start them again; a "
                    "keras_ff.callbacks.Backup goes on from its last whole "
                    "epoch."
                )
            raise

    def _placed_options(self, options):
        """The arguments of `fit`, with data that lie on the devices."""
        data = [options.pop(key) for key in ("x", "y", "sample_weight")]
        x = _placed_data(
            data,
            options.pop("batch_size"),
            options["steps_per_epoch"],
            options.pop("shuffle"),
            options.pop("class_weight"),
        )
        validation = options.pop("validation_data")
        batch_size = options.pop("validation_batch_size")
        if validation is not None:
            validation = _placed_data(
                keras.utils.unpack_x_y_sample_weight(validation),
                batch_size,
                options["validation_steps"],
            )
        group = JaxGroup.joined()
        if group:
            same = described_fit(self, options)
            same["data"] = x.described()
            same["validation data"] = validation and validation.described()
            # JAX itself compares variables, when it places them.
            check_same(group, {**described_model(self), **same})
        options["verbose"] = verbosity(group, options["verbose"])
        return {**options, "x": x, "validation_data": validation}

    def evaluate(
        self, x, y, batch_size, verbose, sample_weight, steps=None, **options
    ):
        distributed = keras.distribution.distribution() is not None
        if distributed and not keras_private.is_within_fit(options):
            x = _placed_data((x, y, sample_weight), batch_size, steps)
            y = sample_weight = batch_size = None
            group = JaxGroup.joined()
            if group:
                check_same(group, {"data": x.described(), "steps": steps})
            verbose = verbosity(group, verbose)
        return super().evaluate(
            x, y, batch_size, verbose, sample_weight, steps, **options
        )

    def predict(
        self, x, batch_size=None, verbose="auto", steps=None, **options
    ):
        if keras.distribution.distribution() is not None:
            _check_all_is_here("predict")
            x = PlacedBatches((x, None, None), batch_size, steps)
            batch_size = None
            verbose = verbosity(JaxGroup.joined(), verbose)
        return super().predict(x, batch_size, verbose, steps, **options)

    def predict_on_batch(self, x):
        if keras.distribution.distribution() is not None:
            _check_all_is_here("predict_on_batch")
            x = placed(x)
        return super().predict_on_batch(x)

    def save(self, *args, **kwargs):
        return self._written(super().save, args, kwargs)

    def save_weights(self, *args, **kwargs):
        return self._written(super().save_weights, args, kwargs)

    def _written(self, write, args, kwargs):
        """Writes a file in the first of the processes; all have to ask."""
        group = JaxGroup.joined()
        if group is None or not spans_processes(self):
            return write(*args, **kwargs)
        error = None
        with whole_weights(self):
            if group.index == 0:
                try:
                    write(*args, **kwargs)
                except Exception as found:
                    error = found
        said = group.gather(error and f"{type(error).__name__}: {error}")
        if error is not None:
            raise error
        if said[0]:
            raise OSError(f"Process 0 could not write. {said[0]}")

    def predict_step(self, state, data):
        outputs, others = super().predict_step(state, data)
        return everywhere(outputs), others


def _placed_data(data, *options):
    group = JaxGroup.joined()
    distribution = keras.distribution.distribution()
    if group and not distribution.auto_shard_dataset:
        return OwnBatches(group, data, *options)
    return PlacedBatches(data, *options)


def _check_all_is_here(name):
    """Raises if processes hold other samples, which one alone predicts."""
    distribution = keras.distribution.distribution()
    if JaxGroup.joined() and not distribution.auto_shard_dataset:
        raise ValueError(
            f"`{name}` gives all processes the predictions of all samples, so "
            "all must be given all samples. Received: a distribution with "
            "auto_shard_dataset=False, which says that every process has its "
            "own. Gather them, and set distribution.auto_shard_dataset = True."
        )
