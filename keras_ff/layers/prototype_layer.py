import keras

from keras_ff.layers.hyperspherical_prototypes import HypersphericalPrototypes

HEAD_ARGUMENTS = (
    "prototypes_per_class",
    "beta",
    "pooling",
    "prototype_initializer",
    "learnable_prototypes",
    "epsilon",
)


def prototype_head(num_classes, kwargs, embedding, data_format=None):
    """Makes the head of an HFF layer, taking its arguments out of `kwargs`."""
    arguments = {
        name: kwargs.pop(name) for name in HEAD_ARGUMENTS if name in kwargs
    }
    return HypersphericalPrototypes(
        num_classes,
        embedding=embedding,
        data_format=data_format,
        dtype=kwargs.get("dtype"),
        name="prototype_head",
        **arguments,
    )


class PrototypeLayer:
    """What local layers with hyperspherical prototypes share."""

    @property
    def prototypes(self):
        return self.head.prototypes

    @prototypes.setter
    def prototypes(self, value):
        self.head.prototypes.assign(value)

    def get_config(self):
        config = super().get_config()
        head = self.head.get_config()
        config.update({name: head[name] for name in HEAD_ARGUMENTS})
        config["num_classes"] = self.head.num_classes
        config["embedding_size"] = self.embedding_size
        config["embedding_initializer"] = keras.initializers.serialize(
            self.embedding_initializer
        )
        return config
