import keras
import numpy as np
from keras import ops

from keras_ff.labels import check_labels
from keras_ff.labels import class_numbers
from keras_ff.layers import HypersphericalPrototypes
from keras_ff.models.forward_only_model import ForwardOnlyModel
from keras_ff.type_aliases import Data


def adapt_prototypes(model: keras.Model, x: Data, y: Data) -> None:
    """Starts a model's prototypes at the class means of some data.

    Every `keras_ff.layers.HypersphericalPrototypes` head of the model gets
    the mean directions of the embeddings of each class (with several
    prototypes a class, the centers of its clusters). One forward pass; to be
    done before training. Classes that do not occur keep their prototypes.

    Args:
        model: a `ForwardOnlyModel`.
        x: one batch of inputs.
        y: its labels, class numbers or one-hot rows.

    Raises:
        TypeError: if `model` is not a `ForwardOnlyModel`.
        ValueError: if no layer of the model has prototypes, the labels do not
            fit the model, or there are no samples or NaN among them.

    Example:

    ```python
    keras_ff.models.adapt_prototypes(model, x_train[:1000], y_train[:1000])
    model.fit(x_train, y_train, epochs=5)
    ```
    """
    if not isinstance(model, ForwardOnlyModel):
        raise TypeError(
            "`model` must be a ForwardOnlyModel. Received: "
            f"{model!r} of type {type(model).__name__}"
        )
    check_labels(y, model.num_classes)
    if not len(y):
        raise ValueError("`x` and `y` must hold samples. Received: none")
    x = ops.convert_to_tensor(x)
    if not np.all(ops.convert_to_numpy(ops.isfinite(x))):
        raise ValueError("`x` must be finite. Received: NaN or infinity")
    y = ops.convert_to_numpy(class_numbers(ops.convert_to_tensor(y)))
    heads, silent = 0, np.array(ops.convert_to_numpy(model._readout.silent))
    for call in model._graph.walk(x, training=False):
        if isinstance(call.layer.head, HypersphericalPrototypes):
            heads += 1
            call.layer.head.adapt(call.activation(), y)
            silent[call.index] = -1
        call.run()
    model._readout.silent.assign(silent)
    if not heads:
        raise ValueError(
            "No local layer of the model has HypersphericalPrototypes. "
            f"Received: {[type(x).__name__ for x in model.local_layers]}"
        )
