"""Temperature decay and warm-up follow the epochs of plain `fit`."""

import keras
import numpy as np
import pytest
from keras import ops
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import crossentropy
from tiny_models import data
from tiny_models import dense_model
from tiny_models import numpy

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model
from keras_ff.regularizers import AssignmentOrthogonality

pytestmark = pytest.mark.eager

DECAY = 0.5
FACTOR = 3.0
WARMUP = 4


def scheduled_model():
    """One layer with a temperature decay and a regularizer's warm-up."""
    noise = keras.initializers.RandomNormal(0.5, 0.5, seed=5)
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            layers.CAWDense(
                6,
                CLASSES,
                dropout=0.0,
                temperature=2.0,
                temperature_decay=DECAY,
                assignment_initializer=noise,
                assignment_regularizers=[
                    AssignmentOrthogonality(
                        FACTOR, warmup_epochs=WARMUP, scale="normalized"
                    )
                ],
                name="layer",
            ),
        ]
    )
    # Nothing else changes from epoch to epoch.
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    return model


def losses_by_hand(model, epoch, x, y):
    """Cross-entropy and penalty of an epoch, from the formulas."""
    layer = model.get_layer("layer")
    temperature = np.clip(np.exp(numpy(layer.log_temperature)), 0.1, 100)
    logits = numpy(layer.assignment) / (temperature * DECAY**epoch)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    hidden = np.maximum(x @ numpy(layer.kernel), 0)
    columns = shares / np.linalg.norm(shares, axis=0)
    overlap = np.mean((columns.T @ columns - np.eye(CLASSES)) ** 2)
    penalty = FACTOR * min(1, epoch / WARMUP) * overlap
    return crossentropy(hidden @ shares, y).mean(), penalty


@pytest.mark.eager(False)
def test_temperature_and_warmup_follow_the_epochs():
    model = scheduled_model()
    x, y = data(20)
    history = model.fit(x, y, batch_size=8, epochs=6, verbose=0).history
    expected = [sum(losses_by_hand(model, e, x, y)) for e in range(6)]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    assert np.ptp(expected) > 0.1
    penalties = [losses_by_hand(model, e, x, y)[1] for e in range(6)]
    assert penalties[0] == 0 and penalties[1] > 0.01
    assert model.epoch == 6
    # Evaluation and prediction are those of the last epoch of training.
    assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(
        expected[-1], rel=1e-5
    )
    assert crossentropy(model.predict(x, verbose=0), y).mean() == pytest.approx(
        losses_by_hand(model, 5, x, y)[0], rel=1e-5
    )


def test_second_fit_and_loaded_model_go_on_counting(tmp_path):
    model = scheduled_model()
    x, y = data(20)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for trained in (model, loaded):
        assert trained.epoch == 2
        # What Keras calls epoch 0 of this `fit` is the third of the model.
        history = trained.fit(x, y, batch_size=8, epochs=2, verbose=0).history
        expected = [sum(losses_by_hand(model, e, x, y)) for e in (2, 3)]
        np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
        assert trained.epoch == 4


def test_epoch_can_be_set():
    model = scheduled_model()
    model.epoch = 3
    assert model.epoch == 3
    with pytest.raises(ValueError, match="`epoch` must be at least 0"):
        model.epoch = -3
    x, y = data(20)
    history = model.fit(x, y, batch_size=8, verbose=0).history
    assert history["loss"][0] == pytest.approx(
        sum(losses_by_hand(model, 3, x, y)), rel=1e-5
    )
    assert model.epoch == 4


def test_initial_epoch_changes_what_is_printed_only():
    model = scheduled_model()
    x, y = data(20)
    history = model.fit(
        x, y, batch_size=8, initial_epoch=7, epochs=8, verbose=0
    )
    assert history.epoch == [7]
    assert history.history["loss"][0] == pytest.approx(
        sum(losses_by_hand(model, 0, x, y)), rel=1e-5
    )
    assert model.epoch == 1


def test_epoch_state_reaches_layers_inside_a_local_block():
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            layers.LocalBlock(
                keras.layers.Dense(6, activation="relu"),
                layers.ChannelClassAssignment(CLASSES, temperature_decay=0.5),
                name="block",
            ),
        ]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    model.fit(*data(8), epochs=3, verbose=0)
    head = model.get_layer("block").head
    assert float(numpy(head.epoch)) == 2
    temperature = numpy(ops.convert_to_tensor(head.current_temperature()))
    assert temperature == pytest.approx(10.0 * 0.25, rel=1e-5)


def test_a_callback_list_used_again_counts_every_epoch_once():
    model = dense_model(1)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    callbacks = keras.callbacks.CallbackList(
        [keras.callbacks.History()], model=model, epochs=2
    )
    for count in (2, 4, 6):
        model.fit(*data(8), epochs=2, callbacks=callbacks, verbose=0)
        assert model.epoch == count
    # And is the user's own again.
    assert len(callbacks.callbacks) == 1


def test_data_is_told_the_epoch():
    class Data(keras.utils.PyDataset):
        told = []

        def set_epoch(self, epoch):
            self.told.append(epoch)

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return data(4, seed=index)

    model = dense_model(1)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    source = Data()
    model.fit(source, epochs=2, verbose=0)
    model.fit(source, epochs=1, verbose=0)
    assert source.told == [0, 1, 2]
