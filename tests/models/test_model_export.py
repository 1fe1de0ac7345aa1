"""Exported artifacts predict what the model predicts."""

import keras
import numpy as np
import pytest
from by_hand import BACKEND
from tiny_models import CLASSES
from tiny_models import assert_close
from tiny_models import data
from tiny_models import state

from keras_ff import layers
from keras_ff.contributions import Contribution
from keras_ff.models import ForwardOnlyModel

SHAPE = (6, 6, 1)
BATCH = 4


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class Given(Contribution):
    def __init__(self, weights):
        self.given = weights

    def initial_weights(self, num_layers):
        return np.array(self.given, "float32")


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
        contribution=Given(weights),
    )


def stock_model():
    """A functional model of Keras alone, to tell its limits from ours."""
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(x))


def skip_if_keras_cannot(path, **kwargs):
    try:
        stock_model().export(path, verbose=False, **kwargs)
    except Exception as error:
        pytest.skip(
            "Keras's own limit, a stock functional model fails alike: "
            f"{type(error).__name__}: {str(error)[:200]}"
        )


def onnx_signature():
    if BACKEND == "torch":
        # Keras exports PyTorch's shapes as they are.
        return {"input_signature": [keras.InputSpec(shape=(BATCH, *SHAPE))]}
    return {}


def export_onnx(model, path):
    onnx = pytest.importorskip("onnx")
    skip_if_keras_cannot(
        path.with_name("stock.onnx"), format="onnx", **onnx_signature()
    )
    model.export(path, format="onnx", verbose=False, **onnx_signature())
    graph = onnx.load(path)
    nodes = list(graph.graph.node)
    for function in graph.functions:
        nodes += function.node
    return nodes


def test_onnx(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    model = conv_model([0.3, 2.0])
    before = state(model)
    nodes = export_onnx(model, tmp_path / "model.onnx")
    assert sum(node.op_type == "Conv" for node in nodes) == 2
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (argument,) = session.get_inputs()
    x, _ = data(BATCH, SHAPE)
    outputs = session.run(None, {argument.name: x})
    assert len(outputs) == 1
    expected = model.predict(x, verbose=0)
    assert_close(outputs, [expected], rtol=1e-4, atol=1e-5)
    # Exporting changes nothing, and the model still computes all layers.
    assert all(map(np.array_equal, state(model), before))
    assert model.goodness(x).shape == (BATCH, 2, CLASSES)
    called = keras.ops.convert_to_numpy(model(x))
    assert_close([called], [expected])


def test_onnx_of_a_pruned_model_leaves_layers_out(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    model = conv_model([2.0, 0.0])
    nodes = export_onnx(model, tmp_path / "model.onnx")
    assert sum(node.op_type == "Conv" for node in nodes) == 1
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    x, _ = data(BATCH, SHAPE)
    outputs = session.run(None, {session.get_inputs()[0].name: x})
    expected = 2.0 * model.goodness(x)[:, 0]
    assert_close(outputs, [expected], rtol=1e-4, atol=1e-5)


def test_saved_model(tmp_path):
    tf = pytest.importorskip("tensorflow")
    skip_if_keras_cannot(tmp_path / "stock")
    model = conv_model([0.3, 2.0])
    model.export(tmp_path / "model", verbose=False)
    served = tf.saved_model.load(tmp_path / "model")
    for size in (3, 5):
        x, _ = data(size, SHAPE)
        expected = model.predict(x, verbose=0)
        actual = served.serve(tf.constant(x)).numpy()
        assert_close([actual], [expected], rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    BACKEND != "torch", reason="Keras exports this format on PyTorch only"
)
def test_torch_program(tmp_path):
    import torch

    model = conv_model([0.3, 2.0])
    signature = [keras.InputSpec(shape=(BATCH, *SHAPE))]
    model.export(
        tmp_path / "model.pt2",
        format="torch",
        input_signature=signature,
        verbose=False,
    )
    program = torch.export.load(tmp_path / "model.pt2").module()
    x, _ = data(BATCH, SHAPE)
    actual = program(torch.as_tensor(x)).detach().numpy()
    expected = model.predict(x, verbose=0)
    assert_close([actual], [expected], rtol=1e-4, atol=1e-5)
