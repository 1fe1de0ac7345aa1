import contextlib
import importlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import keras

from keras_ff import keras_private
from keras_ff.checks import check_integer
from keras_ff.device.exporting.refusals import check_can_train
from keras_ff.files import check_folder
from keras_ff.models.compile_config import with_public_names
from keras_ff.models.lora import start_lora
from keras_ff.models.voting import start_voting

OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "momentum": lambda: keras.optimizers.SGD(momentum=0.9),
    "adam": keras.optimizers.Adam,
}


def export_training(
    model: keras.Model,
    path: str | os.PathLike[str],
    format: str = "litert",
    batch_size: int = 32,
    optimizer: str | keras.optimizers.Optimizer | None = None,
    float16: bool = False,
    int8: bool = False,
) -> None:
    """Exports how a model learns, not only what it predicts.

    It writes a folder with one LiteRT program for each local layer (`features,
    new weights, loss, goodness = train(features, labels, weights)`), one for
    the whole model (`predict`, `goodness`, `evaluate`), the weights as tensors
    in a file beside them, and `training.json`, which says what goes where.
    Layers that are alike share a program. `keras_ff.device.LiteRTTrainer` is
    the loop that trains with it, without Keras and TensorFlow; only the
    program of one layer has to be in memory at a time.

    Every program is run in LiteRT on random numbers and compared with
    TensorFlow before anything is written.

    The export itself needs TensorFlow. On JAX and PyTorch another process
    loads the model there; classes of your own must be importable in it.

    Args:
        model: a compiled `keras_ff.models.ForwardOnlyModel`.
        path: path of the folder, which is made. It must be empty or not
            there yet.
        format: `"litert"`, the only one.
        batch_size: int, how many samples a step has on the device. Defaults
            to `32`.
        optimizer: `"sgd"`, `"momentum"` or `"adam"` with Keras's defaults, a
            `keras.optimizers.Optimizer`, or `None` for that of the model,
            with its state. Defaults to `None`. The learning rate can be set
            on the device, too.
        float16: bool, whether weights are stored in float16: half as large a
            file, and rounded whenever they are saved. Programs compute in
            float32. Defaults to `False`.
        int8: bool, whether a program with weights in int8 is written, too:
            `predict_int8.tflite`. It predicts with the weights of the export
            for good, and follows nothing that the device learns. Defaults to
            `False`.

    Raises:
        ValueError: if the model is not compiled, the folder holds something,
            or a layer cannot train on a device, whose name it says.
        TypeError: if the model is of another kind.
        ModuleNotFoundError: if TensorFlow or LiteRT is not installed.

    Example:

    ```python
    model.fit(x_train, y_train, epochs=5)
    keras_ff.export_training(model, "on_the_device", batch_size=16)

    trainer = keras_ff.device.LiteRTTrainer("on_the_device")
    trainer.fit(x_new, y_new)
    model = keras_ff.import_training("on_the_device")
    ```
    """
    if format != "litert":
        raise ValueError(
            "`format` must be 'litert': steps do not convert to ONNX. "
            "`model.export` has more formats, for prediction. Received: "
            f"format={format!r}"
        )
    check_integer("batch_size", batch_size, minimum=1)
    path = check_folder("path", path)
    if os.path.isdir(path) and os.listdir(path):
        raise ValueError(
            f"The folder {path} is not empty, and may hold what a device "
            "learned. Remove it, or give another one."
        )
    check_can_train(model)
    optimizer = _chosen(optimizer, model)
    for package, name in (
        ("tensorflow", "keras_ff[tensorflow]"),
        ("ai_edge_litert", "ai-edge-litert"),
    ):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(
                f"Exporting for devices needs {package}: `pip install "
                f'"{name}"`.',
                name=package,
            )
    # As `fit` does before it trains.
    start_lora(model)
    start_voting(model)
    options = {
        "path": path,
        "batch_size": int(batch_size),
        "optimizer": optimizer
        and with_public_names(keras.saving.serialize_keras_object(optimizer)),
        # Which is in no config.
        "excluded": optimizer
        and [
            keras_private.excluded_from_weight_decay(optimizer, model.variables)
        ],
        "float16": bool(float16),
        "int8": bool(int8),
    }
    if keras.backend.backend() == "tensorflow":
        # Other backends need not have TensorFlow.
        writing = importlib.import_module("keras_ff.device.exporting.writing")
        writing.write_folder(model, **options)
    else:
        _export_elsewhere(model, options)


def _chosen(optimizer, model):
    """The optimizer that is not the model's own, or `None`."""
    if optimizer is None or optimizer is model.optimizer:
        return None
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(
                f"`optimizer` must be one of {list(OPTIMIZERS)}, a "
                "keras.optimizers.Optimizer or None. "
                f"Received: optimizer={optimizer!r}"
            )
        return OPTIMIZERS[optimizer]()
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise TypeError(
            f"`optimizer` must be one of {list(OPTIMIZERS)}, a "
            "keras.optimizers.Optimizer or None. Received: "
            f"optimizer={optimizer!r} of type {type(optimizer).__name__}"
        )
    return optimizer


def _export_elsewhere(model, options):
    """Exports in a process of its own, on TensorFlow."""
    own = _own_modules(model)
    with tempfile.TemporaryDirectory() as folder:
        saved = os.path.join(folder, "model.keras")
        model.save(saved)
        told = {
            **options,
            "path": os.path.abspath(options["path"]),
            "model": saved,
            "modules": own,
        }
        done = subprocess.run(
            [sys.executable, "-m", "keras_ff.device.exporting"],
            input=json.dumps(told),
            env={
                **os.environ,
                "KERAS_BACKEND": "tensorflow",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "PYTHONPATH": os.pathsep.join(_roots(["keras_ff", *own])),
            },
            capture_output=True,
            text=True,
        )
    if done.returncode == 0:
        return
    said = None
    with contextlib.suppress(ValueError, IndexError):
        said = json.loads(done.stdout.splitlines()[-1])["error"]
    raise ValueError(
        said
        or "The process that exports on TensorFlow failed. If the model has "
        "classes of your own, put them into a module that can be imported. It "
        f"said: {done.stderr[-2000:]}"
    )


def _own_modules(model):
    """The modules of a user's classes that a model is made of."""
    config = json.dumps([model.get_config(), model.get_compile_config()])
    found = {
        kind.__module__
        for name, kind in keras.saving.get_custom_objects().items()
        if f'"{name}"' in config
        and not kind.__module__.startswith(("keras.", "keras_ff."))
    }
    return sorted(found - {"__main__"})


def _roots(modules):
    """The folders from which modules were imported, and those set before."""
    found = [os.environ.get("PYTHONPATH", "")]
    for name in modules:
        file = pathlib.Path(str(sys.modules[name].__file__))
        levels = name.count(".") + (file.name == "__init__.py")
        found.append(str(file.parents[levels]))
    return [folder for folder in dict.fromkeys(found) if folder]
