import warnings

import keras
import numpy as np
import pytest

from keras_ff import layers
from keras_ff import models
from keras_ff.models import slow_dtype

X = np.ones((4, 3), "float32")
OLD = "processor : 0\nflags : fpu avx2 fma\n"
NEW = "processor : 0\nflags : fpu avx512_bf16 avx512_fp16\n"
ARM = "processor : 0\nFeatures : fp asimd fphp bf16\n"


def told(tmp_path, monkeypatch, processor, dtype, fits=1):
    """The warnings of a model that is trained on such a processor."""
    slow_dtype._warn_if_slow.cache_clear()
    path = tmp_path / "cpuinfo"
    if processor is not None:
        path.write_text(processor)
    monkeypatch.setattr(slow_dtype, "_PROCESSOR", path)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(fits):
            model = models.ForwardOnlyModel(
                [
                    keras.Input((3,)),
                    layers.CAWDense(4, num_classes=2, dtype=dtype),
                ]
            )
            model.compile("sgd", run_eagerly=True)
            model.fit(X, [0, 1, 0, 1], verbose=0)
    messages = [str(warning.message) for warning in found]
    return [text for text in messages if "float32" in text]


pytestmark = pytest.mark.only_on("tensorflow", "torch")


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_told_once(tmp_path, monkeypatch, dtype):
    (text,) = told(tmp_path, monkeypatch, OLD, f"mixed_{dtype}", fits=2)
    assert f"no instructions for {dtype}" in text


@pytest.mark.parametrize("processor", [NEW, ARM, None, "processor : 0"])
def test_not_told(tmp_path, monkeypatch, processor):
    texts = told(tmp_path, monkeypatch, processor, "mixed_bfloat16")
    if keras.backend.backend() == "tensorflow":
        assert "TensorFlow does not use" in texts[0]
    else:
        assert not texts


def test_float32_is_fast(tmp_path, monkeypatch):
    assert not told(tmp_path, monkeypatch, OLD, "float32")
