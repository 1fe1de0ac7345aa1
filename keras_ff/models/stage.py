import keras

from keras_ff.layers import LocalLayer
from keras_ff.models.trainers import Loops


class Stage(Loops, keras.Model):
    """The part of a forward-only model between two exits.

    It shares its layers with the model. Tensors are known by keys: more than
    one can be alive at an exit, and some only pass through.

    Args:
        plan: the `Plan` of the layers of this part.
        exit: int, the number of the local layer that ends this part.
        takes: list of the keys of the tensors that come in.
        gives: list of the keys of the tensors that go out to later stages.
        alive: list of the keys of all tensors that later stages take.

    Call arguments:
        inputs: list of tensors, as `takes`.

    Output shape:
        List: the goodness of layer `exit`, then tensors as `gives`.
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

    def call(self, inputs, training=None):
        tensors = dict(zip(self.takes, inputs))
        goodness = {
            call.index: call.run()
            for call in self._plan.walk(tensors, training)
        }
        return [goodness[self.exit], *(tensors[key] for key in self.gives)]
