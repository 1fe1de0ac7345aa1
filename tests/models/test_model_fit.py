"""`compile`, `fit`, `evaluate` and `predict` as in any Keras model."""

import keras
import numpy as np
import pytest
from by_hand import BACKEND
from by_hand import ByHand
from by_hand import chain
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import accuracy
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import caw_dense
from tiny_models import crossentropy
from tiny_models import data
from tiny_models import dense_block
from tiny_models import dense_model
from tiny_models import layer_losses
from tiny_models import numpy
from tiny_models import restore
from tiny_models import rich_model
from tiny_models import state
from tiny_models import twin

from keras_ff.losses import LocalCrossentropy
from keras_ff.models import ForwardOnlyModel

pytestmark = pytest.mark.eager
compiled = pytest.mark.eager(False)

SIZE = 22  # Not a multiple of the batch size.
BATCH = 8


def sgd(rate=0.1, **kwargs):
    return keras.optimizers.SGD(rate, **kwargs)


def is_concrete(tensor):
    """Whether a tensor has values: it has none while Keras builds a model."""
    try:
        numpy(tensor)
    except Exception:
        return False
    return True


@compiled
def test_fit_learns_and_evaluate_and_predict_agree():
    model = dense_model()
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    (x, y), (x_val, y_val) = data(96), data(SIZE, seed=1)
    history = model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=5,
        validation_data=(x_val, y_val),
        verbose=0,
    ).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history["loss"][-1] < history["loss"][0] - 0.5

    goodness = model.goodness(x_val, batch_size=5)
    assert goodness.shape == (SIZE, 2, CLASSES)
    prediction = model.predict(x_val, batch_size=BATCH, verbose=0)
    assert prediction.dtype == "float32"
    assert_close([prediction], [goodness.sum(axis=1)])
    assert_close([model.predict_on_batch(x_val)], [prediction])
    assert_close([numpy(model(x_val))], [prediction])
    assert accuracy(prediction, y_val) > 0.8

    result = model.evaluate(x_val, y_val, batch_size=BATCH, verbose=0)
    expected = [
        layer_losses(goodness, y_val).sum(),
        accuracy(prediction, y_val),
    ]
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert history["val_loss"][-1] == pytest.approx(expected[0], rel=1e-5)
    assert history["val_accuracy"][-1] == pytest.approx(expected[1])
    model.reset_metrics()
    on_batch = model.test_on_batch(x_val, y_val, return_dict=True)
    assert on_batch["loss"] == pytest.approx(expected[0], rel=1e-5)
    assert on_batch["accuracy"] == pytest.approx(expected[1])


def test_logged_loss_is_the_mean_over_the_epochs_batches():
    model = dense_model()
    model.compile(optimizer=sgd(0.0))
    x, y = data(SIZE)
    history = model.fit(x, y, batch_size=BATCH, verbose=0).history
    goodness = model.goodness(x)
    assert history["loss"][0] == pytest.approx(
        layer_losses(goodness, y).sum(), rel=1e-5
    )
    assert history["accuracy"][0] == pytest.approx(
        accuracy(goodness.sum(axis=1), y)
    )


@compiled
def test_train_on_batch_is_what_fit_does():
    fitted = rich_model()
    fitted.compile(optimizer=sgd())
    stepped = twin(fitted)
    stepped.compile(optimizer=sgd())
    x, y = data(2 * BATCH)
    keras.utils.set_random_seed(1)
    fitted.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    keras.utils.set_random_seed(1)
    for start in (0, BATCH):
        rows = slice(start, start + BATCH)
        stepped.train_on_batch(x[rows], y[rows])
    for a, b in zip(fitted.variables, stepped.variables):
        if not a.path.endswith("epoch"):
            assert_close([numpy(a)], [numpy(b)])


def test_shuffle_takes_every_sample_once_in_a_new_order_each_epoch():
    seen = []

    class Recorder(keras.layers.Layer):
        def call(self, inputs):
            if is_concrete(inputs):
                seen.append(numpy(inputs)[:, 0])
            return inputs

        def compute_output_shape(self, input_shape):
            return input_shape

    model = ForwardOnlyModel(
        [keras.Input((FEATURES,)), Recorder(), dense_block("local_0")]
    )
    model.compile(optimizer=sgd(), run_eagerly=True)
    x, y = data(SIZE)
    x[:, 0] = np.arange(SIZE)

    def orders(**kwargs):
        epochs = []

        class Split(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                seen.clear()

            def on_epoch_end(self, epoch, logs=None):
                epochs.append(np.concatenate(seen))

        model.fit(
            x, y, batch_size=BATCH, verbose=0, callbacks=[Split()], **kwargs
        )
        return epochs

    first, second = orders(epochs=2)
    for order in (first, second):
        assert_same([np.sort(order)], [np.arange(SIZE)])
    assert not np.array_equal(first, np.arange(SIZE))
    assert not np.array_equal(first, second)
    assert_same(orders(shuffle=False), [np.arange(SIZE)])


def runs(model, *arguments):
    """The numbers after several trainings of one model from its start."""
    start = state(model)
    results = []
    for kwargs in arguments:
        restore(model, start)
        keras.utils.set_random_seed(1)
        history = model.fit(**kwargs, verbose=0).history
        results.append((state(model), history))
    return results


@pytest.mark.only_on("torch")
def test_validation_split_is_the_last_part_and_is_not_trained_on():
    x, y = data(20)
    model = dense_model()
    model.compile(optimizer=sgd())
    shared = dict(batch_size=BATCH, epochs=2)
    (split, logs), (given, expected_logs) = runs(
        model,
        dict(x=x, y=y, validation_split=0.25, **shared),
        dict(
            x=x[:15],
            y=y[:15],
            validation_data=(x[15:], y[15:]),
            **shared,
        ),
    )
    assert_same(split, given)
    assert set(logs) == set(expected_logs) and "val_loss" in logs
    for key in logs:
        np.testing.assert_allclose(logs[key], expected_logs[key], rtol=1e-6)


def test_sample_weight_against_hand_computation():
    model = dense_model()
    model.compile(optimizer=sgd())
    hand_model = twin(model)
    hand = ByHand(hand_model, chain("local_0", "local_1"))
    x, y = data(BATCH)
    weight = np.linspace(0, 2, BATCH, dtype="float32")
    goodness = model.goodness(x)
    logs = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
    _, gradients = hand.gradients(x, y, weight)
    for variable, gradient in zip(hand.variables, gradients):
        variable.assign(numpy(variable) - np.float32(0.1) * gradient)
    assert_close(state(model), state(hand_model))
    each = crossentropy(np.moveaxis(goodness, 1, 0), y)
    assert logs["loss"] == pytest.approx((each * weight).mean(1).sum(), 1e-5)


def test_samples_of_weight_zero_contribute_nothing():
    x, y = data(BATCH)
    weight = np.array([1, 0] * (BATCH // 2), "float32")
    x_other, y_other = x.copy(), y.copy()
    x_other[1::2] *= -3
    y_other[1::2] = (y_other[1::2] + 1) % CLASSES
    model = dense_model()
    model.compile(optimizer=sgd())
    shared = dict(batch_size=BATCH, epochs=3)
    one, other, unweighted = runs(
        model,
        dict(x=x, y=y, sample_weight=weight, **shared),
        dict(x=x_other, y=y_other, sample_weight=weight, **shared),
        dict(x=x_other, y=y_other, sample_weight=weight * 0 + 1, **shared),
    )
    assert_close(one[0], other[0])
    assert np.abs(one[0][0] - unweighted[0][0]).max() > 1e-3


@pytest.mark.only_on("torch")
def test_class_weight_is_the_matching_sample_weight():
    x, y = data(SIZE)
    class_weight = {0: 0.5, 1: 2.0, 2: 1.0}
    sample_weight = np.array([class_weight[label] for label in y], "float32")
    model = dense_model()
    model.compile(optimizer=sgd())
    shared = dict(x=x, y=y, batch_size=BATCH, epochs=2)
    by_class, by_sample, unweighted = runs(
        model,
        dict(class_weight=class_weight, **shared),
        dict(sample_weight=sample_weight, **shared),
        dict(sample_weight=sample_weight * 0 + 1, **shared),
    )
    assert_close(by_class[0], by_sample[0])
    assert np.abs(by_class[0][0] - unweighted[0][0]).max() > 1e-3


LABELS = {
    "integers": lambda y: y,
    "column": lambda y: y[:, None],
    "one_hot": lambda y: np.eye(CLASSES, dtype="float32")[y],
}


def results_with(labels, loss):
    """What a step and an evaluation give, from the same weights."""
    x, y = data(BATCH)
    keras.utils.set_random_seed(1)
    model = dense_model()
    model.compile(optimizer=sgd(), loss=loss)
    logs = model.test_on_batch(x, LABELS[labels](y))
    model.train_on_batch(x, LABELS[labels](y))
    return [*state(model)[:-1], *map(np.array, logs)]


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("first, then", [("one_hot", "column")])
@pytest.mark.parametrize(
    "turn", [1, pytest.param(-1, marks=pytest.mark.only_on("torch"))]
)
def test_accuracy_of_labels_in_the_other_form(first, then, turn):
    first, then = (first, then)[::turn]
    (x, y), (x_val, y_val) = data(48), data(SIZE, seed=1)
    model = dense_model()
    model.compile(
        keras.optimizers.Adam(0.02),
        weighted_metrics=[keras.metrics.TopKCategoricalAccuracy(1, name="top")]
        if turn == 1
        else ["accuracy"],
    )
    logs = model.fit(
        x,
        LABELS[first](y),
        batch_size=BATCH,
        epochs=2,
        validation_data=(x_val, LABELS[then](y_val)),
        verbose=0,
    ).history
    right = accuracy(model.predict(x_val, verbose=0), y_val)
    assert right > 0.4
    for name, value in logs.items():
        if name.startswith("val_") and name != "val_loss":
            assert value[-1] == pytest.approx(right), name
    found = model.evaluate(x_val, LABELS[then](y_val), verbose=0)
    assert found[1] == pytest.approx(right)


@pytest.mark.parametrize("rows", [True, False])
def test_metrics_get_labels_in_the_form_that_they_take(rows):
    x, y = data(SIZE)
    model = dense_model()
    right = accuracy(model.predict(x, verbose=0), y)
    of_rows = ["categorical_accuracy", keras.metrics.TopKCategoricalAccuracy(2)]
    sparse = [keras.metrics.SparseCategoricalAccuracy()]
    for labels in LABELS.values():
        model.compile(sgd(), metrics=of_rows if rows else sparse)
        # As many samples in a batch as classes: nothing fails by shape.
        _, *found = model.evaluate(x, labels(y), CLASSES, verbose=0)
        assert found[0] == pytest.approx(right)
    with pytest.raises(ValueError, match="class numbers, or one-hot rows.*Spa"):
        model.compile(sgd(), metrics=of_rows, weighted_metrics=sparse)


def test_integer_column_and_one_hot_labels_train_alike():
    integers, column, one_hot = [
        results_with(labels, LocalCrossentropy(0.1)) for labels in LABELS
    ]
    assert_close(column, integers)
    assert_close(one_hot, integers)


def test_one_model_is_told_both_kinds_of_labels_in_turn():
    x, y = data(BATCH)
    model = dense_model()
    model.compile(optimizer=sgd(), metrics=["accuracy"])
    found = [
        model.evaluate(x, labels, verbose=0)
        for labels in (y, np.eye(CLASSES, dtype="float32")[y], y)
    ]
    right = model.predict(x, verbose=0).argmax(axis=-1) == y
    for _, value in found:
        assert value == pytest.approx(right.mean())
    assert_close(found[1:], found[:1] * 2)


def test_the_two_crossentropies_of_keras_train_alike():
    integers = results_with(
        "integers",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    one_hot = results_with(
        "one_hot", keras.losses.CategoricalCrossentropy(from_logits=True)
    )
    assert_close(one_hot, integers)


def test_loss_is_applied_to_every_layer():
    x, y = data(BATCH)
    y = np.eye(CLASSES, dtype="float32")[y]
    model = dense_model()
    model.compile(optimizer=sgd(), loss=keras.losses.MeanSquaredError())
    goodness = model.goodness(x)
    logs = model.test_on_batch(x, y, return_dict=True)
    expected = ((goodness - y[:, None]) ** 2).mean(axis=(0, 2)).sum()
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


@compiled
@pytest.mark.skipif(
    BACKEND == "torch", reason="Keras's own limit: see the next test"
)
def test_steps_per_execution_changes_nothing():
    x, y = data(5 * 4)
    models = [rich_model()]
    models.append(twin(models[0]))
    for model, steps in zip(models, (1, 2)):
        model.compile(optimizer=sgd(), steps_per_execution=steps)
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    assert_close(state(models[1]), state(models[0]))
    logs = [m.evaluate(x, y, batch_size=4, verbose=0) for m in models]
    np.testing.assert_allclose(*logs, rtol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="the other backends can do it")
def test_steps_per_execution_on_torch_is_keras_own_error():
    x, y = data(BATCH)
    stock = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(3)])
    for model in (stock, dense_model()):
        model.compile(
            optimizer="sgd",
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            steps_per_execution=2,
        )
        with pytest.raises(ValueError, match="steps_per_execution"):
            model.fit(x, y, verbose=0)


@compiled
def test_gradient_accumulation_is_one_large_batch():
    x, y = data(BATCH)
    large = dense_model()
    small = twin(large)
    large.compile(optimizer=sgd(0.2))
    small.compile(optimizer=sgd(0.2, gradient_accumulation_steps=2))
    before = state(small)
    large.train_on_batch(x, y)
    small.train_on_batch(x[:4], y[:4])
    assert_same(state(small), before)
    small.train_on_batch(x[4:], y[4:])
    assert_close(state(small), state(large))


@compiled
def test_run_eagerly_changes_nothing():
    x, y = data(2 * BATCH)
    models = [
        ForwardOnlyModel(
            [
                keras.Input((FEATURES,)),
                dense_block("local_0", dropout=0.3, normalization="rms"),
                dense_block("local_1"),
            ]
        )
    ]
    models.append(twin(models[0]))
    results = []
    for model, eager in zip(models, (False, True)):
        keras.utils.set_random_seed(1)
        model.compile(optimizer=sgd(), run_eagerly=eager)
        history = model.fit(x, y, batch_size=BATCH, verbose=0).history
        logs = [*history["loss"], *history["accuracy"]]
        logs += model.evaluate(x, y, verbose=0)
        results.append([np.array(logs), model.predict(x, verbose=0)])
    assert_close(state(models[1]), state(models[0]))
    assert_close(results[1], results[0])


@compiled
@pytest.mark.only_on("tensorflow")
@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_a_step_is_traced_once(method):
    """Tracing takes seconds: a variable made meanwhile has it done twice."""
    traced = []

    class Traced(ForwardOnlyModel):
        def train_step(self, data):
            traced.append(data)
            return super().train_step(data)

    model = Traced([keras.Input((FEATURES,)), dense_block("local")])
    model.compile("adam", metrics=["accuracy"])
    options = {"verbose": 0} if method == "fit" else {}
    for _ in range(2):
        getattr(model, method)(*data(), **options)
    assert len(traced) == 1


@compiled
@pytest.mark.skipif(
    BACKEND != "tensorflow",
    reason="JAX compiles always, PyTorch's compiler is left to its users",
)
def test_jit_compile_changes_nothing():
    # Without dropout: XLA's random numbers are others. One size of batches:
    # it compiles each anew.
    x, y = data(3 * BATCH)
    models = [
        ForwardOnlyModel(
            [
                keras.Input((FEATURES,)),
                keras.layers.BatchNormalization(scale=False, center=False),
                caw_dense("local_0", dropout=0.0),
                dense_block("local_1", normalization="rms"),
            ],
            layer_clipnorm=0.5,
        )
    ]
    models.append(twin(models[0]))
    results = []
    for model, jit in zip(models, (False, True)):
        model.compile(optimizer=sgd(), jit_compile=jit)
        model.fit(x, y, batch_size=BATCH, validation_split=1 / 3, verbose=0)
        logs = model.evaluate(x, y, batch_size=BATCH, verbose=0)
        prediction = model.predict(x, batch_size=BATCH, verbose=0)
        results.append([np.array(logs), prediction])
    assert_close(state(models[1]), state(models[0]))
    assert_close(results[1], results[0])


@compiled
@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        pytest.param("mixed_bfloat16", marks=pytest.mark.only_on("torch")),
    ],
)
def test_mixed_precision_learns_with_float32_weights_and_goodness(policy):
    keras.config.set_dtype_policy(policy)
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            caw_dense("local_0", dropout=0.0, assignment_regularizers=None),
            dense_block("local_1", normalization="layer"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.05))
    wrapped = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert wrapped == (policy == "mixed_float16")
    x, y = data(48)
    history = model.fit(x, y, batch_size=BATCH, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 0.3
    for variable in model.trainable_variables:
        assert variable.dtype == "float32", variable.path
    features, goodness = model.local_layers[0](x)
    assert keras.backend.standardize_dtype(features.dtype) == policy[6:]
    assert keras.backend.standardize_dtype(goodness.dtype) == "float32"
    prediction = model.predict(x, verbose=0)
    assert prediction.dtype == "float32"
    assert_close([prediction], [model.goodness(x).sum(axis=1)], 1e-5, 1e-5)
    assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(
        layer_losses(model.goodness(x), y).sum(), rel=1e-3
    )


def test_multi_optimizer_layer_with_rate_zero_stays():
    model = dense_model()
    optimizers = keras.optimizers.OptimizerMap(sgd(0.1))
    optimizers[r"local_0/.*"] = sgd(0.0)
    model.compile(optimizer=keras.optimizers.MultiOptimizer(optimizers))
    before = {v.path: numpy(v) for v in model.trainable_variables}
    model.fit(*data(SIZE), batch_size=BATCH, epochs=2, verbose=0)
    for variable in model.trainable_variables:
        change = np.abs(numpy(variable) - before[variable.path]).max()
        if variable.path.startswith("local_0/"):
            assert change == 0, variable.path
        else:
            assert change > 1e-3, variable.path


@compiled
def test_metrics_argument():
    x, y = data(SIZE)
    model = dense_model()
    model.compile(
        optimizer=sgd(0.0),
        metrics=[
            keras.metrics.SparseTopKCategoricalAccuracy(2, name="top_2"),
            keras.metrics.SparseCategoricalCrossentropy(
                from_logits=True, name="crossentropy"
            ),
        ],
    )
    history = model.fit(x, y, batch_size=BATCH, verbose=0).history
    assert set(history) == {"loss", "top_2", "crossentropy"}
    prediction = model.goodness(x).sum(axis=1)
    best_two = np.argsort(prediction, axis=1)[:, -2:]
    expected = np.mean([label in two for label, two in zip(y, best_two)])
    assert history["top_2"][0] == pytest.approx(expected)
    assert history["crossentropy"][0] == pytest.approx(
        crossentropy(prediction, y).mean(), rel=1e-5
    )
    model.compile(optimizer=sgd(0.0), metrics=[])
    history = model.fit(x, y, batch_size=BATCH, verbose=0).history
    assert set(history) == {"loss"}


@pytest.mark.only_on("torch")
def test_weighted_metrics_argument():
    x, y = data(SIZE)
    weight = np.linspace(0, 1, SIZE, dtype="float32")
    model = dense_model()
    model.compile(optimizer=sgd(0.0), weighted_metrics=["accuracy"], metrics=[])
    history = model.fit(
        x, y, sample_weight=weight, batch_size=BATCH, verbose=0
    ).history
    hit = np.argmax(model.predict(x, verbose=0), axis=1) == y
    (name,) = set(history) - {"loss"}
    assert history[name][0] == pytest.approx(np.average(hit, weights=weight))


def as_tf_data(x, y):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)


def as_generator(x, y):
    for i in range(0, len(x), BATCH):
        yield x[i : i + BATCH], y[i : i + BATCH]


class AsPyDataset(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.batches = list(as_generator(x, y))

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def as_data_loader(x, y):
    torch = pytest.importorskip("torch")
    dataset = torch.utils.data.TensorDataset(
        torch.as_tensor(x), torch.as_tensor(y)
    )
    return torch.utils.data.DataLoader(dataset, batch_size=BATCH)


SOURCES = [as_tf_data, as_generator, AsPyDataset]
if BACKEND == "torch":
    SOURCES.append(as_data_loader)


def test_class_weight_of_some_classes_in_streams():
    x, y = data(SIZE)
    model = dense_model()
    model.compile(optimizer=sgd())
    shared = dict(class_weight={0: 3.0}, shuffle=False)
    arrays, *streams = runs(
        model,
        dict(x=x, y=y, batch_size=BATCH, **shared),
        # Keras takes none with generators.
        *(dict(x=f(x, y), **shared) for f in (as_tf_data, AsPyDataset)),
    )
    for stream in streams:
        assert_close(stream[0], arrays[0])


@compiled
def test_streamed_data_and_tensors_train_as_arrays():
    x, y = data(SIZE)
    model = dense_model()
    model.compile(optimizer=sgd())
    batch_size = dict(batch_size=BATCH)
    (expected, _), *streamed = runs(
        model,
        dict(x=x, y=y, shuffle=False, **batch_size),
        *[dict(x=source(x, y), shuffle=False) for source in SOURCES],
    )
    for actual, _ in streamed:
        assert_close(actual, expected)
    evaluated = model.evaluate(x, y, verbose=0, **batch_size)
    for source in SOURCES:
        np.testing.assert_allclose(
            model.evaluate(source(x, y), verbose=0), evaluated, rtol=1e-5
        )
    shared = dict(validation_split=0.2, **batch_size)
    arrays, tensors = runs(
        model,
        dict(x=x, y=y, **shared),
        dict(
            x=keras.ops.convert_to_tensor(x),
            y=keras.ops.convert_to_tensor(y),
            **shared,
        ),
    )
    assert_close(tensors[0], arrays[0])
    for key in arrays[1]:
        np.testing.assert_allclose(tensors[1][key], arrays[1][key], rtol=1e-5)


def orders_of_batches(model, stream, **options):
    """The batches that every epoch asked for, by their first label."""
    asked = []

    class Asked(AsPyDataset):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    epochs = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: asked.clear(),
        on_epoch_end=lambda *_: epochs.append(list(asked)),
    )
    model.fit(Asked(*stream), verbose=0, callbacks=[callback], **options)
    return epochs


@pytest.mark.only_on("torch")
def test_batches_of_a_dataset_of_ones_own_are_shuffled_as_keras_does():
    model = dense_model()
    model.compile(optimizer=sgd())
    stream = data(10 * BATCH)
    first, second = orders_of_batches(model, stream, epochs=2)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second != list(range(10))
    (order,) = orders_of_batches(model, stream, shuffle=False)
    assert order == list(range(10))


def test_steps_per_epoch_of_arrays_goes_through_the_samples_in_seeded_order():
    """Six epochs of two batches are two of six."""
    x, y = data(6 * BATCH)
    model = dense_model()
    model.compile(optimizer=sgd())
    shared = dict(x=x, y=y, batch_size=BATCH)
    (whole, _), (parts, _) = runs(
        model,
        dict(epochs=2, **shared),
        dict(epochs=6, steps_per_epoch=2, **shared),
    )
    trained = len(model.trainable_variables)
    assert_same(parts[:trained], whole[:trained])
    # Whoever starts at the fifth epoch sees the batches of the fifth.
    resumed = twin(model)
    model.epoch = resumed.epoch = 4
    for other in (model, resumed):
        other.compile(optimizer=sgd())
        other.fit(epochs=1, steps_per_epoch=2, verbose=0, **shared)
    assert_same(state(resumed), state(model))


@pytest.mark.only_on("torch")
def test_class_weights_of_no_class():
    model = dense_model()
    model.compile(optimizer=sgd())
    x, y = data(BATCH)
    with pytest.raises(ValueError, match=r"`class_weight` must.*keys \[7\]"):
        model.fit(x, y, class_weight={0: 2.0, 7: 1.0}, verbose=0)
    with pytest.raises(ValueError, match=r"class_weight\[1\]=-1.0"):
        model.fit(x, y, class_weight={0: 1.0, 1: -1.0}, verbose=0)
    with pytest.raises(ValueError, match=r"class_weight\[0\]=nan"):
        model.fit(x, y, class_weight={0: np.nan}, verbose=0)
    with pytest.raises(TypeError, match="class_weight='balanced'"):
        model.fit(x, y, class_weight="balanced", verbose=0)
    with pytest.raises(TypeError, match=r"class_weight\[2\]='1' of type str"):
        model.fit(x, y, class_weight={2: "1"}, verbose=0)
    # Of streams they are as good.
    with pytest.raises(ValueError, match=r"class_weight\[2\]=-inf"):
        model.fit(AsPyDataset(x, y), class_weight={2: -np.inf}, verbose=0)
    with pytest.raises(ValueError, match="Received: both"):
        model.fit(x, y, class_weight={0: 2.0}, sample_weight=y * 1.0, verbose=0)


@pytest.mark.only_on("torch")
def test_labels_and_weights_in_lists():
    x, y = data(SIZE)
    weight = np.linspace(0, 2, SIZE, dtype="float32")
    model = dense_model()
    model.compile(optimizer=sgd(), weighted_metrics=["accuracy"])
    arrays, lists = runs(
        model,
        dict(x=x, y=y, sample_weight=weight, validation_data=(x, y, weight)),
        dict(
            x=x,
            y=y.tolist(),
            sample_weight=weight.tolist(),
            validation_data=[x, y.tolist(), weight.tolist()],
        ),
    )
    assert_same(lists[0], arrays[0])
    assert lists[1] == arrays[1]
    np.testing.assert_allclose(
        model.evaluate(x, y.tolist(), 4, 0, weight.tolist()),
        model.evaluate(x, y, 4, 0, weight),
    )
    model.reset_metrics()
    expected = model.test_on_batch(x, y, weight)
    model.reset_metrics()
    found = model.test_on_batch(x, y.tolist(), weight.tolist())
    np.testing.assert_allclose(found, expected)


@pytest.mark.only_on("torch")
def test_second_compile_keeps_the_weights():
    model = dense_model()
    model.compile(optimizer=sgd())
    x, y = data(SIZE)
    model.fit(x, y, batch_size=BATCH, verbose=0)
    before = state(model)
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    assert_same(state(model), before)
    model.fit(x, y, batch_size=BATCH, verbose=0)
    assert int(model.optimizer.iterations) == 3


def test_compile_by_names():
    model = dense_model()
    model.compile("adam", metrics=["accuracy"])
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert isinstance(model.loss, LocalCrossentropy)
    model.fit(*data(BATCH), verbose=0)


@pytest.mark.only_on("torch")
def test_frames_of_pandas_are_the_arrays_that_they_hold():
    pandas = pytest.importorskip("pandas")
    x, y = data(SIZE)
    model = dense_model()
    expected = None
    for features, labels in (
        (x, y),
        (pandas.DataFrame(x), pandas.Series(y)),
        (pandas.DataFrame(x), pandas.get_dummies(y)),
    ):
        copy = twin(model)
        copy.compile(optimizer=sgd())
        copy.fit(
            features,
            labels,
            batch_size=BATCH,
            validation_data=(features, labels),
            verbose=0,
        )
        copy.train_on_batch(features, labels)
        found = [
            *state(copy),
            copy.evaluate(features, labels, verbose=0),
            copy.predict(features, verbose=0),
            copy.predict_on_batch(features),
            copy.goodness(features),
            copy.predict_early_exit(features, 0.5).predictions,
            copy.calibrate_early_exit(features, labels),
        ]
        expected = expected or found
        assert_close(found, expected)
