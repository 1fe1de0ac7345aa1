"""Reads whole data sets into memory."""

import pathlib
import zipfile
import zlib

import numpy as np

from keras_ff.datasets import catalog
from keras_ff.datasets import tiny_imagenet
from keras_ff.datasets.extras import import_extra
from keras_ff.datasets.extras import import_tensorflow
from keras_ff.labels import check_labels
from keras_ff.labels import is_rows


def read(name, data_dir=None, download=True):
    """Reads a data set as it is, in a fixed order.

    Args:
        name: Name of the data set.
        data_dir: Directory of the prepared data sets.
        download: Whether to download and prepare a missing data set.

    Returns:
        `(images, labels), (images, labels)`, for training and test, of NumPy
        arrays. Images have pixels from 0 (black) to 255, labels are int32.

    Raises:
        FileNotFoundError: If the data set is neither there nor obtainable.
        ValueError: If `<name>.npz` or the data set's files are damaged.
    """
    if name == "digits":
        return _read_digits()
    if data_dir is not None:
        path = pathlib.Path(data_dir) / f"{name}.npz"
        if path.exists():
            return _read_npz(path, catalog.info(name))
    return _read_tfds(name, data_dir, download)


def _read_npz(path, info):
    """Arrays as `keras.datasets` names them; needs no TensorFlow."""
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with open(path, "rb") as file, np.load(file) as content:
            arrays = [content[name] for name in names]
    # Cut, of flipped bits, or no archive at all.
    except (
        AttributeError,
        EOFError,
        KeyError,
        OSError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(
            f"{path} must hold the arrays {', '.join(names)}. It could not be "
            f"read: {error}. Write it anew with numpy.savez, or delete it to "
            "read the data set of TensorFlow Datasets."
        ) from error
    splits = []
    for images, labels in (arrays[:2], arrays[2:]):
        try:
            check_labels(labels, info.num_classes)
            if is_rows(labels):
                raise ValueError("The labels are rows, not class numbers")
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path} must hold labels from 0 to {info.num_classes - 1}. "
                f"{error}"
            ) from error
        if images.shape == (len(labels), *info.input_shape[:2]):
            images = images[..., None]
        if (
            images.shape != (len(labels), *info.input_shape)
            or images.dtype != "uint8"
            or not len(labels)
        ):
            raise ValueError(
                f"{path} must hold uint8 images of shape {info.input_shape} "
                f"and as many labels. Received: {images.dtype} images of "
                f"shape {images.shape[1:]}, {len(images)} images and "
                f"{len(labels)} labels"
            )
        splits.append((images, labels.reshape(-1).astype("int32")))
    return tuple(splits)


def _read_tfds(name, data_dir, download):
    tf = import_tensorflow()
    load = _load_tiny_imagenet if name == "tiny_imagenet" else load_tfds
    splits = load(
        name, data_dir, download, split=["train", "test"], as_supervised=True
    )

    def in_memory(split):
        # One batch larger than any of the data sets holds all of it.
        try:
            images, labels = split.batch(100_000).get_single_element()
        except tf.errors.OpError as error:
            place = data_dir or "the default directory of TensorFlow Datasets"
            raise ValueError(
                f'The files of the data set "{name}" in {place} are damaged '
                "or incomplete: delete its folder there, and `load()` "
                f"prepares it again. The cause was: {error}"
            ) from error
        return images.numpy(), labels.numpy().astype("int32")

    with tf.device("CPU"):
        return tuple(in_memory(split) for split in splits)


def load_tfds(name, data_dir, download, **kwargs):
    tfds = import_extra("tensorflow_datasets")
    try:
        return tfds.load(name, data_dir=data_dir, download=download, **kwargs)
    # Not prepared (AssertionError), no network, or a failed download.
    except (AssertionError, OSError, tfds.download.DownloadError) as error:
        place = data_dir or "the default directory of TensorFlow Datasets"
        raise FileNotFoundError(
            f'The data set "{name}" is not in {place}, and '
            + ("downloading it failed" if download else "download=False")
            + ". Prepare it on a machine with network access with "
            f'`tensorflow_datasets.load("{name}", data_dir=...)`, then pass '
            "that directory as `data_dir`, or let `load()` fetch it there "
            f"with `download=True`. The cause was: {error}"
        ) from error


def _load_tiny_imagenet(name, data_dir, download, **kwargs):
    return tiny_imagenet.prepare(data_dir).as_dataset(**kwargs)


def _read_digits():
    datasets = import_extra("sklearn.datasets")
    selection = import_extra("sklearn.model_selection")
    images, labels = datasets.load_digits(return_X_y=True)
    # Pixels come as 0 .. 16.
    images = (images * (255 / 16)).astype("float32").reshape(-1, 8, 8, 1)
    labels = labels.astype("int32")
    train, test = selection.train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0
    )
    return (images[train], labels[train]), (images[test], labels[test])
