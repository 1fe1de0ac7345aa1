"""The data of the flags."""

import keras_ff


def image_size(architecture, dataset):
    """Side of the images if not their own: 32 for ResNet-17 on the MNISTs."""
    if architecture == "resnet17" and dataset in ("mnist", "fashion_mnist"):
        return 32
    return None


def pipelines(flags, image_size=None):
    """The data of the flags, read and normalized by `tf.data`."""
    return keras_ff.datasets.load(
        flags.dataset,
        batch_size=flags.batch_size,
        data_dir=flags.data_dir,
        augment=flags.augment,
        validation_split=flags.validation_split,
        seed=flags.seed,
        image_size=image_size,
    )
