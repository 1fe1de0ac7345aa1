from keras_ff.datasets.checks import check_integer


def epoch_setter(epoch):
    """The `set_epoch` of a pipeline whose passes count `epoch` up.

    Args:
        epoch: `tf.Variable`, the number of the next pass.
    """

    def set_epoch(value):
        """Says which epoch, from 0, the next pass over the dataset is."""
        check_integer("epoch", value, minimum=0)
        epoch.assign(value)

    return set_epoch
