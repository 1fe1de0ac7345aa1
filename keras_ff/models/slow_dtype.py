import functools
import pathlib
import warnings

import keras
from keras import ops

_PROCESSOR = pathlib.Path("/proc/cpuinfo")
# What Linux calls the instructions of x86 and of ARM processors.
_INSTRUCTIONS = {
    "bfloat16": {"avx512_bf16", "amx_bf16", "bf16"},
    "float16": {"avx512_fp16", "amx_fp16", "fphp"},
}


def warn_if_slow(layers):
    """Warns once of a dtype that the processor has no instructions for.

    Args:
        layers: the layers of a model.
    """
    for dtype in {layer.compute_dtype for layer in layers}:
        if dtype in _INSTRUCTIONS:
            _warn_if_slow(dtype, keras.backend.backend())


@functools.cache
def _warn_if_slow(dtype, backend):
    if "cpu" not in str(ops.ones(()).device).lower():
        return
    reason = None
    if not _has_instructions(dtype):
        reason = f"This processor has no instructions for {dtype}"
    elif backend == "tensorflow":
        reason = f"TensorFlow does not use a processor's for {dtype}"
    if reason:
        warnings.warn(
            f"{reason}: training takes several times as long as in float32, "
            "with PyTorch often ten. Train in float32 here, "
            "`keras.config.set_dtype_policy('float32')`.",
            stacklevel=4,
        )


def _has_instructions(dtype):
    """Also where nobody says so."""
    try:
        words = _PROCESSOR.read_text().split()
    except OSError:
        return True
    known = {"flags", "Features"} & set(words)
    return not known or bool(_INSTRUCTIONS[dtype] & set(words))
