import keras


@keras.saving.register_keras_serializable(package="keras_ff")
class FunctionLoss(keras.losses.Loss):
    """The loss that a function of one's own computes for every sample.

    Args:
        fn: function `(y_true, y_pred) -> losses`, of shape `(batch,)`. What
            it learns says its attribute `task`, see `ForwardOnlyModel`.
        name, reduction, dtype: as in `keras.losses.Loss`.
    """

    def __init__(
        self, fn, name=None, reduction="sum_over_batch_size", dtype=None
    ):
        name = name or getattr(fn, "__name__", None)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn

    @property
    def task(self):
        return getattr(self.fn, "task", None)

    def call(self, y_true, y_pred):
        return self.fn(y_true, y_pred)

    def get_config(self):
        config = super().get_config()
        config["fn"] = keras.saving.serialize_keras_object(self.fn)
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["fn"] = keras.saving.deserialize_keras_object(config["fn"])
        return cls(**config)
