"""A small graph whose shortcuts cross the borders of stages."""

import keras
import numpy as np
from models.tiny_models import CLASSES
from models.tiny_models import FEATURES
from models.tiny_models import caw_dense
from models.tiny_models import data
from models.tiny_models import dense_block

from keras_ff import contributions
from keras_ff import layers
from keras_ff.models import ForwardOnlyModel

NAMES = ("first", "second", "third", "fourth")


def graph_model(optimizer=None):
    """A residual sum, a concatenation, dropout, statistics, an assignment."""
    inputs = keras.Input((FEATURES,))
    x, goodness_1 = dense_block("first", kernel_regularizer="l2")(inputs)
    block = layers.LocalBlock(
        [
            keras.layers.Dense(6, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            # With a seed its state is the layer's, on PyTorch too.
            keras.layers.Dropout(0.3, seed=8),
        ],
        layers.GoodnessProjection(CLASSES),
        name="second",
    )
    y, goodness_2 = block(x)
    total = keras.layers.Add()([x, y])
    z, goodness_3 = caw_dense("third", dropout=0.0)(total)
    last = keras.layers.Concatenate()([x, z])
    _, goodness_4 = dense_block("fourth")(last)
    model = ForwardOnlyModel(
        inputs,
        [goodness_1, goodness_2, goodness_3, goodness_4],
        contribution=contributions.LossAware(),
        layer_clipnorm=1.0,
        layer_metrics=True,
    )
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.8)
    model.compile(optimizer or keras.optimizers.SGD(rate, momentum=0.9))
    return model


def trained(distribution=None, epochs=2, **options):
    """A model after `fit`, its logs, its evaluation and its predictions."""
    keras.utils.set_random_seed(3)
    model = graph_model()
    keras.distribution.set_distribution(distribution)
    try:
        # The last batch is a partial one.
        history = model.fit(
            *data(26),
            batch_size=8,
            epochs=epochs,
            validation_data=data(10, seed=1),
            verbose=0,
            **options,
        ).history
        results = model.evaluate(*data(10, seed=1), batch_size=8, verbose=0)
        predictions = model.predict(data(10)[0], batch_size=8, verbose=0)
    finally:
        keras.distribution.set_distribution(None)
    return model, history, results, predictions


def difference(one, other):
    """The largest differences of two such trainings, by what differs."""
    model, history, results, predictions = one
    of, of_history, of_results, of_predictions = other
    assert list(history) == list(of_history)
    return {
        "weights": _largest(model.variables, of.variables),
        "optimizer": _largest(
            model.optimizer.variables, of.optimizer.variables
        ),
        "logs": _largest(history.values(), of_history.values()),
        "results": _largest([results], [of_results]),
        "predictions": _largest([predictions], [of_predictions]),
    }


def _largest(some, others):
    arrays = [
        [np.asarray(keras.ops.convert_to_numpy(x), "float64") for x in part]
        for part in (some, others)
    ]
    return max(float(np.abs(a - b).max()) for a, b in zip(*arrays, strict=True))
