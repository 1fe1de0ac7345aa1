from typing import Any

import keras
from keras import tree

from keras_ff import keras_private
from keras_ff.type_aliases import Path


class Exporting(keras_private.ModelMixin):
    """A model that is exported without a call, or says what cannot be."""

    def export(
        self,
        filepath: Path,
        format: str = "tf_saved_model",
        verbose: int | str | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports the combined prediction, as in `keras.Model`."""
        if input_signature is None:
            # Keras exports ONNX only of what has been called or has one.
            input_signature = [
                tree.map_structure(
                    lambda x: keras.InputSpec(x.dtype, x.shape, name=x.name),
                    self.input,
                )
            ]
        try:
            super().export(filepath, format, verbose, input_signature, **kwargs)
        except Exception as error:
            error.add_note(
                f"Keras {keras.__version__} cannot export this model to "
                f"{format!r} on the backend {keras.backend.backend()}, or "
                "something that it needs is not installed."
                + (
                    ""
                    if format == "onnx"
                    else " 'onnx' works on every backend."
                )
            )
            raise
