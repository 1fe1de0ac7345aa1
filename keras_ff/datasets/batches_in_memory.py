import numpy as np

from keras_ff.datasets import catalog
from keras_ff.datasets import sources
from keras_ff.datasets.splits import Splits
from keras_ff.datasets.splits import hold_out


def batches_in_memory(
    tf,
    name,
    batch_size,
    data_dir,
    augment,
    validation_split,
    seed,
    image_size,
    drop_remainder,
    download,
):
    """Batches of pixels of a data set that is read into memory.

    Args:
        tf: the `tensorflow` module.
        augment: bool, whether to shift and mirror training images.
        image_size: tuple `(height, width)` or `None`.
        name, batch_size, data_dir, validation_split, seed, drop_remainder,
            download: as in `load()`.

    Returns:
        A `Splits` tuple of datasets, and a `tf.Variable`, the number of the
        next pass.
    """
    train, test = sources.read(name, data_dir, download)
    chosen, held_out = hold_out(len(train[1]), validation_split, seed)
    if drop_remainder and len(chosen) < batch_size:
        raise ValueError(
            f"No full batch: batch_size={batch_size} is more than the "
            f'{len(chosen)} training images of "{name}". Lower `batch_size` or '
            "pass `drop_remainder=False`."
        )

    def fetch(data, augment):
        """Returns a function from image numbers to a batch."""
        images, labels = map(tf.convert_to_tensor, data)

        def fn(numbers, key=None):
            x, y = tf.gather(images, numbers), tf.gather(labels, numbers)
            if augment:
                x = _random_shift_flip(tf, name, x, key)
            x = tf.cast(x, "float32")
            if image_size:
                # Enlarging needs no antialiasing, and is fast without.
                shrinks = np.any(np.less(image_size, x.shape[1:3]))
                x = tf.image.resize(x, image_size, antialias=bool(shrinks))
            return x, y

        return fn

    def in_order(data, indices):
        dataset = _batches(tf, indices, batch_size)
        return dataset.map(fetch(data, False), tf.data.AUTOTUNE)

    epochs, epoch = _epochs(tf, chosen, batch_size, drop_remainder, seed)
    splits = Splits(
        epochs.map(fetch(train, augment), tf.data.AUTOTUNE),
        in_order(train, held_out) if len(held_out) else None,
        in_order(test, np.arange(len(test[1]))),
    )
    return splits, epoch


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
    """The shuffled batches of image numbers, and the number of the next pass.

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

    steps = len(_batches(tf, indices, batch_size, drop_remainder))
    known_length = tf.data.experimental.assert_cardinality(steps)
    dataset = tf.data.Dataset.range(1).flat_map(one_epoch).apply(known_length)
    return dataset, epoch


def _random_shift_flip(tf, name, images, seed):
    """Shifts and flips every image by its own random amount.

    The shift is a random crop of the image with a black border around it.

    Args:
        tf: the `tensorflow` module.
        name: name of the data set.
        images: tensor of shape `(batch, height, width, channels)`, 0 is black.
        seed: integer tensor of shape `(2,)`, which alone decides the result.

    Returns:
        A tensor like `images`.
    """
    shift, flip = catalog.SHIFT_AND_FLIP[name]
    batch, (height, width) = tf.shape(images)[0], images.shape[1:3]
    draws = tf.random.stateless_uniform((3, batch, 1), seed, alg="philox")
    top, left = tf.unstack(tf.cast(draws[:2] * (2 * shift + 1), tf.int32))
    rows, columns = tf.range(height), tf.range(width)
    if flip:
        columns = tf.where(draws[2] < 0.5, columns[::-1], columns)
    border = (shift, shift)
    images = tf.pad(images, ((0, 0), border, border, (0, 0)))
    images = tf.gather(images, top + rows, axis=1, batch_dims=1)
    return tf.gather(images, left + columns, axis=2, batch_dims=1)
