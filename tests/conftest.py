"""What every test starts from: one backend a process, a clean Keras."""

import gc
import itertools
import os
import pathlib
import re
import sys

import pytest

# Backends are tested side by side, and so small gains nothing by more threads.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

# JAX compiles every operation for every shape: most of the time of a run,
# unless a run before it on this machine has done so already. Without most of
# XLA's optimizations and its newer way to fuse it takes a third.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_multi_thread_eigen=false --xla_cpu_use_fusion_emitters=false"
    " --xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
_CACHE = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "xla"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

_tests = itertools.count(1)


def pytest_configure(config):
    # The process that hands out the tests has no need of Keras.
    workers = config.getoption("numprocesses", None)
    if hasattr(config, "workerinput") or not workers:
        _import_keras()
    for marker in (
        "only_on(backend): skip it on the other backends",
        "eager(on=True): no graph on TensorFlow, which takes long to make",
    ):
        config.addinivalue_line("markers", marker)


def _import_keras():
    global keras
    try:
        # Importing TensorFlow before PyTorch breaks either on some machines.
        import torch

        torch.set_num_threads(1)
    except ModuleNotFoundError:
        pass
    import keras

    keras.config.disable_traceback_filtering()


_WHOLE_FILE = re.compile(r'^pytestmark = pytest.mark.only_on\("(\w+)"\)', re.M)


def pytest_ignore_collect(collection_path):
    """What a whole file needs is not imported on the other backends."""
    if collection_path.suffix == ".py":
        text = collection_path.read_text()
        marker = _WHOLE_FILE.search(text)
        if marker and "every_backend" not in text:
            return marker[1] != keras.backend.backend() or None
    return None


def pytest_collection_modifyitems(items):
    """What no backend changes runs on one of them; what takes long is first."""
    items.sort(key=lambda item: not hasattr(item.module, "python_processes"))
    for item in items:
        marker = item.get_closest_marker("only_on")
        if marker and keras.backend.backend() not in marker.args:
            reason = f"runs on {' and '.join(marker.args)}; one is enough"
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish():
    # Pytest collects garbage five times.
    gc.freeze()


@pytest.fixture(autouse=True)
def fresh_keras(request):
    """Every test has the same seed and Keras's own settings."""
    # Collections look no more at what earlier tests left: TensorFlow's graphs
    # take longer to collect than most tests to run. All need 2 to 3 GiB.
    gc.freeze()
    _unmap_old_programs()
    _reset()
    keras.utils.set_random_seed(1234)
    marker = request.node.get_closest_marker("eager")
    _run_eagerly(marker is not None and marker.args != (False,))
    yield
    _run_eagerly(False)
    _reset()
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def _run_eagerly(eager):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.run_functions_eagerly(eager)


def _unmap_old_programs():
    """Frees what JAX compiled before Linux refuses a process more maps."""
    if keras.backend.backend() != "jax" or next(_tests) % 100:
        return
    import jax

    jax.clear_caches()
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _reset():
    keras.utils.clear_session(free_memory=False)
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
