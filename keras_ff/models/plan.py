import functools
from collections.abc import Collection
from typing import Any

import keras
from keras import tree

from keras_ff import keras_private
from keras_ff.layers import LocalLayer
from keras_ff.models.local_call import LocalCall


class Plan:
    """Layers of a graph in the order in which they run.

    A tensor is kept no longer than to its last use.

    Args:
        nodes: list of nodes of a functional graph.
        numbers: dict from the key (the identity) of a symbolic goodness
            tensor to the number of its local layer.
        kept: set of the keys of tensors that are used after the plan, too.
    """

    def __init__(self, nodes, numbers, kept: Collection[Any] = frozenset()):
        self.operations = [node.operation for node in nodes]
        self._nodes = nodes
        self._numbers = numbers
        self._finished = [
            [key for key in keys if key not in kept]
            for keys in _used_last(nodes)
        ]

    def walk(self, tensors, training, arguments=None):
        """Runs the layers; the local ones are the caller's to run.

        ```
        for call in plan.walk(tensors, training):
            goodness[call.index] = call.run()
        ```

        Args:
            tensors: dict from keys to tensors; it holds the inputs and, at
                the end, the outputs that are kept.
            training: bool, or `None` for what the graph says.
            arguments: dict from the name of a layer that is not local to
                further keyword arguments of its call.

        Yields:
            A `LocalCall` for each local layer. Its features must be given
            before the next.
        """
        for node, finished in zip(self._nodes, self._finished):
            layer = node.operation
            args, kwargs = keras_private.call_arguments(node, tensors)
            if training is not None and isinstance(layer, keras.Layer):
                # As in Keras, over what was given when the graph was made.
                kwargs = {**kwargs, "training": training}
            if isinstance(layer, LocalLayer):
                features, goodness = map(id, node.outputs)
                give = functools.partial(tensors.__setitem__, features)
                number = self._numbers[goodness]
                call = LocalCall(number, layer, args, kwargs, give)
                del args, kwargs
                yield call
            else:
                kwargs.update((arguments or {}).get(layer.name, {}))
                outputs = tree.flatten(layer(*args, **kwargs))
                for symbol, value in zip(node.outputs, outputs):
                    tensors[id(symbol)] = value
                del args, kwargs, outputs
            for key in finished:
                tensors.pop(key, None)


def _used_last(nodes):
    """The keys of what each of the nodes uses for the last time."""
    last = {}
    for i, node in enumerate(nodes):
        for symbol in [*node.input_tensors, *node.outputs]:
            last[id(symbol)] = i
    finished = [[] for _ in nodes]
    for key, i in last.items():
        finished[i].append(key)
    return finished
