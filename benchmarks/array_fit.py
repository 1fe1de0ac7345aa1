"""Time of `fit` on shuffled arrays, beside that of Keras's own `fit`.

Both train the same small model on the same arrays, so that what lies between
the arrays and the step counts.
"""

import time

import keras
import numpy as np

import keras_ff
from benchmarks.measure.in_turn import in_turn

NUM_CLASSES = 10
SHAPE = (28, 28, 1)
BATCH_SIZE = 32
# The second is what `ForwardOnlyModel.fit` stands before.
FITS = {
    "keras_ff": keras_ff.models.ForwardOnlyModel.fit,
    "keras": keras.Model.fit,
}


def measure(images, repeats):
    """Seconds of an epoch of both, and their ratio."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.random((images, *SHAPE), dtype="float32")
    y = rng.integers(0, NUM_CLASSES, images, dtype="int32")
    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras_ff.layers.LocalBlock(
                keras.layers.Dense(16, "relu"),
                keras_ff.layers.GoodnessProjection(NUM_CLASSES),
            ),
        ]
    )
    model.compile("sgd", metrics=["accuracy"])

    def visit(fit):
        start = time.perf_counter()
        fit(model, x, y, batch_size=BATCH_SIZE, shuffle=True, verbose=0)
        return time.perf_counter() - start

    seconds = in_turn(visit, FITS, repeats)
    ratios = np.divide(seconds["keras_ff"], seconds["keras"])
    return {
        "images": images,
        "batch_size": BATCH_SIZE,
        "seconds": {name: float(np.median(s)) for name, s in seconds.items()},
        "ratio": float(np.median(ratios)),
        "ratio_quartiles": np.quantile(ratios, (0.25, 0.75)).tolist(),
    }
