import keras

from keras_ff.dtypes import at_least_float32


class LabelLoss(keras.losses.Loss):
    """Base class of losses of class scores against labels.

    It computes in no less than float32: Keras casts labels to the dtype of
    the loss, and bfloat16 has no whole numbers above 256 but every second.

    Args:
        name, reduction, dtype: as in `keras.losses.Loss`.
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        policy = keras.dtype_policies.get(dtype or keras.config.floatx())
        dtype = at_least_float32(policy.compute_dtype)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
