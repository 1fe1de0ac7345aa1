"""What cannot be trained or run in stages."""

import keras

from keras_ff.models.trainers import LocalTrainer
from keras_ff.models.trainers import num_processes

_STEPS = {"train": "train_step", "test": "test_step", "predict": "predict_step"}


def check_can_spread(model, kind):
    """Raises if a model cannot be run in stages.

    Args:
        model: a `LocalLossModel`.
        kind: `"train"`, `"test"` or `"predict"`.
    """
    for reason in _reasons(model, kind):
        raise ValueError(
            f"LayerParallel cannot spread the model '{model.name}': {reason} "
            "Or train without LayerParallel: "
            "`keras.distribution.set_distribution(None)`."
        )


def _reasons(model, kind):
    name = type(model).__name__
    if not model._layers_are_independent:
        yield (
            f"a {name} has parts that look at all layers. Use a "
            "ForwardOnlyModel."
        )
    step = _STEPS[kind]
    own = getattr(LocalTrainer, step, getattr(keras.Model, step))
    if getattr(type(model), step) is not own:
        yield (
            f"{name} has a `{step}` of its own, which sees the whole model. "
            "Override `compute_loss` instead."
        )
    if keras.backend.backend() == "torch" and model.jit_compile:
        yield "it is compiled with jit_compile=True. Leave that out."
    if model.steps_per_execution > 1:
        yield (
            "it is compiled with steps_per_execution="
            f"{model.steps_per_execution}. Leave that out; batches are under "
            "way side by side as it is."
        )
    if num_processes() > 1:
        yield (
            f"it is trained by {num_processes()} processes. The stages of a "
            "model are in one."
        )
    if kind == "train":
        yield from _reasons_of_optimizer(model.optimizer)
        yield from _reasons_of_weights(model)


def _reasons_of_optimizer(optimizer):
    name = type(optimizer).__name__
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        yield (
            "a LossScaleOptimizer looks at the gradients of all layers. Train "
            "in 'mixed_bfloat16' or 'float32'."
        )
    if hasattr(optimizer, "optimizers"):
        yield f"a {name} takes the gradients of all layers at once."
    for option, cure in (
        ("global_clipnorm", "Use the model's `layer_clipnorm`."),
        ("use_ema", "Leave it out."),
        ("gradient_accumulation_steps", "Use larger batches."),
    ):
        value = getattr(optimizer, option, None)
        if value:
            yield (
                f"its {name} has {option}={value!r}, which looks at all "
                f"layers at once. {cure}"
            )


def _reasons_of_weights(model):
    owners = {}
    for layer in model.local_layers:
        for variable in layer.trainable_variables:
            owner = owners.setdefault(id(variable), layer)
            if owner is not layer:
                yield (
                    f"layers '{owner.name}' and '{layer.name}' share the "
                    f"weight '{variable.path}'. Give each its own."
                )
