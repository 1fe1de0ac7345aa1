import keras
from keras import ops

from keras_ff.layers.map_order import in_backend_order


@keras.saving.register_keras_serializable(package="keras_ff")
class GridAverage2D(keras.layers.AdaptiveAveragePooling2D):
    """`keras.layers.AdaptiveAveragePooling2D`, alike on every backend.

    On TensorFlow Keras's own fails for a grid of one cell, and for maps of one
    row or column. Here cells that share a pixel have its value.

    Args:
        cells: int, how many there are along either side.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).
    """

    def __init__(self, cells, data_format=None, **kwargs):
        super().__init__(cells, data_format, **kwargs)
        self.cells = cells

    def call(self, inputs):
        axes = (2, 3) if self.data_format == "channels_first" else (1, 2)
        if self.cells == 1:
            return ops.mean(inputs, axis=axes, keepdims=True)
        for axis in axes:
            if inputs.shape[axis] == 1:
                inputs = ops.repeat(inputs, self.cells, axis=axis)
        return in_backend_order(
            ops.adaptive_average_pool,
            inputs,
            self.data_format,
            output_size=self.output_size,
        )

    def get_config(self):
        config = super().get_config()
        del config["output_size"]
        config["cells"] = self.cells
        return config
