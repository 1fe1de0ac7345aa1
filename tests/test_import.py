"""What `import keras_ff` costs, loads and refuses, in fresh processes."""

import json
import os
import subprocess
import sys
import textwrap

import keras
import pytest

BACKEND = keras.backend.backend()
OTHERS = [b for b in ("tensorflow", "jax", "torch") if b != BACKEND]


def python(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "KERAS_BACKEND": BACKEND, **environment},
        capture_output=True,
        text=True,
    )


def test_import_loads_nothing_that_is_not_needed():
    run = python(
        """
        import json, sys
        import keras
        before = set(sys.modules)
        import keras_ff
        print(json.dumps(sorted(set(sys.modules) - before)))
        """
    )
    assert run.returncode == 0, run.stderr
    added = json.loads(run.stdout.splitlines()[-1])
    unwanted = {
        "tensorflow",
        "jax",
        "jaxlib",
        "torch",
        "matplotlib",
        "sklearn",
        "pandas",
        "tensorflow_datasets",
        "keras_tuner",
        "tensorboard",
        "tensorboardX",
        "onnx",
        "grain",
    }
    packages = {module.split(".")[0] for module in added}
    assert "keras_ff" in packages
    assert not packages & unwanted


def test_missing_backend_names_the_extra_to_install():
    # On a machine without the backend, its import fails like this.
    run = python(
        f"""
        import sys

        class Block:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == {BACKEND!r}:
                    raise ModuleNotFoundError(
                        f"No module named {{name!r}}", name=name
                    )

        sys.meta_path.insert(0, Block())
        import keras_ff
        """
    )
    assert run.returncode != 0
    error = run.stderr.strip().splitlines()[-1]
    assert error.startswith("ModuleNotFoundError")
    assert f'pip install "keras_ff[{BACKEND}]"' in error
    assert "KERAS_BACKEND" in error


@pytest.mark.only_on("torch")
def test_backend_changed_after_keras_was_imported():
    run = python(
        f"""
        import os
        import keras
        os.environ["KERAS_BACKEND"] = {OTHERS[0]!r}
        import keras_ff
        """
    )
    assert run.returncode != 0
    error = run.stderr.strip().splitlines()[-1]
    assert error.startswith("ImportError")
    assert f"KERAS_BACKEND is '{OTHERS[0]}'" in error
    assert f"already runs on '{BACKEND}'" in error


@pytest.mark.only_on("torch")
def test_backend_that_keras_has_and_keras_ff_has_not():
    run = python("import keras_ff", KERAS_BACKEND="numpy")
    assert run.returncode != 0
    error = run.stderr.strip().splitlines()[-1]
    assert error.startswith("ImportError")
    assert "'tensorflow', 'jax' and 'torch'" in error
    assert "'numpy'" in error
