"""The input pipeline."""

import keras

from keras_ff.checks import check_bool
from keras_ff.checks import check_integer
from keras_ff.datasets import catalog
from keras_ff.datasets._preprocessing import standardize_image_size
from keras_ff.datasets.batches_in_memory import batches_in_memory
from keras_ff.datasets.extras import import_tensorflow
from keras_ff.datasets.splits import Splits
from keras_ff.datasets.splits import check_validation_split
from keras_ff.datasets.streamed_batches import streamed_batches
from keras_ff.type_aliases import Path


def load(
    name: str,
    batch_size: int = 128,
    data_dir: Path | None = None,
    augment: bool | None = None,
    validation_split: float = 0.1,
    seed: int = 0,
    image_size: int | tuple[int, int] | None = None,
    drop_remainder: bool = True,
    download: bool = True,
    raw: bool = False,
) -> Splits:
    """Loads a data set as batches of normalized images and integer labels.

    The batches are pairs of float32 images `(batch, height, width, channels)`,
    normalized with the data set's mean and standard deviation, and int32
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
            `"tiny_imagenet"`, `"imagenet2012"` and `"digits"`. The first four
            come from TensorFlow Datasets; so does `"imagenet2012"` once its
            original archives lie in `downloads/manual` of `data_dir`, and it
            is read from disk batch by batch, all others are read into memory;
            `"tiny_imagenet"` is prepared once from its original zip or folder
            in the same place. Of both ImageNets the official validation
            images are the test split;
            `"digits"` comes with scikit-learn and needs no network, a fixed,
            stratified fifth of it is the test split.
        batch_size: Number of images in a batch.
        data_dir: Directory of the prepared data sets. `None` stands for the
            default of TensorFlow Datasets.
        augment: `None` or `False` for none. `True` for the usual recipe: a
            random shift of each image (up to 4 pixels for CIFAR and
            Tiny-ImageNet, 2 for the MNISTs, 1 for digits; for ImageNet a
            random part of 8 to 100 % of the image) and, for CIFAR and the
            ImageNets, a random horizontal flip. Or
            a Keras preprocessing layer, or a list of them, which receives the
            training images with pixels from 0 to 255, before normalization.
            The random state of such layers is not reset by `set_epoch()`: where
            an exact resume matters, put them into the model, which saves it.
        validation_split: Fraction (float) or number (int) of training images
            to hold out for validation, chosen at random by `seed` (of
            `"imagenet2012"` always the first ones, in the random order of
            TensorFlow Datasets). The test images are never among them.
        seed: Non-negative integer.
        image_size: Size to resize the images to, bilinearly: `(height, width)`
            or an integer for both. `None` keeps them as they are, and makes
            those of ImageNet 224 pixels wide and high.
        drop_remainder: Whether to leave out the last training batch when it is
            not full, which spares compiling a step for it. The images left out
            differ from epoch to epoch.
        download: Whether to download the data set if it is not in `data_dir`.
        raw: Whether to leave the pixels from 0 to 255 as they are, instead of
            normalizing them. Defaults to `False`.

    Returns:
        A `Splits` tuple, `(train, validation, test)`.

    Raises:
        ValueError: If the name is unknown, a size or `seed` out of range, or
            the data set's files are damaged.
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
    mean, std = catalog.pixel_statistics(name)
    check_integer("batch_size", batch_size, minimum=1)
    check_integer("seed", seed, minimum=0)
    check_bool("drop_remainder", drop_remainder)
    check_bool("download", download)
    check_bool("raw", raw)
    check_validation_split(validation_split)
    image_size = standardize_image_size(image_size)
    layers = _standardize_augment(augment)

    tf = import_tensorflow()
    batches = (
        streamed_batches if name in catalog.STREAMED else batches_in_memory
    )
    with tf.device("CPU"):
        splits, epoch = batches(
            tf,
            name,
            batch_size=batch_size,
            data_dir=data_dir,
            augment=augment is True,
            validation_split=validation_split,
            seed=seed,
            image_size=image_size,
            drop_remainder=drop_remainder,
            download=download,
        )
        train, validation, test = splits
        for layer in layers:
            # Not in parallel, which would make a seeded layer irreproducible.
            train = train.map(
                lambda x, y, layer=layer: (layer(x, training=True), y)
            )

        def finish(dataset):
            if not raw:
                dataset = dataset.map(
                    lambda x, y: ((x - mean) / std, y), tf.data.AUTOTUNE
                )
            return dataset.prefetch(tf.data.AUTOTUNE)

        train = finish(train)
        train.set_epoch = _epoch_setter(epoch)
        return Splits(train, validation and finish(validation), finish(test))


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


def _epoch_setter(epoch):
    """The `set_epoch` of a pipeline whose passes count `epoch` up."""

    def set_epoch(value):
        """Says which epoch, from 0, the next pass over the dataset is."""
        check_integer("epoch", value, minimum=0)
        epoch.assign(value)

    return set_epoch
