import zlib
from typing import Any

import numpy as np
from keras import ops
from keras import tree

# Bytes of an array whose every row tells it from others.
_LOOKED_AT = 2**22


def digest(arrays):
    """Tells arrays from others; of large ones some rows only."""
    return [
        (*leaf.shape, str(leaf.dtype), zlib.crc32(_some_rows(leaf)))
        for leaf in tree.flatten(arrays)
        if leaf is not None
    ]


def _some_rows(array) -> Any:
    if array.shape:
        array = array[:: 1 + array.nbytes // _LOOKED_AT]
    return np.ascontiguousarray(ops.convert_to_numpy(array))
