import keras
from keras import tree


def export(
    method, inputs, filepath, format, verbose, input_signature, **kwargs
):
    """See `LocalLossModel.export`; `method` is Keras's own."""
    if input_signature is None:
        # Keras exports ONNX only of what has been called or has one.
        input_signature = [
            tree.map_structure(
                lambda x: keras.InputSpec(x.dtype, x.shape, name=x.name),
                inputs,
            )
        ]
    try:
        return method(filepath, format, verbose, input_signature, **kwargs)
    except Exception as error:
        error.add_note(
            f"Keras {keras.__version__} cannot export this model to "
            f"{format!r} on the backend {keras.backend.backend()}, or "
            "something that it needs is not installed."
            + ("" if format == "onnx" else " 'onnx' works on every backend.")
        )
        raise
