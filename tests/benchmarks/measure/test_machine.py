import platform

import keras
import numpy as np

from benchmarks.measure import machine


def test_versions_of_what_is_installed():
    found = machine.versions(
        keras.backend.backend(), packages=["pytest", "no_such_package"]
    )
    assert found["keras"] == keras.__version__
    assert found["numpy"] == np.__version__
    assert found["python"] == platform.python_version()
    assert "pytest" in found and "no_such_package" not in found
    others = {"tensorflow": "torch", "jax": "torch", "torch": "jax"}
    assert others[keras.backend.backend()] not in found
