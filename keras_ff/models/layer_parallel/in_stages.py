import contextlib

import keras

from keras_ff.distribution import LayerParallel
from keras_ff.models.batches import undistributed


@contextlib.contextmanager
def in_stages(model, kind):
    """Lets a loop of Keras's run in stages, if a `LayerParallel` is in force.

    Args:
        model: a `LocalLossModel`.
        kind: `"train"`, `"test"` or `"predict"`.
    """
    before = model._spread
    distribution = keras.distribution.distribution()
    if distribution is None and before is not None:
        distribution = before.distribution
    if not isinstance(distribution, LayerParallel):
        yield
        return
    from keras_ff.models.layer_parallel.refusals import check_can_spread

    check_can_spread(model, kind)
    if kind == "train" and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if before is not None:
        model._settle()
    name = f"{kind}_function"
    function = getattr(model, name)
    spread = _spread(model, distribution, kind)
    setattr(model, name, model._function_in_stages(spread))
    model._spread = spread
    try:
        # Keras's loops are those of one device.
        with undistributed():
            yield
    finally:
        model._settle()
        setattr(model, name, function)
        model._spread = before
    spread.raise_error()


def _spread(model, distribution, kind):
    # TensorFlow has no stages.
    from keras_ff.models.layer_parallel.spread import Spread

    exits = tuple(model._graph.running_order)
    if kind == "predict" and model._needed is not None:
        exits = tuple(i for i in exits if i in model._needed)
    spread = model._spreads.get((kind, exits))
    if spread is None or spread.distribution is not distribution:
        spread = Spread(model, distribution, kind, exits)
        model._spreads[kind, exits] = spread
    return spread
