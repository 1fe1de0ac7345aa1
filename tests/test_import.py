"""What `import keras_ff` loads, how long it takes, and how it refuses."""

import os
import subprocess
import sys

import keras
import pytest

WATCHED = {
    *("tensorflow", "jax", "torch", "matplotlib", "sklearn"),
    *("tensorflow_datasets", "keras_tuner"),
}


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_loads_nothing_that_keras_does_not_load():
    code = "import sys, {}; print(*sys.modules)"
    with_keras = set(run(code.format("keras")).stdout.split())
    with_keras_ff = set(run(code.format("keras_ff")).stdout.split())
    assert "keras_ff" in with_keras_ff
    assert (with_keras_ff - with_keras) & WATCHED == set()


def test_takes_at_most_a_fifth_of_a_second_more_than_keras():
    code = (
        "import time, keras; start = time.process_time(); import keras_ff; "
        "print(time.process_time() - start)"
    )
    seconds = [float(run(code).stdout) for _ in range(3)]
    assert min(seconds) < 0.2


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_missing_backend_names_the_extra(backend):
    code = f"""
import sys
class NotInstalled:
    def find_spec(self, name, *_):
        if name == {backend!r}:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, NotInstalled())
import keras_ff
"""
    done = run(code, KERAS_BACKEND=backend)
    assert done.returncode != 0
    assert f'pip install "keras_ff[{backend}]"' in done.stderr
    assert "KERAS_BACKEND" in done.stderr


def test_backend_changed_after_keras_is_refused():
    other = {"tensorflow": "jax"}.get(keras.backend.backend(), "tensorflow")
    code = (
        "import os, keras; "
        f"os.environ['KERAS_BACKEND'] = {other!r}; import keras_ff"
    )
    done = run(code)
    assert done.returncode != 0
    assert f"KERAS_BACKEND is {other!r}" in done.stderr
    assert repr(keras.backend.backend()) in done.stderr


def test_backend_that_cannot_train_is_refused():
    done = run("import keras_ff", KERAS_BACKEND="numpy")
    assert done.returncode != 0
    assert "'tensorflow', 'jax' and 'torch'" in done.stderr
