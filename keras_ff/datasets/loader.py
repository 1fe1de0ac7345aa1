"""The input pipeline."""

import numbers
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_ff.datasets import augmentation
from keras_ff.datasets import catalog
from keras_ff.datasets import sources


class Splits(NamedTuple):
    """The three parts of a data set, each a `tf.data.Dataset` of batches.

    Attributes:
        train: Training batches, in a new order every epoch.
        validation: Images held out of training, or `None` for none.
        test: The test images.
    """

    train: Any
    validation: Any
    test: Any


def load(
    name,
    batch_size=128,
    data_dir=None,
    augment=None,
    validation_split=0.1,
    seed=0,
    image_size=None,
    drop_remainder=True,
    download=True,
):
    """Loads a data set as batches of normalised images and integer labels.

    The batches are pairs of float32 images `(batch, height, width, channels)`,
    normalised with the data set's mean and standard deviation, and int32
    labels `(batch,)`. `fit()`, `evaluate()` and `predict()` take them on every
    backend.

    The order of the training images and the `augment=True` augmentation depend
    on `seed` and the number of the epoch only, so that a run which is resumed
    sees what it would have seen. Each pass over `train` is the next epoch;
    `train.set_epoch(epoch)` says which one the next pass is. The models of
    `keras_ff` call it at the start of every epoch. It is a method of this very
    dataset, so one derived from it, e.g. with `train.map()`, has none.

    Args:
        name: One of `"mnist"`, `"fashion_mnist"`, `"cifar10"`, `"cifar100"`,
            `"tiny_imagenet"` and `"digits"`. The first four come from
            TensorFlow Datasets; `"tiny_imagenet"` is prepared once from its
            original zip or folder in `downloads/manual` of `data_dir`, and
            its official validation images are the test split;
            `"digits"` comes with scikit-learn and needs no network, a fixed,
            stratified fifth of it is the test split.
        batch_size: Number of images in a batch.
        data_dir: Directory of the prepared data sets. `None` stands for the
            default of TensorFlow Datasets.
        augment: `None` or `False` for none. `True` for the usual recipe: a
            random shift of each image (up to 4 pixels for CIFAR, 2 for the
            MNISTs, 1 for digits) and, for CIFAR, a random horizontal flip. Or
            a Keras preprocessing layer, or a list of them, which receives the
            training images with pixels from 0 to 255, before normalisation.
            The random state of such layers is not reset by `set_epoch()`: where
            an exact resume matters, put them into the model, which saves it.
        validation_split: Fraction (float) or number (int) of training images
            to hold out for validation, chosen at random by `seed`. The test
            images are never among them.
        seed: Non-negative integer.
        image_size: Size to resize the images to, bilinearly: `(height, width)`
            or an integer for both. `None` keeps them as they are.
        drop_remainder: Whether to leave out the last training batch when it is
            not full, which spares compiling a step for it. The images left out
            differ from epoch to epoch.
        download: Whether to download the data set if it is not in `data_dir`.

    Returns:
        A `Splits` tuple, `(train, validation, test)`.

    Raises:
        ValueError: If the name is unknown, or a size or `seed` out of range.
        TypeError: If `augment` or a number is of the wrong type.
        FileNotFoundError: If the data set is not in `data_dir` and was not or
            could not be downloaded.
        ImportError: If the extra `keras_ff[datasets]` is not installed.

    Example:

    ```python
    train, validation, test = keras_ff.datasets.load("cifar10", augment=True)
    model.fit(train, validation_data=validation, epochs=10)
    model.evaluate(test)
    ```

    Any other Keras model is told the epoch with a callback:

    ```python
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: train.set_epoch(epoch)
    )
    ```
    """
    details = catalog.info(name)
    _check_integer("batch_size", batch_size, minimum=1)
    _check_integer("seed", seed, minimum=0)
    _check_validation_split(validation_split)
    image_size = _standardize_image_size(image_size)
    layers = _standardize_augment(augment)

    tf = sources.import_tensorflow()
    train, test = sources.read(name, data_dir, download)
    num_images = len(train[1])
    num_validation = _num_validation(validation_split, num_images)
    num_train = num_images - num_validation
    if drop_remainder and num_train < batch_size:
        raise ValueError(
            f"No full batch: batch_size={batch_size} is more than the "
            f'{num_train} training images of "{name}". Lower `batch_size` or '
            "pass `drop_remainder=False`."
        )
    order = np.random.default_rng(seed).permutation(num_images)

    def fetch(data, augment):
        """Returns a function from image numbers to a batch."""
        images, labels = map(tf.convert_to_tensor, data)

        def fn(numbers, key=None):
            x, y = tf.gather(images, numbers), tf.gather(labels, numbers)
            if augment:
                x = augmentation.random_shift_flip(tf, name, x, key)
            x = tf.cast(x, "float32")
            if image_size:
                # Enlarging needs no antialiasing, and is fast without.
                shrinks = np.any(np.less(image_size, x.shape[1:3]))
                x = tf.image.resize(x, image_size, antialias=bool(shrinks))
            return x, y

        return fn

    def normalize(x, y):
        mean, std = np.array([details.mean, details.std], "float32") * 255
        return (x - mean) / std, y

    def finish(dataset):
        return dataset.map(normalize, tf.data.AUTOTUNE).prefetch(
            tf.data.AUTOTUNE
        )

    def in_order(data, indices):
        dataset = _batches(tf, indices, batch_size)
        return finish(dataset.map(fetch(data, False), tf.data.AUTOTUNE))

    with tf.device("CPU"):
        epochs, set_epoch = _epochs(
            tf, order[num_validation:], batch_size, drop_remainder, seed
        )
        dataset = epochs.map(fetch(train, augment is True), tf.data.AUTOTUNE)
        for layer in layers:
            # Not in parallel, which would make a seeded layer irreproducible.
            dataset = dataset.map(
                lambda x, y, layer=layer: (layer(x, training=True), y)
            )
        dataset = finish(dataset)
        dataset.set_epoch = set_epoch
        held_out = np.sort(order[:num_validation])
        return Splits(
            dataset,
            in_order(train, held_out) if num_validation else None,
            in_order(test, np.arange(len(test[1]))),
        )


def _batches(tf, indices, batch_size, drop_remainder=False):
    """Cuts `indices` into a dataset of batches."""
    size = indices.shape[0]
    full = drop_remainder or size % batch_size == 0
    steps = size // batch_size if full else -(-size // batch_size)
    indices = tf.convert_to_tensor(indices)

    def batch(step):
        start = step * batch_size
        return tf.ensure_shape(
            indices[start : start + batch_size], [batch_size if full else None]
        )

    return tf.data.Dataset.range(steps).map(batch)


def _epochs(tf, indices, batch_size, drop_remainder, seed):
    """Returns the shuffled batches of image numbers and their `set_epoch()`.

    With each batch comes a key for its random augmentation.
    """
    # The pipeline reads the epoch when a pass starts, not when it is built.
    epoch = tf.Variable(0, dtype="int64", trainable=False, name="epoch")
    indices = tf.convert_to_tensor(indices)

    def one_epoch(_):
        key = tf.stack([tf.constant(seed, "int64"), epoch.assign_add(1) - 1])
        order = tf.random.experimental.stateless_shuffle(
            indices, key, alg="philox"
        )
        batches = _batches(tf, order, batch_size, drop_remainder)
        return batches.enumerate().map(
            lambda step, batch: (
                batch,
                tf.random.experimental.stateless_fold_in(key, step),
            )
        )

    def set_epoch(value):
        """Says which epoch, from 0, the next pass over the dataset is."""
        _check_integer("epoch", value, minimum=0)
        epoch.assign(value)

    steps = len(_batches(tf, indices, batch_size, drop_remainder))
    known_length = tf.data.experimental.assert_cardinality(steps)
    dataset = tf.data.Dataset.range(1).flat_map(one_epoch).apply(known_length)
    return dataset, set_epoch


def _check_integer(name, value, minimum):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be an integer. Received: {name}={value!r} "
            f"of type {type(value).__name__}"
        )
    if value < minimum:
        raise ValueError(
            f"`{name}` must be at least {minimum}. Received: {name}={value}"
        )


def _check_validation_split(split):
    if isinstance(split, bool) or not isinstance(split, numbers.Real):
        raise TypeError(
            "`validation_split` must be a fraction (float) or a number of "
            f"images (int). Received: validation_split={split!r}"
        )
    fraction = not isinstance(split, numbers.Integral)
    if split < 0 or (fraction and not split < 1):
        raise ValueError(
            "`validation_split` must be a fraction in [0, 1) or a "
            "non-negative number of images. "
            f"Received: validation_split={split}"
        )


def _num_validation(split, num_images):
    if not isinstance(split, numbers.Integral):
        # Some, if any were asked for.
        split = max(round(split * num_images), int(split > 0))
    if split >= num_images:
        raise ValueError(
            "No image is left to train on: `validation_split` holds out "
            f"{split} of {num_images}."
        )
    return split


def _standardize_image_size(size):
    if size is None:
        return None
    size = (size, size) if isinstance(size, numbers.Integral) else size
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(
            "`image_size` must be an integer or `(height, width)`. "
            f"Received: image_size={size!r}"
        )
    for value in size:
        _check_integer("image_size", value, minimum=1)
    return tuple(size)


def _standardize_augment(augment):
    """Returns the layers to apply, none for the usual recipe."""
    if augment is None or isinstance(augment, bool):
        return []
    layers = augment if isinstance(augment, (list, tuple)) else [augment]
    for layer in layers:
        if not isinstance(layer, keras.Layer):
            raise TypeError(
                "`augment` must be `None`, a bool, a Keras layer or a list of "
                f"Keras layers. Received: augment={augment!r}"
            )
    return list(layers)
