from typing import Any

from keras_ff.layers.masks import with_mask


class LocalCall:
    """A local layer of a graph whose turn it is.

    Args:
        index: int, the number of the layer.
        layer: the local layer.
        args, kwargs: what it is called with.
        give: function that takes its features, for the layers that follow.
    """

    def __init__(self, index, layer, args, kwargs, give):
        self.index = index
        self.layer = layer
        self._args: Any = args
        self._kwargs: Any = kwargs
        self._give = give

    def __call__(self, **kwargs):
        """Runs the layer; returns its features and its goodness.

        Args:
            **kwargs: further keyword arguments of its call.
        """
        return self.layer(*self._args, **self._kwargs, **kwargs)

    def activation(self):
        """The activation that the layer's goodness head sees."""
        return self.layer.activate(*self._args, **self._kwargs)

    def give(self, features, mask=None):
        """Hands features on to the layers that follow.

        What the layer was called with is let go.

        Args:
            features: tensor.
            mask: of its steps, if they lost it on their way.
        """
        self._give(with_mask(features, mask))
        self._args = self._kwargs = None

    def run(self):
        """Runs the layer and hands its features on; returns its goodness."""
        features, goodness = self()
        self.give(features)
        return goodness
