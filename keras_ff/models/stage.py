import keras
from keras import ops

from keras_ff.keras_private import attach_mask
from keras_ff.keras_private import mask_of
from keras_ff.layers import LocalLayer
from keras_ff.models.trainers import Loops


class Stage(Loops, keras.Model):
    """The part of a forward-only model between two exits.

    It shares its layers with the model. Tensors are known by keys: more than
    one can be alive at an exit, and some only pass through. With each goes
    its mask, of the shape `(batch,)` if it has none.

    Args:
        plan: the `Plan` of the layers of this part.
        exit: int, the number of the local layer that ends this part.
        takes: list of the keys of the tensors that come in.
        gives: list of the keys of the tensors that go out to later stages.
        alive: list of the keys of all tensors that later stages take.

    Call arguments:
        inputs: list of pairs of a tensor and its mask, as `takes`.

    Output shape:
        List: the goodness of layer `exit`, then such pairs, as `gives`.
    """

    def __init__(self, plan, exit, takes, gives, alive):
        super().__init__()
        self.parts = [x for x in plan.operations if isinstance(x, keras.Layer)]
        self.num_local_layers = sum(
            isinstance(x, LocalLayer) for x in self.parts
        )
        self.exit = exit
        self.takes = takes
        self.gives = gives
        self.alive = alive
        self._plan = plan

    def walk(self, tensors, training, arguments=None):
        """Runs its layers, see `Plan.walk`."""
        return self._plan.walk(tensors, training, arguments)

    def call(self, inputs, training=None):
        tensors = {}
        for key, (tensor, mask) in zip(self.takes, inputs):
            if len(mask.shape) > 1:
                attach_mask(tensor, mask)
            tensors[key] = tensor
        goodness = {
            call.index: call.run() for call in self.walk(tensors, training)
        }
        given = [_with_its_mask(tensors[key]) for key in self.gives]
        return [goodness[self.exit], *given]


def _with_its_mask(tensor):
    mask = mask_of(tensor)
    if mask is None:
        mask = ops.ones(ops.shape(tensor)[:1], dtype="bool")
    return tensor, mask
