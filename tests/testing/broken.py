"""Runs one check of a battery on something that is broken in one way."""

import sys

import keras
import pytest

from keras_ff import testing

register = keras.saving.register_keras_serializable(package="broken")


def failure(name, check, make, *arguments, **options):
    """What a check of `keras_ff.testing` says of something broken.

    Args:
        name: of the function of `keras_ff.testing`.
        check: the name of the one check that runs.
        make, *arguments, **options: of the function.
    """
    checks = sys.modules[f"keras_ff.testing._{name}"].CHECKS
    others = [each.__name__ for each in checks if each.__name__ != check]
    assert len(others) == len(checks) - 1
    with pytest.raises(testing.CheckFailure) as caught:
        getattr(testing, name)(make, *arguments, skip=others, **options)
    assert caught.value.check == check
    text = str(caught.value)
    for part in ("Found: ", "Expected: ", "To mend it: "):
        assert part in text
    return text
