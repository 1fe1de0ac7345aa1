"""The local layers and goodness heads that the batteries run on.

A new local layer is one line in `LAYERS`, a new head one line in `HEADS`.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.arrays import perturb

from keras_ff import layers
from keras_ff import regularizers

NUM_CLASSES = 3
BATCH = 8
# The spacing of the numbers next to 1.
MIXED = {"mixed_bfloat16": 2.0**-7, "mixed_float16": 2.0**-10}


class Case(NamedTuple):
    make: Callable
    input_shape: tuple
    trainable: int
    # Whether the outputs depend on `training`.
    trains_differently: bool = False
    # Checks of the battery that it is not to hold.
    skip: tuple = ()


def constant(value):
    # JAX compiles a generator of random numbers for every shape; weights are
    # perturbed before they are used.
    return keras.initializers.Constant(value)


def map_channels():
    first = keras.config.image_data_format() == "channels_first"
    return 1 if first else -1


LAYERS = {
    "caw_conv2d": Case(
        lambda: layers.CAWConv2D(6, 3, NUM_CLASSES, padding="same"),
        (6, 5, 2),
        trainable=3,
        trains_differently=True,
    ),
    "caw_conv2d_customized": Case(
        lambda: layers.CAWConv2D(
            8,
            (3, 2),
            NUM_CLASSES,
            dropout=0.0,
            normalization="rms",
            strides=(2, 1),
            groups=2,
            activation="gelu",
            use_bias=True,
            kernel_initializer=constant(0.5),
            bias_initializer=constant(0.6),
            kernel_regularizer=keras.regularizers.L2(0.03),
            bias_regularizer=keras.regularizers.L1(0.02),
            activity_regularizer=keras.regularizers.L1(0.01),
            kernel_constraint=keras.constraints.MaxNorm(3.0),
            bias_constraint=keras.constraints.MaxNorm(2.0),
            pooling=(0.5, 0.2, 0.1),
            temperature=2.0,
            learnable_temperature=False,
            temperature_decay=0.9,
            temperature_range=(0.5, 4.0),
            assignment_initializer=constant(0.7),
            learnable_assignment=False,
            assignment_regularizers=[
                regularizers.AssignmentEntropy(0.1, 7, "normalized"),
                keras.regularizers.L2(0.04),
            ],
        ),
        (6, 5, 4),
        trainable=2,
        # Keras regularizes the activity of samples of weight zero, too.
        skip=("sample_weights",),
    ),
    "cw_conv2d": Case(
        lambda: layers.CWConv2D(6, 3, NUM_CLASSES, padding="same"),
        (6, 5, 2),
        trainable=1,
        trains_differently=True,
    ),
    "cw_conv2d_customized": Case(
        lambda: layers.CWConv2D(
            9,
            2,
            NUM_CLASSES,
            dropout=0.0,
            normalization="layer",
            kernel_initializer=constant(0.5),
            kernel_regularizer=keras.regularizers.L1(0.02),
            dilation_rate=2,
            activation="softplus",
        ),
        (6, 5, 2),
        trainable=1,
    ),
    "caw_dense": Case(
        lambda: layers.CAWDense(6, NUM_CLASSES),
        (5,),
        trainable=3,
        trains_differently=True,
    ),
    "caw_dense_customized": Case(
        lambda: layers.CAWDense(
            6,
            NUM_CLASSES,
            activation="softplus",
            use_bias=True,
            dropout=0.0,
            normalization="group",
            kernel_initializer=constant(0.5),
            bias_initializer=constant(0.6),
            kernel_regularizer=keras.regularizers.L2(0.02),
            bias_regularizer=keras.regularizers.L1(0.02),
            kernel_constraint=keras.constraints.MaxNorm(3.0),
            bias_constraint=keras.constraints.MaxNorm(2.0),
            temperature=1.0,
            temperature_range=(0.2, 3.0),
            assignment_initializer=constant(0.7),
            assignment_regularizers=[
                regularizers.AssignmentOrthogonality(0.3, 0, "normalized")
            ],
        ),
        (5,),
        trainable=4,
    ),
    "caw_conv1d": Case(
        lambda: layers.CAWConv1D(6, 3, NUM_CLASSES, padding="causal"),
        (20, 2),
        trainable=3,
        trains_differently=True,
    ),
    "cw_conv1d": Case(
        lambda: layers.CWConv1D(6, 3, NUM_CLASSES, padding="same"),
        (20, 2),
        trainable=1,
        trains_differently=True,
    ),
    "prototype_conv2d": Case(
        lambda: layers.PrototypeConv2D(
            6, 3, NUM_CLASSES, embedding_size=5, padding="same"
        ),
        (6, 5, 2),
        trainable=3,
    ),
    "prototype_conv2d_customized": Case(
        lambda: layers.PrototypeConv2D(
            8,
            (3, 2),
            NUM_CLASSES,
            embedding_size=None,
            embedding_kernel_size=3,
            dropout=0.2,
            normalization="rms",
            use_bias=True,
            kernel_initializer=constant(0.5),
            kernel_regularizer=keras.regularizers.L2(0.03),
            prototypes_per_class=2,
            beta=4.0,
            pooling=2,
            prototype_initializer=constant(0.3),
            learnable_prototypes=False,
            epsilon=1e-4,
        ),
        (6, 5, 2),
        trainable=2,
        trains_differently=True,
    ),
    "prototype_conv1d_customized": Case(
        lambda: layers.PrototypeConv1D(
            8,
            3,
            NUM_CLASSES,
            embedding_size=5,
            embedding_kernel_size=2,
            embedding_initializer=constant(0.4),
            dropout=0.2,
            normalization="rms",
            padding="causal",
            dilation_rate=2,
            use_bias=True,
            kernel_initializer=constant(0.5),
            kernel_regularizer=keras.regularizers.L2(0.03),
            prototypes_per_class=2,
            beta=4.0,
            prototype_initializer=constant(0.3),
            learnable_prototypes=False,
            epsilon=1e-4,
        ),
        (20, 2),
        trainable=3,
        trains_differently=True,
    ),
    "prototype_dense": Case(
        lambda: layers.PrototypeDense(6, NUM_CLASSES),
        (5,),
        trainable=3,
    ),
    "prototype_dense_customized": Case(
        lambda: layers.PrototypeDense(
            6,
            NUM_CLASSES,
            embedding_size=4,
            embedding_initializer=constant(0.4),
            use_bias=False,
            dropout=0.2,
            normalization="layer",
            kernel_initializer=constant(0.5),
            kernel_regularizer=keras.regularizers.L2(0.03),
            activation="softplus",
            prototypes_per_class=2,
            beta=4.0,
            prototype_initializer=constant(0.3),
            learnable_prototypes=False,
            epsilon=1e-4,
        ),
        (5,),
        trainable=2,
        trains_differently=True,
    ),
    # Its candidates stand where other layers have classes.
    "ff_dense": Case(
        lambda: layers.FFDense(6),
        (NUM_CLASSES, 5),
        trainable=2,
    ),
    "ff_dense_customized": Case(
        lambda: layers.FFDense(
            6,
            reduction="mean",
            threshold=0.5,
            peer_normalization=0.03,
            peer_momentum=0.8,
            activation="softplus",
            use_bias=False,
            dropout=0.2,
            kernel_initializer=constant(0.5),
        ),
        (NUM_CLASSES, 5),
        trainable=1,
        trains_differently=True,
        # Units are held against their mean activity in the batch.
        skip=("sample_weights",),
    ),
    "block_dense": Case(
        lambda: layers.LocalBlock(
            [
                keras.layers.Dense(6, kernel_initializer=constant(0.4)),
                keras.layers.ReLU(),
                keras.layers.Dropout(0.5),
            ],
            layers.GoodnessProjection(
                NUM_CLASSES, kernel_initializer=constant(0.9)
            ),
            normalization="layer",
        ),
        (5,),
        trainable=3,
        trains_differently=True,
    ),
    "block_batch_norm": Case(
        lambda: layers.LocalBlock(
            [
                keras.layers.Conv2D(
                    6,
                    3,
                    padding="same",
                    use_bias=False,
                    kernel_initializer=constant(0.4),
                ),
                keras.layers.BatchNormalization(axis=map_channels()),
                keras.layers.ReLU(),
            ],
            layers.ChannelGroups(NUM_CLASSES),
            normalization="group",
        ),
        (6, 5, 2),
        trainable=3,
        trains_differently=True,
    ),
    "block_projected_map": Case(
        lambda: layers.LocalBlock(
            keras.layers.Conv2D(
                6,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=constant(0.4),
            ),
            layers.GoodnessProjection(
                NUM_CLASSES,
                use_bias=True,
                kernel_initializer=constant(0.9),
                kernel_regularizer=keras.regularizers.L2(0.1),
            ),
        ),
        (6, 5, 2),
        trainable=4,
    ),
}


class Head(NamedTuple):
    make: Callable
    input_shape: tuple
    # Class scores in NumPy, from the head and an activation.
    reference: Callable
    trainable: int


def _assigned(head, x):
    m = ref.shares(numpy(head.assignment), numpy(head.log_temperature))
    return ref.pool(x) @ m


def _assigned_dense(head, x):
    m = ref.shares(numpy(head.assignment), numpy(head.log_temperature))
    return x @ m


def _projected(head, x):
    return x.reshape(len(x), -1, x.shape[-1]).mean(1) @ numpy(
        head.projection.kernel
    )


def _projected_flat(head, x):
    return x.reshape(len(x), -1) @ numpy(head.projection.kernel) + numpy(
        head.projection.bias
    )


def _prototypes(head, x):
    return ref.prototype_scores(x, numpy(head.prototypes), head.beta)


def _embedded_prototypes(head, x):
    u = x.reshape(len(x), -1, x.shape[-1]).mean(1)
    u = u @ numpy(head.embedding.kernel)
    return ref.prototype_scores(u, numpy(head.prototypes), head.beta)


def _grid_prototypes(head, x):
    u = ref.average_pool(x, 2).reshape(len(x), -1)
    return ref.prototype_scores(u, numpy(head.prototypes), head.beta)


HEADS = {
    "prototypes": Head(
        lambda: layers.HypersphericalPrototypes(
            NUM_CLASSES, prototype_initializer=constant(0.2)
        ),
        (6,),
        _prototypes,
        1,
    ),
    "prototypes_several": Head(
        lambda: layers.HypersphericalPrototypes(
            NUM_CLASSES,
            prototypes_per_class=3,
            beta=5.0,
            prototype_initializer=constant(0.2),
        ),
        (6,),
        _prototypes,
        1,
    ),
    "prototypes_embedded_map": Head(
        lambda: layers.HypersphericalPrototypes(
            NUM_CLASSES,
            # Linear: the mean may be taken before or after it.
            embedding=keras.layers.Dense(
                5,
                use_bias=False,
                kernel_initializer=constant(0.4),
                dtype="float32",
            ),
            prototype_initializer=constant(0.2),
        ),
        (5, 6),
        _embedded_prototypes,
        2,
    ),
    "prototypes_grid": Head(
        lambda: layers.HypersphericalPrototypes(
            NUM_CLASSES,
            prototypes_per_class=2,
            pooling=2,
            prototype_initializer=constant(0.2),
        ),
        (4, 4, 3),
        _grid_prototypes,
        1,
    ),
    "groups": Head(
        lambda: layers.ChannelGroups(NUM_CLASSES),
        (4, 5, 6),
        lambda head, x: ref.group_mean(x, NUM_CLASSES),
        0,
    ),
    "groups_dense": Head(
        lambda: layers.ChannelGroups(NUM_CLASSES),
        (9,),
        lambda head, x: ref.group_mean(x, NUM_CLASSES),
        0,
    ),
    "groups_sequence": Head(
        lambda: layers.ChannelGroups(NUM_CLASSES),
        (5, 6),
        lambda head, x: ref.group_mean(x, NUM_CLASSES),
        0,
    ),
    "assignment": Head(
        lambda: layers.ChannelClassAssignment(NUM_CLASSES),
        (4, 5, 7),
        _assigned,
        2,
    ),
    "assignment_dense": Head(
        lambda: layers.ChannelClassAssignment(NUM_CLASSES),
        (7,),
        _assigned_dense,
        2,
    ),
    "assignment_sequence": Head(
        lambda: layers.ChannelClassAssignment(NUM_CLASSES),
        (5, 7),
        _assigned,
        2,
    ),
    "projection": Head(
        lambda: layers.GoodnessProjection(
            NUM_CLASSES, kernel_initializer=constant(0.1)
        ),
        (4, 5, 6),
        _projected,
        1,
    ),
    "projection_dense": Head(
        lambda: layers.GoodnessProjection(
            NUM_CLASSES, kernel_initializer=constant(0.1)
        ),
        (6,),
        _projected,
        1,
    ),
    "projection_flat": Head(
        lambda: layers.GoodnessProjection(
            NUM_CLASSES,
            pooling="flatten",
            use_bias=True,
            kernel_initializer=constant(0.1),
        ),
        (3, 2, 4),
        _projected_flat,
        2,
    ),
}


IMAGE_LAYERS = [n for n, c in LAYERS.items() if len(c.input_shape) == 3]
DENSE_LAYERS = [n for n in LAYERS if "dense" in n]


def batch(shape, seed=0):
    return normal((BATCH, *shape), seed)


def built(name):
    """A layer whose weights are all off their initial values."""
    case = LAYERS[name]
    layer = case.make()
    layer.build((None, *case.input_shape))
    return perturb(layer)


def built_head(name):
    head = HEADS[name].make()
    head.build((None, *HEADS[name].input_shape))
    return perturb(head)


def dtype_of(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)
