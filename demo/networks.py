"""The same network twice: six convolutions on images of 8 x 8 pixels."""

import keras

import keras_ff


def forward_only(settings):
    """Every convolution is a local layer that learns from its own loss."""
    layers = [keras.Input((8, 8, 1))]
    for i, filters in enumerate(settings.filters):
        if i == len(settings.filters) // 2:
            layers.append(keras.layers.AveragePooling2D(2))
        layers.append(
            keras_ff.layers.CAWConv2D(
                filters,
                3,
                num_classes=10,
                padding="same",
                dropout=settings.dropout,
                temperature=settings.temperature,
                # A little noise, so that the kernels learn from step one.
                assignment_initializer=keras.initializers.RandomNormal(
                    0.5, 0.1
                ),
                name=f"conv{i + 1}",
            )
        )
    return keras_ff.models.ForwardOnlyModel(
        layers,
        contribution=keras_ff.contributions.LossAware(),
        layer_metrics=True,
        name="forward_only",
    )


def backprop(settings):
    """The same convolutions in the same order, with one loss at the end."""
    layers = [keras.Input((8, 8, 1))]
    for i, filters in enumerate(settings.filters):
        if i == len(settings.filters) // 2:
            layers.append(keras.layers.AveragePooling2D(2))
        if i:
            # What `CAWConv2D` hands on is normalized like this. The last
            # activation is not, as its mean over the map is what counts.
            layers.append(
                keras.layers.GroupNormalization(
                    groups=-1, epsilon=1e-5, center=False, scale=False
                )
            )
        layers += [
            keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"conv{i + 1}",
            ),
            keras.layers.Dropout(settings.dropout),
        ]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    return keras.Sequential(layers, name="backprop")
