"""What `import keras_ff` costs, loads and refuses, in fresh processes."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap

import keras
import pytest
import python_processes

BACKEND = keras.backend.backend()
ROOT = pathlib.Path(__file__).parents[1]
EXTRAS = (
    *("grain", "keras_tuner", "matplotlib", "onnx", "pandas", "sklearn"),
    *("tensorboard", "tensorboardX", "tensorflow_datasets"),
)
OTHERS = [b for b in ("tensorflow", "jax", "torch") if b != BACKEND]


def python(script, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "KERAS_BACKEND": BACKEND, **environment},
        capture_output=True,
        text=True,
        cwd=cwd,
    )


@pytest.fixture
def installed(tmp_path):
    """A folder with the wheel that the source distribution builds."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "keras_ff", source / "keras_ff", ignore=ignore)
    build = "from setuptools.build_meta import *; build_{}({!r})"
    run = python(build.format("sdist", str(tmp_path)), cwd=source)
    assert run.returncode == 0, run.stderr
    (sdist,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path, filter="data")
    run = python(
        build.format("wheel", str(tmp_path)),
        cwd=tmp_path / sdist.name.removesuffix(".tar.gz"),
    )
    assert run.returncode == 0, run.stderr
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    return tmp_path / "installed"


def test_the_wheel_trains_with_one_backend_alone(installed):
    """And its import loads nothing that is not needed."""
    run = python(
        f"absent = {[*OTHERS, *EXTRAS]}"
        + textwrap.dedent(
            """
            import json
            import sys
            sys.modules.update(dict.fromkeys(absent))
            import keras
            before = set(sys.modules)
            import keras_ff
            added = sorted(set(sys.modules) - before)

            model = keras_ff.models.ForwardOnlyModel([
                keras.Input((4,)),
                keras_ff.layers.PrototypeDense(6, num_classes=3),
                keras_ff.layers.CAWDense(6, num_classes=3),
            ])
            model.compile("adam")
            data = keras.ops.ones((8, 4)), keras.ops.ones((8,), "int32")
            model.fit(*data, batch_size=4, verbose=0)
            print(json.dumps([keras_ff.__file__, added]))
            """
        ),
        cwd=installed.parent,
        PYTHONPATH=str(installed),
    )
    assert run.returncode == 0, run.stderr
    file, added = json.loads(run.stdout.splitlines()[-1])
    assert file == str(installed / "keras_ff" / "__init__.py")
    packages = {module.split(".")[0] for module in added}
    assert "keras_ff" in packages
    # Of JAX a small module, for several processes.
    unwanted = {"jaxlib", *OTHERS, BACKEND, *EXTRAS} - {"jax"}
    assert not packages & unwanted
    assert {x for x in added if x.split(".")[0] == "jax"} <= {
        "jax.experimental.multihost_utils"
    }


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
    code = textwrap.dedent(
        f"""
        import os
        import keras
        os.environ["KERAS_BACKEND"] = {OTHERS[0]!r}
        import keras_ff
        """
    )
    # `import keras` takes longest.
    run = python_processes.run(["-c", code])
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
