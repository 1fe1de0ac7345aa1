"""Checks of layers, heads, contributions and objectives of one's own.

A check is one call in any test, with or without pytest, on any backend. It
holds what the library's own layers are held to: gradients that stay in the
layer, steps that are plain automatic differentiation, mixed precision, copies,
files, sample weights, masks, odd batches. What fails raises `CheckFailure`, an
`AssertionError` that says what is wrong and how to mend it.
"""

from keras_ff.testing._check_contribution import (
    check_contribution as check_contribution,
)
from keras_ff.testing._check_goodness_head import (
    check_goodness_head as check_goodness_head,
)
from keras_ff.testing._check_local_layer import (
    check_local_layer as check_local_layer,
)
from keras_ff.testing._check_objective import check_objective as check_objective
from keras_ff.testing.check_failure import CheckFailure as CheckFailure
