import keras

_FORMATS = {
    "tensorflow": ("tf_saved_model", "onnx", "litert", "openvino"),
    "jax": ("tf_saved_model", "onnx"),
    "torch": ("onnx", "torch", "litert", "openvino"),
}


def check_export_format(format):
    """Raises if Keras cannot export to a format on this backend."""
    backend = keras.backend.backend()
    formats = _FORMATS[backend]
    if format in formats:
        return
    others = [name for name, known in _FORMATS.items() if format in known]
    raise ValueError(
        f"On the backend {backend}, models can be exported to {formats}. "
        f"Received: format={format!r}"
        + (f", which needs one of the backends {others}" if others else "")
    )
