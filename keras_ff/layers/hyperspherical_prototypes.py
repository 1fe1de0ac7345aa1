from typing import Any
from typing import Self

import keras
import numpy as np
from keras import ops

from keras_ff.checks import check_integer
from keras_ff.layers.composite_layer import serialize_part
from keras_ff.layers.masks import check_takes_mask
from keras_ff.layers.masks import pass_masks
from keras_ff.layers.masks import with_mask
from keras_ff.layers.pooled_head import PooledHead
from keras_ff.layers.tracing import symbols
from keras_ff.layers.unit_norm import unit_norm
from keras_ff.layers.unit_norm import without_dead
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class HypersphericalPrototypes(PooledHead):
    """Goodness by the angle to unit-norm prototypes of the classes.

    The head of HFF. The activation is embedded and put on the unit sphere;
    the score of a class is the cosine to its prototype, or a smooth maximum
    of the cosines to its several prototypes:

    ```
    z = u / max(|u|, epsilon),  u = pool(embedding(activation))
    score_k = logsumexp_j(beta * z . p_kj / |p_kj|) / beta
    ```

    in float32. The scores are bounded: train them with
    `keras_ff.losses.SmoothMarginLoss`, which scales them. `head.prototypes`
    holds `p`, of shape `(num_classes, prototypes_per_class, dimensions)`.

    Args:
        num_classes: int, at least 2.
        prototypes_per_class: int, at least 1. Defaults to `1`.
        beta: positive float, the sharpness of the smooth maximum. It changes
            nothing with one prototype per class. Defaults to `10.0`.
        embedding: a Keras layer from the activation to what is compared with
            the prototypes, trained with the head, or `None`. HFF's auxiliary
            convolution. Defaults to `None`.
        pooling: how a map becomes a vector: `"average"`, `"flatten"`, or an
            int `n`, a grid of `n` by `n` averages. Defaults to `"average"`.
        prototype_initializer: initializer of the prototypes, for instance
            `"random_normal"` (uniform on the sphere), `"orthogonal"` or
            `keras_ff.initializers.MaximallySeparated()`. To start from class
            means, see `adapt` and `keras_ff.models.adapt_prototypes`.
            Defaults to `"random_normal"`.
        learnable_prototypes: bool. Defaults to `True`.
        epsilon: float, the least norm that is divided by. Defaults to `1e-6`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Input shape:
        `(batch, ..., channels)`, any number of spatial axes.

    Output shape:
        `(batch, num_classes)`, float32, within `[-1, 1]` for one prototype
        per class.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    ```python
    block = keras_ff.layers.LocalBlock(
        keras.layers.Dense(256, activation="relu"),
        goodness=keras_ff.layers.HypersphericalPrototypes(10),
        normalization="layer",
    )
    ```

    Reference:

    - [Sarode et al., 2026](https://arxiv.org/abs/2605.00082)
    """

    independent_classes = True

    def __init__(
        self,
        num_classes: int,
        prototypes_per_class: int = 1,
        beta: float = 10.0,
        embedding: keras.layers.Layer | None = None,
        pooling: int | str = "average",
        prototype_initializer: Initializer = "random_normal",
        learnable_prototypes: bool = True,
        epsilon: float = 1e-6,
        data_format: DataFormat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, pooling, data_format, **kwargs)
        check_integer("prototypes_per_class", prototypes_per_class, minimum=1)
        for name, value in (("beta", beta), ("epsilon", epsilon)):
            if not 0 < value < float("inf"):
                raise ValueError(
                    f"`{name}` must be positive and finite. "
                    f"Received: {name}={value}"
                )
        if embedding is not None and not isinstance(embedding, keras.Layer):
            raise TypeError(
                "`embedding` must be a Keras layer or None. Received: "
                f"embedding={embedding!r} of type {type(embedding).__name__}"
            )
        self.prototypes_per_class = int(prototypes_per_class)
        self.beta = beta
        self.embedding = embedding
        self.prototype_initializer = keras.initializers.get(
            prototype_initializer
        )
        self.learnable_prototypes = learnable_prototypes
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        embedded = symbols(tuple(input_shape), self.compute_dtype)
        if self.embedding is not None:
            pass_masks(self.embedding)
            embedded = self.embedding(embedded)
        self.prototypes = self.add_weight(
            name="prototypes",
            shape=(
                self.num_classes,
                self.prototypes_per_class,
                self.pooled_shape(embedded.shape)[1],
            ),
            initializer=self.prototype_initializer,
            trainable=self.learnable_prototypes,
            dtype=self.score_dtype,
            autocast=False,
        )

    def embed(self, activation: Tensor) -> Tensor:
        """Puts an activation on the unit sphere.

        Returns:
            Float32 tensor of shape `(batch, dimensions)`, of norm 1 (or 0
            where the activation is 0).
        """
        if self.embedding is not None:
            check_takes_mask(self.embedding, activation, self)
            activation = self.embedding(activation)
        u = self.pool(activation)
        return unit_norm(without_dead(u), self.epsilon)

    def unit_prototypes(self) -> Tensor:
        """The prototypes on the unit sphere.

        Returns:
            Float32 tensor of shape `(num_classes, prototypes_per_class,
            dimensions)`.
        """
        return unit_norm(ops.convert_to_tensor(self.prototypes), self.epsilon)

    def cosines(self, activation: Tensor) -> Tensor:
        """The cosines of an activation to all prototypes.

        Returns:
            Float32 tensor of shape `(batch, num_classes,
            prototypes_per_class)`.
        """
        flat = ops.reshape(
            self.unit_prototypes(), (-1, self.prototypes.shape[-1])
        )
        cosines = ops.matmul(self.embed(activation), ops.transpose(flat))
        return ops.reshape(
            cosines, (-1, self.num_classes, self.prototypes_per_class)
        )

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        cosines = self.cosines(with_mask(inputs, mask))
        if self.prototypes_per_class == 1:
            return ops.squeeze(cosines, axis=-1)
        return ops.logsumexp(self.beta * cosines, axis=-1) / self.beta

    def adapt(
        self, activation: Tensor, labels: Tensor, rounds: int = 10
    ) -> None:
        """Moves the prototypes to the mean directions of their classes.

        With several prototypes a class, its embeddings are clustered by
        cosine (spherical k-means, started by k-means++). A class without
        samples keeps its prototypes, as does one whose embeddings are all
        zero.

        Args:
            activation: what the head is called with.
            labels: class numbers, of shape `(batch,)`.
            rounds: int, rounds of clustering.
        """
        embedded = ops.convert_to_numpy(self.embed(activation))
        labels = np.asarray(labels).reshape(-1)
        if len(labels) != len(embedded):
            raise ValueError(
                "There must be one label a sample. Received: "
                f"{len(embedded)} samples, {len(labels)} labels"
            )
        prototypes = np.array(ops.convert_to_numpy(self.prototypes))
        for k in range(self.num_classes):
            of_class = embedded[labels == k]
            of_class = of_class[np.any(of_class != 0, axis=-1)]
            if len(of_class):
                prototypes[k] = _mean_directions(
                    of_class, prototypes[k], rounds
                )
        self.prototypes.assign(prototypes)

    def get_config(self) -> Config:
        config = super().get_config()
        embedding = self.embedding
        config.update(
            prototypes_per_class=self.prototypes_per_class,
            beta=self.beta,
            embedding=embedding and serialize_part(embedding, self),
            prototype_initializer=keras.initializers.serialize(
                self.prototype_initializer
            ),
            learnable_prototypes=self.learnable_prototypes,
            epsilon=self.epsilon,
        )
        return config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        config = dict(config)
        config["embedding"] = keras.saving.deserialize_keras_object(
            config["embedding"]
        )
        return super().from_config(config)


def _mean_directions(samples, prototypes, rounds):
    """Unit-norm centers of unit-norm samples, one a row of `prototypes`."""
    number = len(prototypes)
    norms = np.linalg.norm(prototypes, axis=-1, keepdims=True)
    centers = prototypes / np.where(norms > 0, norms, 1)
    groups = np.zeros(len(samples), int)
    if number > 1:
        groups = np.argmax(samples @ _starts(samples, number).T, axis=-1)
    for _ in range(rounds if number > 1 else 1):
        for j in range(number):
            total = samples[groups == j].sum(axis=0)
            norm = np.linalg.norm(total)
            if norm > 0:
                centers[j] = total / norm
        groups = np.argmax(samples @ centers.T, axis=-1)
    return centers


def _starts(samples, number):
    """Samples apart from each other, drawn as by greedy k-means++."""
    rng = np.random.default_rng(0)
    samples = samples.astype("float64")
    chosen = [rng.integers(len(samples))]
    while len(chosen) < number:
        # On the sphere the squared distance is 2 - 2 cos.
        distance = np.min(1 - samples @ samples[chosen].T, axis=-1)
        distance = np.where(distance > 1e-6, distance, 0)
        if not distance.any():
            break
        drawn = rng.choice(len(samples), size=8, p=distance / distance.sum())
        to_drawn = 1 - samples @ samples[drawn].T
        left = np.minimum(distance[:, None], to_drawn).sum(axis=0)
        chosen.append(drawn[np.argmin(left)])
    return samples[chosen]
