"""Names of classes and layers, and labels."""

import keras
import numpy as np

from keras_ff.labels import check_labels
from keras_ff.labels import class_numbers as labels_as_numbers


def class_names_or_numbers(class_names, num_classes):
    """Checked names of the classes, or their numbers if `None`."""
    if class_names is None:
        return [str(i) for i in range(num_classes)]
    names = [str(name) for name in class_names]
    if len(names) != num_classes:
        raise ValueError(
            f"`class_names` must be one a class, {num_classes} in all. "
            f"Received: {len(names)} names"
        )
    return names


def layer_names_or_numbers(names, num_layers):
    """Checked names of the layers; their numbers from 1 if `None`."""
    if names is None:
        return [f"layer {i + 1}" for i in range(num_layers)]
    names = [str(name) for name in names]
    if len(names) != num_layers:
        raise ValueError(
            f"`names` must be one a layer, {num_layers} in all. "
            f"Received: {len(names)} names"
        )
    return names


def class_numbers(labels, num_samples, num_classes):
    """Checked class numbers, one a sample, of labels in either form."""
    labels = np.asarray(keras.ops.convert_to_numpy(labels))
    check_labels(labels, num_classes)
    if len(labels) != num_samples:
        raise ValueError(
            f"`labels` must be one a sample, {num_samples} in all. Received: "
            f"labels of shape {labels.shape}"
        )
    numbers = labels_as_numbers(keras.ops.convert_to_tensor(labels))
    return keras.ops.convert_to_numpy(numbers).astype(int)
