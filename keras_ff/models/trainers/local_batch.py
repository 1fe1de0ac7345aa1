from typing import Any
from typing import NamedTuple


class LocalBatch(NamedTuple):
    """A batch and what the local layers made of it.

    Attributes:
        x, y, sample_weight: the batch.
        training: bool.
        target: what the goodness of the layers was held against.
        outputs: list of `LocalOutput`s, without features.
        prediction: the combined prediction.
    """

    x: Any
    y: Any
    sample_weight: Any
    training: bool
    target: Any
    outputs: list
    prediction: Any
