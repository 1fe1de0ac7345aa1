"""Exported files, run by their own runtimes, predict what the model does."""

import keras
import numpy as np
import pytest
from by_hand import BACKEND
from tiny_models import CLASSES
from tiny_models import Weights
from tiny_models import assert_close
from tiny_models import data
from tiny_models import state

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel

SHAPE = (6, 6, 1)
BATCH = 4


def conv_model(weights):
    """Two local layers with one convolution each."""
    return ForwardOnlyModel(
        [
            keras.Input(SHAPE),
            keras.layers.Rescaling(0.5),
            layers.CAWConv2D(6, 3, CLASSES, padding="same"),
            keras.layers.AveragePooling2D(2),
            layers.LocalBlock(
                [
                    keras.layers.Conv2D(6, 2),
                    keras.layers.BatchNormalization(),
                    keras.layers.ReLU(),
                    keras.layers.Dropout(0.2),
                ],
                layers.GoodnessProjection(CLASSES, pooling="flatten"),
                normalization="group",
            ),
        ],
        contribution=Weights(weights),
    )


def run_saved_model(path, x):
    import tensorflow as tf

    # Its variables live no longer than the object.
    served = tf.saved_model.load(path)
    return served.serve(tf.constant(x)).numpy()


def run_onnx(path, x):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path)
    (argument,) = session.get_inputs()
    (output,) = session.run(None, {argument.name: x})
    return output


def run_litert(path, x):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(model_path=str(path))
    (argument,) = interpreter.get_input_details()
    (result,) = interpreter.get_output_details()
    interpreter.resize_tensor_input(argument["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(argument["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])


def run_torch(path, x):
    import torch

    program = torch.export.load(path).module()
    return program(torch.as_tensor(x)).detach().numpy()


# PyTorch exports a program of fixed shape.
STATIC = {"input_signature": [keras.InputSpec(shape=(BATCH, *SHAPE))]}
FORMATS = {
    "tensorflow": {
        "tf_saved_model": ("model", run_saved_model, {}),
        "onnx": ("model.onnx", run_onnx, {}),
        "litert": ("model.tflite", run_litert, {}),
    },
    "jax": {
        "tf_saved_model": ("model", run_saved_model, {}),
        "onnx": ("model.onnx", run_onnx, {}),
    },
    "torch": {
        "onnx": ("model.onnx", run_onnx, {}),
        "torch": ("model.pt2", run_torch, STATIC),
    },
}[BACKEND]


def export(model, folder, format):
    name, run, options = FORMATS[format]
    if format == "onnx":
        pytest.importorskip("onnx")
    elif format == "tf_saved_model":
        pytest.importorskip("tensorflow")
    path = folder / name
    model.export(path, format=format, verbose=False, **options)
    return path, run


@pytest.mark.parametrize("format", FORMATS)
def test_file_of_a_model(format, tmp_path):
    model = conv_model([0.3, 2.0])
    before = state(model)
    path, run = export(model, tmp_path, format)
    x, _ = data(BATCH, SHAPE)
    expected = model.predict(x, verbose=0)
    assert_close([run(path, x)], [expected], rtol=1e-4, atol=1e-5)
    if format != "torch":
        # Any number of samples.
        assert_close([run(path, x[:3])], [expected[:3]], rtol=1e-4, atol=1e-5)
    # Exporting changes nothing, and the model still computes all layers.
    assert all(map(np.array_equal, state(model), before))
    assert model.goodness(x).shape == (BATCH, 2, CLASSES)
    called = keras.ops.convert_to_numpy(model(x))
    assert_close([called], [expected])


@pytest.mark.parametrize("format", FORMATS)
def test_file_of_a_truncated_model(format, tmp_path):
    model = conv_model([0.3, 2.0])
    path, run = export(model.truncate(1), tmp_path, format)
    x, _ = data(BATCH, SHAPE)
    expected = 0.3 * model.goodness(x)[:, 0]
    assert_close([run(path, x)], [expected], rtol=1e-4, atol=1e-5)


def test_onnx_of_a_pruned_model_leaves_layers_out(tmp_path):
    model = conv_model([2.0, 0.0])
    path, run = export(model, tmp_path, "onnx")
    import onnx

    graph = onnx.load(path)
    nodes = list(graph.graph.node)
    for function in graph.functions:
        nodes += function.node
    assert sum(node.op_type == "Conv" for node in nodes) == 1
    x, _ = data(BATCH, SHAPE)
    expected = 2.0 * model.goodness(x)[:, 0]
    assert_close([run(path, x)], [expected], rtol=1e-4, atol=1e-5)


def test_several_inputs(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    inputs = {name: keras.Input((2,), name=name) for name in ("a", "b")}
    x = keras.layers.Concatenate()([inputs["a"], inputs["b"]])
    _, goodness = layers.CAWDense(6, CLASSES)(x)
    model = ForwardOnlyModel(list(inputs.values()), [goodness])
    path = tmp_path / "model.onnx"
    model.export(path, format="onnx", verbose=False)
    x, _ = data(3, (4,))
    x = {"a": x[:, :2], "b": x[:, 2:]}
    session = runtime.InferenceSession(path)
    names = [argument.name for argument in session.get_inputs()]
    outputs = session.run(None, dict(zip(names, x.values())))
    expected = model.predict(list(x.values()), verbose=0)
    assert_close(outputs, [expected], rtol=1e-4, atol=1e-5)


# === Formats that there are not ===


@pytest.mark.parametrize(
    "format", ["keras", "tf_saved_model" if BACKEND == "torch" else "torch"]
)
def test_format_that_keras_cannot_export(format, tmp_path):
    with pytest.raises(Exception) as error:
        conv_model([1.0, 1.0]).export(tmp_path / "model", format=format)
    (note,) = error.value.__notes__
    assert f"Keras {keras.__version__} cannot export" in note
    assert f"{format!r} on the backend {BACKEND}" in note
    assert "'onnx' works on every backend" in note
