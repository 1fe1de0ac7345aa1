"""Writes the folder of a model that goes on learning on a device."""

import contextlib
import json
import os
import shutil
import tempfile

import keras
import numpy as np

from keras_ff import keras_private
from keras_ff._version import __version__
from keras_ff.device.exporting.comparing import check_runs
from keras_ff.device.exporting.model_signatures import ModelSignatures
from keras_ff.device.exporting.names import OPTIMIZER
from keras_ff.device.exporting.names import Names
from keras_ff.device.exporting.names import state_name
from keras_ff.device.exporting.program import convert
from keras_ff.device.exporting.refusals import check_optimizer
from keras_ff.device.exporting.refusals import check_state
from keras_ff.device.exporting.train_signature import TrainSignature
from keras_ff.device.exporting.train_signature import value_of
from keras_ff.device.training_folder import EPOCH
from keras_ff.device.training_folder import FORMAT
from keras_ff.device.training_folder import INT8
from keras_ff.device.training_folder import LEARNING_RATE
from keras_ff.device.training_folder import MANIFEST
from keras_ff.device.training_folder import MODEL
from keras_ff.device.training_folder import PROGRESS
from keras_ff.device.training_folder import VERSION
from keras_ff.device.training_folder import WEIGHTS
from keras_ff.device.training_folder import write_weights
from keras_ff.files import write_whole
from keras_ff.models.compile_config import exclude_from_weight_decay
from keras_ff.models.of_keras import function_name

# How far int8 may be from float32, as a share of the largest number.
_APART_IN_INT8 = 0.1


def write_folder(model, path, batch_size, optimizer, excluded, float16, int8):
    """See `export_training`; nothing is written before all is known to run."""
    if optimizer is None:
        optimizer = model.optimizer
    else:
        optimizer = keras.saving.deserialize_keras_object(optimizer)
        exclude_from_weight_decay(optimizer, model.variables, excluded)
    check_optimizer(optimizer, model.trainable_variables)
    names = Names(model)
    state = []
    if model.trainable_variables:
        built = keras_private.stateless_optimizer(
            optimizer, model.trainable_variables
        )
        check_state(built)
        state = [state_name(v) for v in built.variables]
    labels = _labels(model)
    batch_of_labels = ((batch_size, *labels["shape"]), labels["dtype"])
    tensors = _tensors(model)
    programs, values, layers = _Programs(model.num_classes), {}, []
    for stage in model._graph.stages(tuple(model._graph.running_order)):
        title = f"layer {model.local_layers[stage.exit].name!r}"
        with _refused_by_name(title):
            step = TrainSignature(
                model, stage, tensors, names, optimizer, batch_of_labels
            )
        programs.add(step, [step.signature], title)
        layers.append(step.entry)
        values.update(step.values)
    whole = ModelSignatures(model, names, batch_of_labels)
    programs.add(whole, whole.signatures, "the model")
    values.update(whole.values)
    values.update(_state_of(optimizer, values))
    epochs = [value_of(v) for v in names.epochs]
    values[EPOCH] = np.asarray(max(epochs, default=0), "float32")
    if int8:
        signature = whole.with_weights(values[EPOCH])
        programs.add_int8(signature)
    trained = [name for name in names.by_name if not _is_state(name)]
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "keras_ff": __version__,
        "batch_size": batch_size,
        "task": model.task,
        "averages": model._task.averages,
        "num_columns": model.num_classes,
        "reduction": model.loss.reduction,
        "contribution": type(model.contribution).__name__,
        "optimizer": keras.saving.serialize_keras_object(optimizer),
        "state": state,
        "labels": labels,
        "inputs": [
            {
                "name": tensors[id(x)][0],
                "shape": list(x.shape[1:]),
                "dtype": x.dtype,
            }
            for x in model.inputs
        ],
        "layers": layers,
        "model": whole.entry,
        "int8": INT8 if int8 else None,
        "weights": {
            name: [list(np.shape(value)), str(np.asarray(value).dtype)]
            for name, value in values.items()
        },
        "float16": [
            name
            for name in trained
            if float16 and values[name].dtype == "float32"
        ],
    }
    progress = dict(zip(PROGRESS, (model.epoch, 0)))
    _write(path, model, manifest, programs.files, {**values, **progress})


class _Programs:
    """The programs of a folder; layers that are alike have one together."""

    def __init__(self, num_classes):
        self.files = {}
        self._num_classes = num_classes
        self._names = {}

    def add(self, owner, signatures, title):
        """Converts, runs and compares signatures; names their file."""
        fingerprint = "".join(s.fingerprint() for s in signatures)
        if fingerprint not in self._names:
            number = len(self._names)
            kind = signatures[0].name
            name = f"train_{number}" if kind == "train" else "model"
            content = _converted(signatures, title)
            entry = owner.entry
            # The learning rate is one whose step shows a wrong gradient.
            values = {**owner.values, LEARNING_RATE: np.float32(0.1)}
            given = {
                f"{kind}_{i}": values[name]
                for kind in ("weight", "state")
                for i, name in enumerate(entry.get(f"{kind}s", []))
            }
            check_runs(content, signatures, given, self._num_classes, title)
            self._names[fingerprint] = f"{name}.tflite"
            self.files[f"{name}.tflite"] = content
        owner.entry["program"] = self._names[fingerprint]

    def add_int8(self, signature):
        """Adds a program of constant weights, which become int8."""
        title = "the model in int8"
        content = _converted([signature], title, int8=True)
        check_runs(
            content,
            [signature],
            {},
            self._num_classes,
            title,
            _APART_IN_INT8,
            "Weights of eight bits are too coarse for it: export it without "
            "`int8`.",
        )
        self.files[INT8] = content


@contextlib.contextmanager
def _refused_by_name(title):
    """Names what has an operation that there is no gradient for."""
    try:
        yield
    except (NotImplementedError, LookupError) as error:
        raise ValueError(
            f"What {title} does has no gradient on a device: {error}. Nothing "
            "was written. Replace the part of the layer that needs it."
        ) from error


def _converted(signatures, title, **options):
    try:
        return convert(signatures, **options)
    except Exception as error:
        # The converter has errors of several kinds.
        text = str(error).strip()
        lines = [line for line in text.splitlines() if "ops:" in line]
        raise ValueError(
            f"What {title} does cannot be expressed in LiteRT's built-in "
            f"operations: {' '.join(lines) or text[:500]}. Nothing was "
            "written. Replace the part of the layer that needs it."
        ) from error


def _labels(model):
    """The shape of a sample's label, and its dtype."""
    if model.task != "classification":
        return {"shape": [model.num_classes], "dtype": "float32"}
    takes_rows = function_name(model.loss) not in (
        None,
        "sparse_categorical_crossentropy",
    )
    if takes_rows:
        return {"shape": [model.num_classes], "dtype": "float32"}
    return {"shape": [], "dtype": "int32"}


def _tensors(model):
    """By their keys, the names, shapes and dtypes of what layers hand on."""
    symbols = model._graph.symbols()
    inputs = [id(x) for x in model.inputs]
    others = [key for key in symbols if key not in inputs]
    width = len(str(len(others)))
    numbered = {key: f"input_{i}" for i, key in enumerate(inputs)}
    numbered.update(
        (key, f"tensor_{i:0{width}}") for i, key in enumerate(others)
    )
    return {
        key: (name, tuple(symbols[key].shape[1:]), symbols[key].dtype)
        for key, name in numbered.items()
    }


def _state_of(optimizer, values):
    """The state that an optimizer has already, as far as devices keep it."""
    state = {
        state_name(v): value_of(v)
        for v in (optimizer.variables if optimizer.built else [])
    }
    return {
        name: value
        for name, value in state.items()
        if name in values and values[name].shape == value.shape
    }


def _is_state(name):
    return name.startswith(OPTIMIZER)


def _write(path, model, manifest, files, values):
    """Writes all, or nothing."""
    config = {
        "model": json.loads(model.to_json()),
        "compile": model.get_compile_config(),
    }
    parent = os.path.dirname(os.path.abspath(path))
    os.makedirs(parent, exist_ok=True)
    part = tempfile.mkdtemp(dir=parent, prefix=".export_training_")
    try:
        for name, content in files.items():
            write_whole(os.path.join(part, name), content)
        write_weights(os.path.join(part, WEIGHTS), values, manifest)
        write_whole(os.path.join(part, MODEL), json.dumps(config))
        write_whole(
            os.path.join(part, MANIFEST), json.dumps(manifest, indent=1)
        )
        os.chmod(part, 0o755)
        if os.path.isdir(path):
            os.rmdir(path)
        os.rename(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
