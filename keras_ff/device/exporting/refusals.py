"""What cannot go on learning on a device, refused by name."""

import re

import keras

from keras_ff import keras_private
from keras_ff.models import ForwardForwardModel
from keras_ff.models import ForwardOnlyModel
from keras_ff.models.local_loss_model import LocalLossModel

_SCHEDULE_FREE = "ScheduleFreeAdamW"
_REFUSED_OPTIONS = {
    "global_clipnorm": "sees all layers, and a device runs one at a time",
    "gradient_accumulation_steps": "sees more than one batch",
    "use_ema": "keeps averages that only the end of a `fit` makes weights",
}


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
    # It raises where layers share parts: the one's step would undo the other's.
    model.get_config()
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


def check_optimizer(optimizer, variables):
    """Raises if an optimizer does not go one layer at a time, or otherwise.

    Args:
        optimizer: a `keras.optimizers.Optimizer`.
        variables: what it trains.
    """
    name = type(optimizer).__name__
    kinds = (keras.optimizers.LossScaleOptimizer,)
    kinds += (getattr(keras.optimizers, "MultiOptimizer", kinds[0]),)
    if isinstance(optimizer, kinds):
        raise ValueError(
            f"An optimizer of optimizers does not run on a device. Received: "
            f"{name}. Give export_training(optimizer=...) a plain one."
        )
    if any(kind.__name__ == _SCHEDULE_FREE for kind in type(optimizer).mro()):
        raise ValueError(
            f"On TensorFlow {name} reads a number after it changed it, and "
            "learns otherwise than its formula, which a device follows. Give "
            "export_training(optimizer=...) another one."
        )
    if keras_private.has_own_step(optimizer):
        raise ValueError(
            f"{name} has a step of its own for all weights together, which a "
            "device does not run. Give export_training(optimizer=...) another "
            "one, such as keras.optimizers.Adam."
        )
    _, pattern = keras_private.excluded_from_weight_decay(optimizer, variables)
    unlike = [
        v.path
        for v in variables
        if pattern
        and bool(re.search(pattern, v.path)) != bool(re.search(pattern, v.name))
    ]
    if unlike:
        raise ValueError(
            "`exclude_from_weight_decay(var_names=...)` compares paths of "
            "weights on TensorFlow and names elsewhere. Give it `var_list`. "
            f"Received: {pattern!r}, which is in the paths of {unlike}, not "
            "in their names."
        )
    for option, reason in _REFUSED_OPTIONS.items():
        if getattr(optimizer, option, None):
            raise ValueError(
                f"`{option}` {reason}. Received: {name}({option}="
                f"{getattr(optimizer, option)}). Leave it out; "
                "`layer_clipnorm` of the model and `clipnorm` work."
            )


def check_state(optimizer):
    """Raises if what an optimizer keeps cannot be told apart by name.

    Args:
        optimizer: one that is built for all weights that are trained.
    """
    names = [v.name for v in optimizer.variables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            "An optimizer's numbers go by the paths of weights, and some are "
            "alike. Give the parts of the layers names of their own. "
            f"Received: {twice}"
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
