"""The usual random augmentation of each data set."""

# Largest shift in pixels, and whether mirror images keep their class.
SHIFT_AND_FLIP = {
    "mnist": (2, False),
    "fashion_mnist": (2, False),
    "cifar10": (4, True),
    "cifar100": (4, True),
    "tiny_imagenet": (4, True),
    "digits": (1, False),
}


def random_shift_flip(tf, name, images, seed):
    """Shifts and flips every image by its own random amount.

    The shift is a random crop of the image with a black border around it.

    Args:
        tf: The `tensorflow` module.
        name: Name of the data set.
        images: Tensor of shape `(batch, height, width, channels)`, 0 is black.
        seed: Integer tensor of shape `(2,)`, which alone decides the result.

    Returns:
        A tensor like `images`.
    """
    shift, flip = SHIFT_AND_FLIP[name]
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
