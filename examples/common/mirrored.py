"""Test-time averaging, which is told beside the plain accuracy."""

import keras
import numpy as np


def accuracy(model, batches):
    """Accuracy of the mean of the scores of an image and its mirror image.

    Args:
        model: a model of scores.
        batches: pairs of images `(batch, height, width, channels)` and
            integer labels.
    """
    right = total = 0
    for x, y in batches:
        x, y = (np.asarray(keras.ops.convert_to_numpy(part)) for part in (x, y))
        mirrored = np.ascontiguousarray(x[:, :, ::-1])
        scores = sum(
            keras.ops.convert_to_numpy(model.predict_on_batch(images))
            for images in (x, mirrored)
        )
        right += np.sum(np.argmax(scores, axis=-1) == y)
        total += len(y)
    return float(right / total)
