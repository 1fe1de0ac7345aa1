import inspect
from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras

from keras_ff import contributions
from keras_ff.contributions import Uniform
from keras_ff.layers import AuxiliaryHead
from keras_ff.layers import LocalBlock
from keras_ff.layers.conv2d import Conv2D
from keras_ff.layers.local_layer import Objectives
from keras_ff.layers.local_objective import LocalObjective
from keras_ff.losses import LocalCrossentropy
from keras_ff.models import ForwardOnlyModel
from keras_ff.type_aliases import Activation
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Normalization
from keras_ff.type_aliases import Sizes

if TYPE_CHECKING:
    import keras_tuner

# What the architecture decides about a layer, and no option changes.
DECIDED = {
    *("filters", "kernel_size", "strides", "padding", "units", "layers"),
    *("num_classes", "dropout", "data_format", "goodness", "head"),
    # New ones for every layer, see `Method.objectives`.
    "objectives",
    *("name", "trainable"),
}
# The least that a layer of each kind is made of. (Names that Keras makes up
# count on.)
SMALLEST = {
    "conv": dict(filters=2, kernel_size=1, num_classes=2, name="conv"),
    "dense": dict(units=2, num_classes=2, name="dense"),
    "head": dict(num_classes=2, name="head"),
}


class Method:
    """One way of learning: its layers, its loss, and how it is trained.

    Architectures (`keras_ff.applications`), the tuner, the recipes and the
    benchmarks ask the method for all that differs between methods. A method
    of your own is a subclass; it needs a `name` and a `head`, and may change
    anything else. It goes wherever a method is chosen:
    `keras_ff.applications.tiny_cnn(..., method=Mine())`,
    `ForwardOnlyHyperModel(..., methods=["caw", Mine()])`,
    `examples/reproduce.py --method my_methods.py:Mine`.

    Every attribute that makes something may be a class or a function.

    Attributes:
        name: string, unlike that of any other method.
        paper: string, where it is published.
        head: makes the goodness head of a layer, `head(num_classes,
            **options)`: any Keras layer from an activation to class scores.
            It sees the whole activation, so it may begin with a convolution
            or a pooling of its own.
        conv, dense: make a convolution, `conv(filters, kernel_size,
            num_classes, strides, padding, dropout, name, **options)`, and a
            dense layer, `dense(units, num_classes, dropout, name,
            **options)`. Both are called with keywords and give a layer that
            returns `(features, goodness)`. By default a `LocalBlock` with the
            method's head; a layer class with the same arguments replaces
            them (`conv = keras_ff.layers.CAWConv2D`); `None` where the
            method has none.
        dropout: float, the default of its layers.
        contribution: makes the model's contribution.
        layer_clipnorm: float or `None`, see `ForwardOnlyModel`.
        learning_rate: pair of floats, the first and the last of a cosine
            over the training.
        weight_decay: float, of the optimizer.
        model_options: names of the arguments that its model takes.

    Example:

    ```python
    class Flattened(keras_ff.methods.Method):
        name = "flattened"
        learning_rate = (3e-3, 3e-5)

        def head(self, num_classes, pooling="flatten"):
            return keras_ff.layers.GoodnessProjection(num_classes, pooling)

    model = keras_ff.applications.tiny_cnn((32, 32, 3), 10, method=Flattened())
    ```
    """

    name: str | None = None
    paper: str | None = None
    head: Any = None
    dropout: float = 0.1
    contribution: Any = Uniform
    layer_clipnorm: float | None = None
    learning_rate: tuple[float, float] = (1e-3, 1e-5)
    weight_decay: float = 5e-4
    model_options: tuple[str, ...] = (
        "contribution",
        "layer_clipnorm",
        "layer_metrics",
        "name",
    )

    # === Layers ===

    def conv(
        self,
        filters: int,
        kernel_size: Sizes,
        num_classes: int,
        strides: Sizes = 1,
        padding: str = "same",
        dropout: float = 0.0,
        activation: Activation | None = "relu",
        use_bias: bool = False,
        kernel_initializer: Initializer = "he_normal",
        normalization: Normalization | None = "instance",
        dtype: str | keras.DTypePolicy | None = None,
        name: str | None = None,
        **head_options: Any,
    ) -> keras.layers.Layer | None:
        conv = Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            dtype=dtype,
        )
        layers = [conv, keras.layers.Dropout(dropout, dtype=dtype)]
        return self.block(
            layers, num_classes, normalization, dtype, name, **head_options
        )

    def dense(
        self,
        units: int,
        num_classes: int,
        dropout: float = 0.0,
        activation: Activation | None = "relu",
        use_bias: bool = False,
        kernel_initializer: Initializer = "he_normal",
        normalization: Normalization | None = "layer",
        dtype: str | keras.DTypePolicy | None = None,
        name: str | None = None,
        **head_options: Any,
    ) -> keras.layers.Layer | None:
        dense = keras.layers.Dense(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            dtype=dtype,
        )
        layers = [dense, keras.layers.Dropout(dropout, dtype=dtype)]
        return self.block(
            layers, num_classes, normalization, dtype, name, **head_options
        )

    def block(
        self,
        layers: keras.layers.Layer | Sequence[keras.layers.Layer],
        num_classes: int,
        normalization: Normalization | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        name: str | None = None,
        head: Callable[..., keras.layers.Layer] | None = None,
        objectives: Objectives | None = None,
        **head_options: Any,
    ) -> keras.layers.Layer:
        """Any Keras layers, as one layer that learns by this method.

        Args:
            layers, normalization, dtype, name, objectives: as in
                `LocalBlock`.
            num_classes: int.
            head: makes the head; the method's own by default.
            **head_options: further arguments of `head`.
        """
        return LocalBlock(
            layers,
            (head or self.head)(num_classes, **head_options),
            normalization,
            objectives,
            dtype=dtype,
            name=name,
        )

    def objectives(self) -> list[LocalObjective]:
        """What a layer learns beside the loss of its goodness.

        If there are any, what makes the layers is called with them, as
        `objectives`. The arguments of this function are layer options, and
        need names unlike those of the layers.

        Returns:
            List of `keras_ff.objectives.LocalObjective`s, new ones for every
            layer.
        """
        return []

    def auxiliary_head(
        self, num_classes: int, layers: Sequence[keras.layers.Layer], grid: int
    ) -> keras.layers.Layer | None:
        """A head that looks through layers of its own, on a coarse grid.

        Its goodness serves a plain cross-entropy. `None` where the method has
        no such head.

        Args:
            num_classes: int.
            layers: list of Keras layers, trained with the head and left out
                of what the next local layer gets; may be empty.
            grid: int, a map is averaged over `grid` by `grid` cells, where
                the method can use them.
        """
        head = self.head(num_classes)
        return AuxiliaryHead(layers, head) if layers else head

    def makes(self, layer: str) -> bool:
        """Whether the method has such layers.

        Args:
            layer: `"conv"`, `"dense"`, `"block"` or `"auxiliary_head"`.
        """
        if self._is_block(layer):
            return self.head is not None
        return getattr(self, layer) is not None

    def layer_options(self, layer: str) -> list[str]:
        """The names of what else its layers take, sorted.

        Args:
            layer: `"conv"`, `"dense"`, `"block"` or `"auxiliary_head"`; the
                last takes those of the objectives alone.
        """
        names = self.objective_options()
        if layer == "auxiliary_head":
            return sorted(names)
        make = getattr(self, layer)
        if self._is_block(layer):
            names |= _arguments(make)
            names |= _arguments(self.head, **SMALLEST["head"])
        else:
            names |= _arguments(make, **SMALLEST[layer])
        return sorted(names - DECIDED)

    def objective_options(self) -> set[str]:
        """The names of the layer options that its objectives take."""
        return _arguments(self.objectives)

    def _is_block(self, layer):
        make = getattr(self, layer)
        return layer == "block" or (
            getattr(make, "__func__", None) is getattr(Method, layer)
        )

    def width(self, channels: float, num_classes: int) -> int:
        """The number of channels, rounded as the method's layers need it.

        A multiple of the number of classes; below half a channel a class,
        whole channels.
        """
        per_class = round(channels / num_classes)
        return per_class * num_classes or max(1, round(channels))

    # === Model and training ===

    def model(self, inputs: Any, outputs: Any, **options: Any) -> keras.Model:
        """The model of the layers, with the method's own options.

        Args:
            inputs: the model's input.
            outputs: the second outputs of all its layers, the goodness.
            **options: those of `model_options` that shall differ.
        """
        own: Config = dict(layer_clipnorm=self.layer_clipnorm)
        if "contribution" not in options:
            own["contribution"] = self.contribution()
        return ForwardOnlyModel(inputs, outputs, **{**own, **options})

    def loss(self) -> keras.losses.Loss:
        """The loss of every layer, for `compile`."""
        return LocalCrossentropy()

    def optimizer(
        self,
        learning_rate: float
        | keras.optimizers.schedules.LearningRateSchedule
        | None = None,
        weight_decay: float | None = None,
    ) -> keras.optimizers.Optimizer:
        """The optimizer, for `compile`.

        Args:
            learning_rate: float or schedule, the method's first by default.
            weight_decay: float, the method's by default.
        """
        if weight_decay is None:
            weight_decay = self.weight_decay
        if learning_rate is None:
            learning_rate = self.learning_rate[0]
        return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)

    def settings(self) -> Config:
        """All that the method decides about a training, for records."""
        contribution = self.contribution and self.contribution()
        return {
            "method": self.name,
            "paper": self.paper,
            "dropout": self.dropout,
            "learning_rate": list(self.learning_rate),
            "optimizer": _record(
                self.optimizer(), "learning_rate", "weight_decay"
            ),
            "weight_decay": self.weight_decay,
            "loss": _record(self.loss()),
            "contribution": contribution and _record(contribution),
            "layer_clipnorm": self.layer_clipnorm,
        }

    # === What is searched; methods with the same function share it ===

    def tune_layers(
        self, hp: "keras_tuner.HyperParameters", layers: set[str]
    ) -> Config:
        """Declares hyperparameters of the layers.

        Args:
            hp: a `keras_tuner.HyperParameters`.
            layers: set of the kinds in the search, see `makes`.

        Returns:
            A dict of layer options.
        """
        return {}

    def tune_objectives(self, hp: "keras_tuner.HyperParameters") -> Config:
        """Declares hyperparameters of the objectives.

        Args:
            hp: a `keras_tuner.HyperParameters`.

        Returns:
            A dict of arguments of `objectives`.
        """
        return {}

    def tune_loss(self, hp: "keras_tuner.HyperParameters") -> keras.losses.Loss:
        """Declares hyperparameters of the loss, and returns it."""
        return LocalCrossentropy(
            hp.Float("label_smoothing", 0.0, 0.2, step=0.05)
        )

    def tune_model(self, hp: "keras_tuner.HyperParameters") -> Config:
        """Declares hyperparameters of the model; returns its options."""
        name = hp.Choice(
            "contribution", contributions.names(), default="loss_aware"
        )
        return dict(contribution=contributions.get(name))


def _arguments(make, **needed):
    """The names of the arguments that a class or a function takes."""
    function = make.__init__ if isinstance(make, type) else make
    parameters = inspect.signature(function).parameters.values()
    names = {
        parameter.name
        for parameter in parameters
        if parameter.kind
        not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    } - {"self"}
    if needed and any(p.kind is p.VAR_KEYWORD for p in parameters):
        # A layer's config holds all of its arguments.
        names |= set(make(**needed).get_config())
    return names


def _record(thing, *besides):
    """What it is and how it was made, but for its name, which counts up."""
    config = thing.get_config()
    for name in ("name", *besides):
        config.pop(name, None)
    return {"class_name": type(thing).__name__, "config": config}
