from typing import Any
from typing import NamedTuple


class LocalOutput(NamedTuple):
    """What a local layer gave for a batch, and what its loss made of it.

    Attributes:
        features: what the next layer gets; `None` once it has been handed on.
        goodness: tensor of shape `(batch, num_classes)`.
        loss: scalar, the local loss.
        penalty: scalar, what else the layer minimizes: the sum of its
            regularizers and its weighted objectives.
        mask: of the steps of the features, or `None`.
    """

    features: Any
    goodness: Any
    loss: Any
    penalty: Any
    mask: Any = None
