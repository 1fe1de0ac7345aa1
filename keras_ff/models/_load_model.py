import os
import zipfile

import keras

from keras_ff.models.local_loss_model import LocalLossModel
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Path

# Keras stores members as they are. Weights that somebody compressed are
# rarely half as large.
_LARGEST_EXPANSION = 100


def load_model(
    filepath: Path,
    custom_objects: Config | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> keras.Model:
    """Loads a model of this package, from a file that is checked first.

    `keras.saving.load_model` reads the same files. It unpacks them before a
    model is asked anything, and does not notice weights that were damaged on
    the way; this function reads the file once more before, to see that it is
    whole and unpacks to what its size allows.

    Args:
        filepath: path of a `.keras` file, or of a folder that was saved with
            `zipped=False`. Remote paths are left to Keras, unchecked.
        custom_objects, compile, safe_mode: as in `keras.saving.load_model`.

    Returns:
        The model, compiled if it was when saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a complete `.keras` archive, or
            declares more than a hundred times its size.
        TypeError: if it holds another kind of model.

    Example:

    ```python
    model.save("model.keras")
    model = keras_ff.models.load_model("model.keras")
    ```
    """
    if "://" not in str(filepath):
        if not os.path.exists(filepath):
            raise FileNotFoundError(f"There is no file {str(filepath)!r}.")
        if not os.path.isdir(filepath):
            _check_archive(filepath)
    model = keras.saving.load_model(
        filepath, custom_objects, compile, safe_mode
    )
    if not isinstance(model, LocalLossModel):
        raise TypeError(
            f"{str(filepath)!r} does not hold a forward-only model. Received: "
            f"a {type(model).__name__}. Load it with "
            "keras.saving.load_model."
        )
    return model


def _check_archive(filepath):
    """Raises if a file is not whole, or would unpack to something absurd."""
    size = os.path.getsize(filepath)
    try:
        with zipfile.ZipFile(filepath) as archive:
            declared = sum(info.file_size for info in archive.infolist())
            if declared > _LARGEST_EXPANSION * size:
                raise ValueError(
                    f"{str(filepath)!r} declares {declared} bytes, but holds "
                    f"{size}. Keras saves models uncompressed: this is no "
                    "file of its making, and nothing of it was unpacked."
                )
            broken = archive.testzip()
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ValueError(_damaged(filepath, size, error)) from error
    if broken:
        raise ValueError(_damaged(filepath, size, f"{broken!r} is damaged"))
    if "config.json" not in names:
        raise ValueError(_damaged(filepath, size, f"found {names}"))


def _damaged(filepath, size, reason):
    return (
        f"{str(filepath)!r} is not a complete .keras file (an archive with "
        f"config.json and the weights): {reason}. Size: {size} bytes."
    )
