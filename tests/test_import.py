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


@pytest.fixture(scope="module")
def imports():
    """Seconds and new modules of both imports, twice."""
    script = """
        import json, sys, time
        start = time.perf_counter()
        import keras
        middle = time.perf_counter()
        before = set(sys.modules)
        import keras_ff
        end = time.perf_counter()
        added = sorted(set(sys.modules) - before)
        print(json.dumps([middle - start, end - middle, added]))
    """
    runs = [python(script) for _ in range(2)]
    for run in runs:
        assert run.returncode == 0, run.stderr
    return [json.loads(run.stdout.splitlines()[-1]) for run in runs]


def test_import_loads_nothing_that_is_not_needed(imports):
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
    for _, _, added in imports:
        packages = {module.split(".")[0] for module in added}
        assert "keras_ff" in packages
        assert not packages & unwanted


def test_import_takes_hardly_longer_than_that_of_keras(imports):
    # Both in one process, so that the load of the machine weighs on both.
    assert min(extra for _, extra, _ in imports) < 0.2


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
