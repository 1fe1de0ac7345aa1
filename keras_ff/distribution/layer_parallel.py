from collections.abc import Sequence

import keras

from keras_ff import keras_private
from keras_ff.checks import check_integer
from keras_ff.type_aliases import Shape


class LayerParallel(keras_private.Distribution):
    """Trains the layers of a `ForwardOnlyModel` side by side.

    The model is cut into stages, each on a device. While one stage learns
    from a batch, the one before learns from the next: since no gradient comes
    back, no stage waits for those after it. What comes out is what training
    on one device gives, up to round-off.

    Stages are whole local layers with what comes before them, in the order in
    which they run, and balanced by the time that each takes on the first
    batch. Shortcuts and masks are sent along. Two batches at most wait before
    a stage.

    As with other distributions of Keras, `keras.distribution.
    set_distribution(...)` or its `scope()` turns it on, here for the calls of
    `fit`, `evaluate` and `predict`. The model stays an ordinary one: it may
    be made, saved and trained on with or without. `train_on_batch`,
    `goodness` and the like run on one device.

    What holds while an epoch runs:

    - The logs of a batch are those of the newest batch that came out of the
      last stage; none at first. At the end of the epoch they are whole.
    - The weights are whole between epochs. A callback that looks at them
      within an epoch gets them after all batches so far, for which the stages
      are run empty. On PyTorch that is so in the model's methods (`save`,
      `get_weights` and the like); a variable looked at directly may be
      between two batches.
    - A batch that is not sound (see `ForwardOnlyModel`) changes nothing in
      the layer that finds it and in those after it, nor does any later one.
      Layers before it have by then learned from the batches under way. The
      error names the layer and the batch. Wrong labels are found by the first
      layer, so no layer learns from them.
    - On PyTorch dropout without a seed draws from one generator for all
      stages, so that its masks are others than on one device.

    It is for JAX (devices of any kind) and PyTorch (CUDA, or the cores of a
    CPU: its stages share the threads that PyTorch has).

    Args:
        devices: list of names of devices, one a stage, such as `"cuda:0"`,
            `"gpu:0"` or `"cpu"`. Defaults to all of the kind in use. If there
            are more stages than devices, neighbors share one.
        stages: int, the number of stages. Defaults to the number of devices,
            on PyTorch with a CPU to its number of threads, but no more than
            there are local layers.

    Raises:
        ValueError: on TensorFlow; in `fit`, if there are more stages than
            local layers, what is compiled cannot be spread, or several
            processes train the model together.
        TypeError: if an argument is of the wrong type.

    Example:

    ```python
    keras.distribution.set_distribution(keras_ff.distribution.LayerParallel())
    model.fit(x_train, y_train, epochs=10)
    ```

    Or for one training:

    ```python
    with keras_ff.distribution.LayerParallel(stages=2).scope():
        model.fit(x_train, y_train, epochs=10)
    ```

    Reference:

    - [Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA)
    """

    def __init__(
        self, devices: Sequence[str] | None = None, stages: int | None = None
    ) -> None:
        backend = keras.backend.backend()
        if backend == "tensorflow":
            raise ValueError(
                "LayerParallel needs JAX or PyTorch. Received: the backend "
                "'tensorflow'. Set KERAS_BACKEND to 'jax' or 'torch'; on "
                "TensorFlow `tf.distribute.MirroredStrategy` trains on "
                "several devices."
            )
        if devices is not None:
            devices = _names(devices)
        elif backend == "jax":
            devices = keras.distribution.list_devices()
        if stages is not None:
            check_integer("stages", stages, minimum=1)
        self.devices = devices
        self.stages = stages
        mesh = None
        if devices is not None:
            # What is not in stages runs on the first device.
            mesh = keras.distribution.DeviceMesh((1,), ["batch"], devices[:1])
        super().__init__(mesh, batch_dim_name="batch")

    @property
    def num_model_replicas(self) -> int:
        return 1

    def get_data_layout(
        self, data_shape: Shape
    ) -> keras.distribution.TensorLayout:
        axes = ["batch", *[None for _ in data_shape[1:]]]
        return keras.distribution.TensorLayout(axes, self.device_mesh)

    def get_variable_layout(self, variable: keras.Variable) -> None:
        return None

    def get_tensor_layout(self, path: str) -> None:
        return None

    def __repr__(self):
        return f"<LayerParallel devices={self.devices}, stages={self.stages}>"


def _names(devices):
    if not isinstance(devices, (list, tuple)) or not all(
        isinstance(name, str) for name in devices
    ):
        raise TypeError(
            "`devices` must be a list of names of devices, such as ['cuda:0', "
            f"'cuda:1']. Received: devices={devices!r}"
        )
    if not devices:
        raise ValueError("`devices` must name a device. Received: []")
    return list(devices)
