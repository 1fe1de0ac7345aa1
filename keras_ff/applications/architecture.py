import inspect
import textwrap

# By name, the kind of layer that an architecture is made of.
ARCHITECTURES = {}

_ARGUMENTS = """\
num_classes: int, at least 2.
method: what each layer is and how it learns: the name of a method
    (`keras_ff.methods.names()`), or a `keras_ff.methods.Method` of
    your own. Among them are `"caw"` (CAW-Conv), `"cw"`
    (DeeperForward, convolutions only), `"prototype"` (HFF),
    `"projection"` (Mono-Forward), `"contrast"` (with the supervised
    contrast of HCL-FF), `"predsim"` (with similarity matching),
    `"deep_supervision"` (the heads of Mono-Forward, but gradients
    cross the layers) and `"backprop"` (the same network trained end
    to end, with one linear head).
    Defaults to `"caw"`.
width_multiplier: float, scales every width; widths are rounded to a
    multiple of `num_classes`, below half a channel a class to whole
    channels. Defaults to `1.0`, as published.
dropout: float in `[0, 1)`. Defaults to the method's.
input_normalization: bool, whether each sample is first normalized
    over all its values. Defaults to `True`, as published.
preprocessing: Keras layer without trainable weights, or a list of
    them, that the input goes through first (augmentation,
    normalization), see `keras_ff.datasets.preprocessing`.
model_options: dict of arguments of the model that shall not be the
    method's: `contribution`, `layer_clipnorm`, `layer_metrics` and
    `name`; with `"backprop"` and `"deep_supervision"` `name` alone.
layer_options: dict of arguments of every layer (for `"caw"`
    those of `keras_ff.layers.CAWConv2D`, such as `temperature`)."""

_OUTCOME = """\
Returns:
    The method's model: a `keras_ff.models.ForwardOnlyModel`, a
    `keras_ff.models.DeepSupervisionModel`, or with `"backprop"` a
    `keras.Model` that gives logits.

Raises:
    ValueError: if `method` is unknown or has no such layers, an
        option is unknown to it, or the input is too small."""


def architecture(layer):
    """Marks an architecture, and completes its docstring.

    In the docstring `{arguments}` stands for the arguments that all
    architectures share, `{outcome}` for what they return and raise.

    Args:
        layer: `"conv"`, `"dense"` or `"auxiliary_head"`, what it asks methods
            for.
    """

    def mark(function):
        ARCHITECTURES[function.__name__] = layer
        # None under `python -OO`.
        text = inspect.cleandoc(function.__doc__ or "")
        arguments = textwrap.indent(_ARGUMENTS, "    ").strip()
        text = text.replace("{arguments}", arguments)
        function.__doc__ = text.replace("{outcome}", _OUTCOME)
        return function

    return mark
