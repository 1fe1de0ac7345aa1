"""Reads whole data sets into memory."""

import pathlib
import zipfile

import numpy as np

from keras_ff.datasets import catalog
from keras_ff.datasets import tiny_imagenet
from keras_ff.datasets.extras import import_extra
from keras_ff.datasets.extras import import_tensorflow


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
        ValueError: If `<name>.npz` is not what it should be.
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
        with np.load(path) as file:
            arrays = [file[name] for name in names]
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must hold the arrays {', '.join(names)}. "
            f"It could not be read: {error}"
        ) from error
    splits = []
    for images, labels in (arrays[:2], arrays[2:]):
        images = images.reshape((*images.shape[:3], -1))
        labels = labels.reshape(-1).astype("int32")
        if (
            images.shape != (len(labels), *info.input_shape)
            or images.dtype != "uint8"
            or not 0 <= labels.min() <= labels.max() < info.num_classes
        ):
            raise ValueError(
                f"{path} must hold uint8 images of shape {info.input_shape} "
                f"and labels from 0 to {info.num_classes - 1}. Received: "
                f"{images.dtype} images of shape {images.shape[1:]}, "
                f"{len(images)} images and {len(labels)} labels from "
                f"{labels.min()} to {labels.max()}"
            )
        splits.append((images, labels))
    return tuple(splits)


def _read_tfds(name, data_dir, download):
    tf = import_tensorflow()
    load = _load_tiny_imagenet if name == "tiny_imagenet" else load_tfds
    splits = load(
        name, data_dir, download, split=["train", "test"], as_supervised=True
    )

    def in_memory(split):
        # One batch larger than any of the data sets holds all of it.
        images, labels = split.batch(100_000).get_single_element()
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
