from keras_ff.datasets import sources
from keras_ff.datasets.extras import import_extra
from keras_ff.datasets.splits import Splits
from keras_ff.datasets.splits import num_held_out

# Compressed images that wait to be drawn, about 1 GiB.
SHUFFLE_BUFFER = 10_000
# Of an image's shorter side, the part that is looked at without augmentation.
CENTRAL = 0.875


def streamed_batches(
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
    """Batches of pixels of a data set that is read from disk as needed.

    Images of any size are cut and resized: to the central square, or, with
    `augment`, to a random part of 8 to 100 % of the image, mirrored at random.
    The first images in the (fixed, random) order of TensorFlow Datasets are
    held out; the official validation images are the test split.

    Args:
        tf: the `tensorflow` module.
        augment: bool.
        image_size: tuple `(height, width)`; `None` stands for 224 pixels.
        name, batch_size, data_dir, validation_split, seed, drop_remainder,
            download: as in `load()`.

    Returns:
        A `Splits` tuple of datasets, and a `tf.Variable`, the number of the
        next pass.
    """
    tfds = import_extra("tensorflow_datasets")
    size = image_size or (224, 224)
    train, test = sources.load_tfds(
        name,
        data_dir,
        download,
        split=["train", "validation"],
        as_supervised=True,
        # They are shuffled compressed, which takes a tenth of the memory.
        decoders={"image": tfds.decode.SkipDecoding()},
    )
    num_validation = num_held_out(len(train), validation_split)
    epoch = tf.Variable(0, dtype="int64", trainable=False, name="epoch")

    def resize(image):
        return tf.image.resize(image, size, antialias=True)

    def central(data, label):
        image = tf.io.decode_jpeg(data, channels=3)
        height, width = tf.unstack(tf.shape(image)[:2])
        side = tf.cast(
            CENTRAL * tf.cast(tf.minimum(height, width), "float32"), "int32"
        )
        image = tf.image.crop_to_bounding_box(
            image, (height - side) // 2, (width - side) // 2, side, side
        )
        return resize(image), tf.cast(label, "int32")

    def random_part(key, data, label):
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.io.extract_jpeg_shape(data),
            bounding_boxes=tf.zeros((1, 0, 4)),
            seed=key,
            area_range=(0.08, 1.0),
            aspect_ratio_range=(3 / 4, 4 / 3),
            use_image_if_no_bounding_boxes=True,
        )
        window = tf.concat([begin[:2], extent[:2]], axis=0)
        image = resize(tf.io.decode_and_crop_jpeg(data, window, channels=3))
        image = tf.image.stateless_random_flip_left_right(image, key)
        return image, tf.cast(label, "int32")

    def one_epoch(_):
        key = tf.stack([tf.constant(seed, "int64"), epoch.assign_add(1) - 1])
        draw = tf.random.stateless_uniform((), key, maxval=2**31, dtype="int64")
        dataset = train.skip(num_validation).shuffle(SHUFFLE_BUFFER, seed=draw)
        if not augment:
            return dataset.map(central, tf.data.AUTOTUNE)
        return dataset.enumerate().map(
            lambda index, example: random_part(
                tf.random.experimental.stateless_fold_in(key, index), *example
            ),
            tf.data.AUTOTUNE,
        )

    def in_order(dataset):
        return dataset.map(central, tf.data.AUTOTUNE).batch(batch_size)

    num_train = len(train) - num_validation
    epochs = (
        tf.data.Dataset.range(1)
        .flat_map(one_epoch)
        .apply(tf.data.experimental.assert_cardinality(num_train))
        .batch(batch_size, drop_remainder=drop_remainder)
    )
    splits = Splits(
        epochs,
        in_order(train.take(num_validation)) if num_validation else None,
        in_order(test),
    )
    return splits, epoch
