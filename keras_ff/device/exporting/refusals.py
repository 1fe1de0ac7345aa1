"""What cannot go on learning on a device, refused by name."""

import keras

from keras_ff import keras_private
from keras_ff.models import ForwardForwardModel
from keras_ff.models import ForwardOnlyModel
from keras_ff.models.local_loss_model import LocalLossModel


def check_can_train(model):
    """Raises if a model cannot be exported with its training."""
    if not isinstance(model, ForwardOnlyModel):
        raise TypeError(
            "Only a ForwardOnlyModel trains on a device, whose layers need "
            "nothing of those after them. Received: "
            f"{model!r} of type {type(model).__name__}"
        )
    if isinstance(model, ForwardForwardModel):
        _check_forward_forward(model)
    if not model.compiled:
        raise ValueError(
            "The model must be compiled: its loss and its optimizer are "
            "exported, too. Call model.compile(...)."
        )
    if type(model).compute_loss is not LocalLossModel.compute_loss:
        raise ValueError(
            f"{type(model).__name__} overrides `compute_loss`, which sees the "
            "samples; a layer on a device sees its features only. Make it a "
            "keras.losses.Loss, and give that to `compile`."
        )
    for layer in model.layers:
        _check_dtype(layer)
    for symbol in model._graph.symbols().values():
        if keras_private.mask_of(symbol) is not None:
            source = keras_private.producer(symbol)
            raise ValueError(
                f"Layer '{source.name}' gives a mask with its features, and a "
                "program hands on tensors alone. Pad sequences to one length "
                "and leave the mask out."
            )
        if None in symbol.shape[1:]:
            raise ValueError(
                "A program is made for features of one size. Received: "
                f"features of shape {symbol.shape}. Give keras.Input the size."
            )


def check_optimizer(optimizer):
    """Raises if an optimizer sees more than one layer at a time."""
    name = type(optimizer).__name__
    kinds = (keras.optimizers.LossScaleOptimizer,)
    kinds += (getattr(keras.optimizers, "MultiOptimizer", kinds[0]),)
    if isinstance(optimizer, kinds):
        raise ValueError(
            f"An optimizer of optimizers does not run on a device. Received: "
            f"{name}. Give export_training(optimizer=...) a plain one."
        )
    for option in ("global_clipnorm", "gradient_accumulation_steps", "use_ema"):
        if getattr(optimizer, option, None):
            raise ValueError(
                f"`{option}` sees more than one layer and one batch, and a "
                f"device runs one layer at a time. Received: {name}({option}="
                f"{getattr(optimizer, option)}). Leave it out; "
                "`layer_clipnorm` of the model and `clipnorm` work."
            )


def _check_dtype(layer):
    for part in keras_private.all_layers(layer):
        if part.compute_dtype not in ("float32", "int32", "bool"):
            raise ValueError(
                f"Layer '{part.name}' computes in {part.compute_dtype}, and "
                "programs for devices train in float32. Make the model with "
                "dtype='float32' and copy the weights."
            )


def _check_forward_forward(model):
    raise TypeError(
        "A ForwardForwardModel draws wrong labels by a read-out that sees all "
        "layers, and does not train on a device yet. Received: "
        f"'{model.name}'. A ForwardOnlyModel does."
    )
