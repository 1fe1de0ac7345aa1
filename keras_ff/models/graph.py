import keras

from keras_ff import keras_private
from keras_ff.layers import LocalLayer
from keras_ff.models.dead_pooling import check_pooling
from keras_ff.models.plan import Plan
from keras_ff.models.stage import Stage
from keras_ff.models.trainers import Loops


class LayerGraph:
    """The order in which a functional model's layers run.

    One walk serves training, evaluation, pruned prediction and early exit.

    Args:
        model: a functional model whose last layer combines the goodness of
            its local layers.
        readout: that last layer.

    Attributes:
        local_layers: list of the local layers, in the order of their
            goodness.
        goodness_tensors: list of their symbolic goodness.
        running_order: list of the numbers of the local layers, in the order
            in which they run.
    """

    def __init__(self, model, readout):
        self._model = model
        self._nodes = [
            node
            for node in keras_private.nodes(model)
            if not node.is_input and node.operation is not readout
        ]
        self.goodness_tensors = goodness_tensors(model, readout)
        self.local_layers = self._find_local_layers()
        check_pooling(self._nodes)
        self._index = {id(x): i for i, x in enumerate(self.goodness_tensors)}
        self.running_order = [
            self._index[id(node.outputs[1])]
            for node in self._nodes
            if isinstance(node.operation, LocalLayer)
        ]
        self._plans = {}
        self._stages = {}
        self._goodness_model = None

    def _find_local_layers(self):
        found = {}
        for node in self._nodes:
            layer = node.operation
            if not isinstance(layer, LocalLayer):
                check_not_trainable(layer)
                continue
            if any(n.operation is layer for n in found.values()):
                raise ValueError(
                    f"Local layer '{layer.name}' is used more than once in "
                    "the graph. A local layer has one input and one local "
                    "loss: make a second layer instead."
                )
            found[id(node.outputs[1])] = node
        names = [node.operation.name for node in found.values()]
        for tensor in self.goodness_tensors:
            if id(tensor) not in found:
                raise ValueError(
                    "Every output of a ForwardOnlyModel must be the goodness "
                    "(the second output) of a local layer. Received: "
                    f"{tensor}. Local layers: {names}"
                )
        order = {id(x): i for i, x in enumerate(self.goodness_tensors)}
        for key, node in found.items():
            if key not in order:
                raise ValueError(
                    f"The goodness of local layer '{node.operation.name}' is "
                    "not among the model's outputs, so the layer would never "
                    "learn. Add it to `outputs`."
                )
        if len(order) < len(self.goodness_tensors):
            raise ValueError("The same goodness is given twice in `outputs`.")
        return [found[id(x)].operation for x in self.goodness_tensors]

    def symbols(self):
        """All symbolic tensors of the graph, by their keys."""
        found = {id(x): x for x in self._model.inputs}
        for node in self._nodes:
            found.update((id(x), x) for x in node.outputs)
        return found

    def check_trainable(self):
        """Raises if no local loss would train what is to be trained."""
        for node in self._nodes:
            layer = node.operation
            if not isinstance(layer, LocalLayer):
                check_not_trainable(layer)
            if isinstance(layer, keras.Layer) and not layer.trainable:
                _check_frozen(layer)

    def walk(self, inputs, training, needed=None, arguments=None):
        """Runs the layers in order; the local ones are the caller's to run.

        Args:
            inputs: what the model is called with.
            training, arguments: see `Plan.walk`.
            needed: tuple of the numbers of the local layers that are wanted.
                Layers on which none of them depends are not run. Defaults to
                all.

        Returns:
            An iterator over `LocalCall`s, see `Plan.walk`.
        """
        tensors = self.input_tensors(inputs)
        return self._plan(needed).walk(tensors, training, arguments)

    def input_tensors(self, inputs):
        """What the model is called with, as a dict by the keys of tensors."""
        values = keras_private.standardized_inputs(self._model, inputs)
        return {id(x): value for x, value in zip(self._model.inputs, values)}

    def _plan(self, needed):
        if needed not in self._plans:
            nodes = self._nodes
            if needed is not None:
                nodes = self._ancestors(
                    [self.goodness_tensors[i] for i in needed]
                )
            self._plans[needed] = Plan(nodes, self._index)
        return self._plans[needed]

    def _ancestors(self, tensors):
        wanted = {id(x) for x in tensors}
        nodes = []
        for node in reversed(self._nodes):
            if any(id(x) in wanted for x in node.outputs):
                nodes.append(node)
                wanted.update(id(x) for x in node.input_tensors)
        return nodes[::-1]

    def stages(self, exits):
        """The graph in parts, each from one exit to the next.

        Args:
            exits: tuple of the numbers of the local layers after which a
                sample may leave, in the order in which they run.

        Returns:
            List of `Stage`s. Layers on which no exit depends are in none of
            them, and a layer is in the first that needs it.
        """
        if exits not in self._stages:
            self._stages[exits] = self._make_stages(exits)
        return self._stages[exits]

    def _make_stages(self, exits):
        parts, done = [], set()
        for i in exits:
            nodes = self._ancestors([self.goodness_tensors[i]])
            parts.append([node for node in nodes if id(node) not in done])
            done.update(id(node) for node in nodes)
        stages, alive = [], set()
        for i, nodes in reversed(list(zip(exits, parts))):
            made = {id(x) for node in nodes for x in node.outputs}
            used = {id(x) for node in nodes for x in node.input_tensors}
            stages.append(
                Stage(
                    plan=Plan(nodes, self._index, kept=alive),
                    exit=i,
                    takes=sorted(used - made),
                    gives=sorted(alive & made),
                    alive=sorted(alive),
                )
            )
            alive = (alive | used) - made
        return stages[::-1]

    def goodness_model(self):
        """A model from the inputs to goodness `(batch, layers, classes)`."""
        if self._goodness_model is None:
            self._goodness_model = GoodnessModel(
                self._model.input,
                keras.ops.stack(self.goodness_tensors, axis=1),
            )
        return self._goodness_model


class GoodnessModel(Loops, keras.Model):
    """It shares its layers, and so its weights, with another model."""


def goodness_tensors(model, readout):
    """The symbolic goodness of every layer that a readout combines."""
    (node,) = [
        node for node in keras_private.nodes(model) if node.operation is readout
    ]
    return node.input_tensors


def check_not_trainable(layer):
    """Raises if a layer that is not local would have to learn."""
    if not isinstance(layer, keras.Layer):
        return
    nested = [
        part.name
        for part in keras_private.all_layers(layer, include_self=False)
        if isinstance(part, LocalLayer)
    ]
    if nested:
        raise ValueError(
            f"Layer '{layer.name}' contains local layers ({nested}), whose "
            "goodness the model cannot reach. Put them into the graph "
            "directly."
        )
    if layer.trainable_variables:
        kind = type(layer).__name__
        raise ValueError(
            f"Layer '{layer.name}' ({kind}) has trainable weights but is not "
            "a local layer: no local loss would train it. Make it one, "
            "keras_ff.layers.LocalBlock([keras.layers."
            f"{kind}(...)], goodness=keras_ff.layers.GoodnessProjection("
            "num_classes)), or freeze it with `layer.trainable = False`."
        )


def _check_frozen(layer):
    thawed = [v.path for v in layer.weights if v.trainable]
    if thawed:
        raise ValueError(
            f"Layer '{layer.name}' is frozen, but not all of its weights are: "
            f"{thawed}. Set `layer.trainable = True` and freeze the parts "
            "that are not to learn."
        )
