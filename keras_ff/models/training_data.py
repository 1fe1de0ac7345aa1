"""What `fit` and `evaluate` are given, made ready for Keras."""

import keras
import numpy as np
from keras import ops
from keras import tree

from keras_ff.checks import check_fraction
from keras_ff.checks import check_integer
from keras_ff.checks import check_number
from keras_ff.datasets import ArrayBatches
from keras_ff.labels import check_sample_weight


def are_arrays(data):
    leaves = tree.flatten(data)
    return all(hasattr(a, "__array__") and hasattr(a, "shape") for a in leaves)


def as_array(values):
    """Tensors stay on their device; lists and pandas become NumPy."""
    if values is None or ops.is_tensor(values):
        return values
    return np.asarray(values)


def without_pandas(data):
    """Frames and series of pandas as arrays, all else as it is."""

    def converted(leaf):
        package = type(leaf).__module__.partition(".")[0]
        return np.asarray(leaf) if package == "pandas" else leaf

    return tree.map_structure(converted, data)


def check_data(model, x, y, sample_weight):
    """Labels and weights as arrays; raises if they do not fit a model.

    Args:
        model: a `LocalLossModel`.
        x, y, sample_weight: as in `keras.Model.fit`.

    Returns:
        `(y, sample_weight)`.
    """
    if y is None and not are_arrays(x):
        # A stream, which has labels of its own.
        return y, sample_weight
    y = without_pandas(y)
    check_one_target(y, x)
    model._task.check(y)
    y, sample_weight = as_array(y), as_array(sample_weight)
    check_sample_weight(sample_weight)
    if not are_arrays(x):
        raise TypeError(
            "`x` must be an array or a tensor, or several of them. What gives "
            "batches has labels of its own: leave `y` out. Received: x of "
            f"type {type(x).__name__}, y of type {type(y).__name__}"
        )
    check_samples(x)
    sizes = [
        len(a) for a in tree.flatten((x, y, sample_weight)) if a is not None
    ]
    if len(set(sizes)) > 1:
        raise ValueError(
            "`x`, `y` and `sample_weight` must hold the same number of "
            f"samples. Received: {sizes}"
        )
    return y, sample_weight


def check_batch(model, x, y, sample_weight):
    """As `check_data`, for one batch of arrays."""
    y = without_pandas(y)
    check_one_target(y, x)
    model._task.check(y)
    return check_data(model, x, y, sample_weight)


def check_one_target(y, x=None):
    """Raises if there are several targets.

    Args:
        y: targets as they are given.
        x: samples. Lists of arrays are rows of targets if they are as many.
    """
    several = isinstance(y, dict)
    if isinstance(y, (list, tuple)):
        parts = [part for part in y if getattr(part, "shape", ())]
        sizes = [len(a) for a in tree.flatten(x) if getattr(a, "shape", ())]
        several = bool(parts) and len(y) not in sizes[:1]
    if several:
        raise TypeError(
            "A model has one prediction and one target. Received: a "
            f"{type(y).__name__} of {len(y)} targets. Give one array; several "
            "targets need a model each."
        )


def check_samples(x):
    """Raises if arrays hold no samples, or something else than numbers."""
    if not are_arrays(x):
        return
    for array in tree.flatten(x):
        if not len(array.shape) or not array.shape[0]:
            raise ValueError(
                "`x` must hold samples. Received: an array of shape "
                f"{tuple(array.shape)}"
            )
        kind = getattr(array.dtype, "kind", "f")
        if kind in "Oc":
            raise TypeError(
                "`x` must be arrays of real numbers. Received: an array of "
                + (
                    "Python objects (dtype object). Are all samples of one "
                    "shape, and all columns numbers?"
                    if kind == "O"
                    else f"dtype {array.dtype}"
                )
            )


def check_sizes(**sizes):
    """Raises if a size of batches is neither `None` nor a positive integer."""
    for name, size in sizes.items():
        if size is not None:
            check_integer(name, size, minimum=1)


def _check_validation_data(model, data):
    """Validation data as `fit` takes them, with labels that were checked."""
    if not isinstance(data, (tuple, list)):
        return data
    if len(data) not in (2, 3):
        raise ValueError(
            "`validation_data` must be (x, y), (x, y, sample_weight) or a "
            f"dataset. Received: {len(data)} element(s)"
        )
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(data))
    x = without_pandas(x)
    y, sample_weight = check_data(model, x, y, sample_weight)
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def _class_weight(class_weight, task):
    """The weight of every class, checked; raises if one is none."""
    if class_weight is None:
        return None
    num_classes = task.num_classes
    if num_classes is None:
        raise ValueError(
            "`class_weight` needs one class a sample. Received: "
            f"class_weight={class_weight!r} and a loss of {task.kind}. Use "
            "`sample_weight`."
        )
    if not isinstance(class_weight, dict):
        raise TypeError(
            "`class_weight` must be a dict from class numbers to weights. "
            f"Received: class_weight={class_weight!r}"
        )
    unknown = set(class_weight) - set(range(num_classes))
    if unknown:
        raise ValueError(
            "`class_weight` must be a dict from class numbers in [0, "
            f"{num_classes}) to weights. Received: the keys {sorted(unknown)}"
        )
    for number, weight in class_weight.items():
        check_number(f"class_weight[{number}]", weight)
    # Of a tf.data.Dataset Keras wants them all.
    return {i: float(class_weight.get(i, 1.0)) for i in range(num_classes)}


def _weights_by_class(y, class_weight, task):
    """The weight of every sample."""
    weights = list(class_weight.values())
    classes = ops.convert_to_numpy(task.class_numbers(ops.convert_to_tensor(y)))
    return np.array(weights, "float32")[classes.astype(int)]


def _split(arrays, fraction):
    """Splits off the last samples for validation, as Keras does."""
    size = len(tree.flatten(arrays)[0])
    start = int(size * (1 - fraction))
    if not 0 < start < size:
        raise ValueError(
            f"{size} samples are too few for validation_split={fraction}"
        )
    return (
        tree.map_structure(lambda a: a[:start], arrays),
        tree.map_structure(lambda a: a[start:], arrays),
    )


def fit_data(
    model,
    x,
    y,
    sample_weight,
    class_weight,
    batch_size,
    steps_per_epoch,
    shuffle,
    validation_split,
    validation_data,
    validation_batch_size,
):
    """The data arguments of `fit`, checked and made ready for Keras.

    Shuffled arrays become `ArrayBatches`.

    Args:
        model: a `LocalLossModel`.
        **others: as in `keras.Model.fit`.

    Returns:
        Dict of the same arguments.
    """
    check_sizes(
        batch_size=batch_size,
        validation_batch_size=validation_batch_size,
        steps_per_epoch=steps_per_epoch,
    )
    check_fraction("validation_split", validation_split)
    class_weight = _class_weight(class_weight, model._task)
    x = without_pandas(x)
    y, sample_weight = check_data(model, x, y, sample_weight)
    validation_data = _check_validation_data(model, validation_data)
    validation_batch_size = validation_batch_size or batch_size
    if are_arrays((x, y)):
        arrays = (x, y) if sample_weight is None else (x, y, sample_weight)
        arrays = tree.map_structure(as_array, arrays)
        if validation_split and validation_data is None:
            arrays, validation_data = _split(arrays, validation_split)
            validation_split = 0.0
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "Give `sample_weight` or `class_weight`. Received: both"
                )
            weights = _weights_by_class(arrays[1], class_weight, model._task)
            arrays, class_weight = (*arrays, weights), None
        if shuffle and shuffle != "batch":
            if batch_size is None and steps_per_epoch:
                # As in Keras.
                batch_size = -(-len(arrays[1]) // steps_per_epoch)
            # A resumed model knows its seed only when training has begun.
            x = ArrayBatches(
                arrays,
                batch_size or 32,
                model._shuffle_seed,
                steps_per_epoch=steps_per_epoch,
            )
            y = sample_weight = batch_size = steps_per_epoch = None
        else:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(arrays)
    without = validation_data is None and not validation_split
    if without and model.contribution.source == "validation":
        raise ValueError(
            f"The contribution {type(model.contribution).__name__} is updated "
            "from validation data. Received: validation_data=None, "
            "validation_split=0. Give one of them, or use another "
            "contribution (LossAware(source='training'), Uniform())."
        )
    return dict(
        x=x,
        y=y,
        sample_weight=sample_weight,
        class_weight=class_weight,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        shuffle=shuffle if _may_be_shuffled(x, y) else False,
        validation_split=validation_split,
        validation_data=validation_data,
        validation_batch_size=validation_batch_size,
    )


def _may_be_shuffled(x, y):
    """Whether Keras can shuffle data, and their order is not their own."""
    if isinstance(x, ArrayBatches):
        return False
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches is not None
    return y is not None


def as_pipeline(data, class_weight):
    """`ArrayBatches` as what the backend reads fastest."""
    # Others may compute their batches; Keras weighs classes in Python.
    if (
        type(data) is not ArrayBatches
        or keras.backend.backend() != "tensorflow"
        or class_weight is not None
    ):
        return data
    return data.as_tf_dataset()
