"""Names of classes and layers, and labels."""

import keras
import numpy as np


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
    """Checked class numbers, one a sample."""
    labels = np.asarray(keras.ops.convert_to_numpy(labels))
    if labels.shape == (num_samples, 1):
        labels = labels[:, 0]
    if labels.shape != (num_samples,):
        raise ValueError(
            f"`labels` must be one class number a sample, {num_samples} in "
            f"all. Received: shape {labels.shape}"
        )
    wrong = labels[(labels < 0) | (labels >= num_classes) | (labels % 1 != 0)]
    if len(wrong):
        raise ValueError(
            f"`labels` must be whole numbers in [0, {num_classes}). "
            f"Received: {wrong[0]}"
        )
    return labels.astype(int)
