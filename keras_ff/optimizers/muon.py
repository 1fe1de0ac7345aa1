import math
import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_ff.checks import check_bool
from keras_ff.checks import check_integer
from keras_ff.checks import check_number
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Tensor

# The class scores of a projection head.
EXCLUDE = (r"(^|/)projection/kernel$",)


@keras.saving.register_keras_serializable(package="keras_ff")
class Muon(keras.optimizers.Muon):
    """Muon for kernels of any rank; AdamW for all else.

    The momentum of a kernel is made orthogonal before it is applied: all
    directions of the matrix learn at the same speed. A kernel of shape
    `(..., out)`, a convolution's too, is one matrix of `out` columns:

    ```
    b = momentum * b + gradient;  u = gradient + momentum * b
    x = u / |u|, then ns_steps times  a = x x^T, x = 3.4445 x +
        (-4.7750 a + 2.0315 a a) x                    (Newton-Schulz)
    kernel -= learning_rate * rms_rate * sqrt(max(rows, columns)) * x
    ```

    Every kernel is treated by itself, so local learning stays local.

    Orthogonalized are the variables whose name ends in `kernel`, that have at
    least two rows and two columns, and whose path matches none of `exclude`.
    Biases, scales, assignments, temperatures, prototypes, embeddings and the
    kernels of `keras_ff.layers.GoodnessProjection` are left to AdamW. In a
    model with another last layer, exclude it by name.

    Args:
        learning_rate: float, a schedule, or a function without arguments.
            Defaults to `0.001`.
        momentum: float. Defaults to `0.95`.
        ns_steps: int, steps of Newton-Schulz. Defaults to `5`; 3 are enough
            for short training.
        rms_rate: float, what makes a step as large as one of Adam, or `None`
            for a step of `learning_rate * x`. Defaults to `0.2`.
        normalize_weights: bool, whether the kernels that are orthogonalized
            get the norm `sqrt(out)` before each step, for kernels whose scale
            a normalization takes out. Defaults to `False`.
        exclude: regular expressions of the paths of variables that AdamW
            shall train. Defaults to the class scores of
            `keras_ff.layers.GoodnessProjection`.
        adam_lr_ratio: float, AdamW's learning rate over Muon's. Defaults to
            `1`.
        weight_decay: float, of the kernels that are orthogonalized. Defaults
            to `0.004`.
        adam_weight_decay: float, of the others. Defaults to `0.004`.
        **kwargs: the other arguments of `keras.optimizers.Muon`, but
            `exclude_layers` and `exclude_embeddings`.

    Raises:
        ValueError: if none of the variables would be orthogonalized, or an
            argument is out of range.
        TypeError: if an argument is of another type.

    Example:

    ```python
    optimizer = keras_ff.optimizers.Muon(
        keras_ff.optimizers.Triangular(0.1, steps=1200),
        momentum=0.6,
        ns_steps=3,
        rms_rate=None,
        normalize_weights=True,
        adam_lr_ratio=0.1,
    )
    model.compile(optimizer)
    ```

    Reference:

    - [Jordan, 2024](https://kellerjordan.github.io/posts/muon/)
    - [Liu et al., 2025](https://arxiv.org/abs/2502.16982)
    """

    def __init__(
        self,
        learning_rate: float
        | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        momentum: float = 0.95,
        ns_steps: int = 5,
        rms_rate: float | None = 0.2,
        normalize_weights: bool = False,
        exclude: str | Sequence[str] = EXCLUDE,
        **kwargs: Any,
    ) -> None:
        for name in ("exclude_layers", "exclude_embeddings"):
            if name in kwargs:
                raise ValueError(
                    f"Muon takes `exclude` instead of `{name}`: regular "
                    "expressions of the paths of variables. Received: "
                    f"{name}={kwargs[name]!r}"
                )
        for value in ("adam_lr_ratio", "weight_decay", "adam_weight_decay"):
            if kwargs.get(value) is not None:
                check_number(value, kwargs[value])
        if rms_rate is not None:
            check_number("rms_rate", rms_rate, positive=True)
        check_bool("normalize_weights", normalize_weights)
        check_number("momentum", momentum)
        check_integer("ns_steps", ns_steps, minimum=1)
        exclude = _checked_expressions(exclude)
        if not 0 <= momentum < 1:
            raise ValueError(
                f"`momentum` must be in [0, 1). Received: momentum={momentum}"
            )
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            ns_steps=ns_steps,
            rms_rate=rms_rate,
            exclude_layers=exclude,
            exclude_embeddings=False,
            **kwargs,
        )
        self.normalize_weights = normalize_weights

    def build(self, var_list: Sequence[keras.Variable]) -> None:
        if not self.built and all(map(self._should_use_adamw, var_list)):
            raise ValueError(
                "Muon orthogonalizes kernels with at least two rows and two "
                "columns, and there is none that `exclude` leaves. Use "
                "keras.optimizers.AdamW. Received: "
                f"{[(v.path, tuple(v.shape)) for v in var_list]}, "
                f"exclude={self.exclude_layers}"
            )
        super().build(var_list)

    def _should_use_adamw(self, variable):
        shape = variable.shape
        if not variable.name.endswith("kernel") or len(shape) < 2:
            return True
        if shape[-1] < 2 or math.prod(shape[:-1]) < 2:
            return True
        # Keras's own rule, of which only the paths are left.
        return super()._should_use_adamw(_Matrix(variable.path))

    def _muon_update_step(self, gradient, variable, lr, m):
        if self.normalize_weights:
            value = ops.convert_to_tensor(variable)
            square = ops.sum(ops.square(value))
            factor = math.sqrt(variable.shape[-1]) * ops.rsqrt(square + 1e-12)
            self.assign(variable, value * factor)
        super()._muon_update_step(
            ops.cast(gradient, variable.dtype),
            variable,
            ops.cast(lr, variable.dtype),
            m,
        )

    def zeropower_via_newtonschulz5(self, x: Tensor, steps: int) -> Tensor:
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        matrix = super().zeropower_via_newtonschulz5(matrix, steps)
        return ops.reshape(matrix, x.shape)

    def lr_adjust(self, x: Tensor) -> Tensor:
        if self.rms_rate is None:
            return x
        longest = max(math.prod(x.shape[:-1]), x.shape[-1])
        return x * (self.rms_rate * math.sqrt(longest))

    def get_config(self) -> Config:
        config = super().get_config()
        del config["exclude_embeddings"]
        config["exclude"] = config.pop("exclude_layers")
        config["normalize_weights"] = self.normalize_weights
        return config


def _checked_expressions(exclude):
    """Regular expressions as a list; raises if they are none."""
    exclude = [exclude] if isinstance(exclude, str) else exclude
    try:
        for expression in exclude:
            re.compile(expression)
    except (TypeError, re.error) as error:
        raise ValueError(
            "`exclude` must be a regular expression or a list of them, of the "
            f"paths of variables; [] for none. Received: exclude={exclude!r} "
            f"({error})"
        ) from None
    return list(exclude)


class _Matrix:
    """A variable as Keras's rule wants to see it."""

    shape = (2, 2)

    def __init__(self, path):
        self.path = path
