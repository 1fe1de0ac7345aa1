import os
import zipfile

import keras

from keras_ff.models.forward_only_model import ForwardOnlyModel


def load_model(filepath, **kwargs):
    """Loads a forward-only model and says clearly what is wrong if it cannot.

    `keras.saving.load_model` reads the same files; this function adds the
    checks.

    Args:
        filepath: path of a `.keras` file.
        **kwargs: arguments of `keras.saving.load_model`.

    Returns:
        The `ForwardOnlyModel`, compiled if it was when saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a complete `.keras` archive.
        TypeError: if it holds another kind of model.

    Example:

    ```python
    model.save("model.keras")
    model = keras_ff.models.load_model("model.keras")
    ```
    """
    if not os.path.exists(filepath):
        raise FileNotFoundError(f"There is no file {str(filepath)!r}.")
    try:
        with zipfile.ZipFile(filepath) as archive:
            broken = archive.testzip()
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ValueError(_damaged(filepath, error)) from error
    if broken or "config.json" not in names:
        raise ValueError(_damaged(filepath, f"found {names}"))
    model = keras.saving.load_model(filepath, **kwargs)
    if not isinstance(model, ForwardOnlyModel):
        raise TypeError(
            f"{str(filepath)!r} does not hold a forward-only model. Received: "
            f"a {type(model).__name__}. Load it with "
            "keras.saving.load_model."
        )
    return model


def _damaged(filepath, reason):
    return (
        f"{str(filepath)!r} is not a complete .keras file (an archive with "
        f"config.json and the weights): {reason}. Size: "
        f"{os.path.getsize(filepath)} bytes."
    )
