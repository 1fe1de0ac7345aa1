"""The dtype of what must not be computed in less than float32."""


def at_least_float32(*dtypes):
    """float64 if one of these dtypes is, float32 otherwise.

    Keras's own `result_type` knows no float64 on JAX and PyTorch.
    """
    return "float64" if "float64" in dtypes else "float32"
