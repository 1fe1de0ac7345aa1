from typing import Any
from typing import NamedTuple


class Splits(NamedTuple):
    """The three parts of a data set.

    Attributes:
        train: Training data.
        validation: Images held out of training, or `None` for none.
        test: The test images.
    """

    train: Any
    validation: Any
    test: Any
