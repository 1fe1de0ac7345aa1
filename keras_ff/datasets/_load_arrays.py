from keras_ff.checks import check_bool
from keras_ff.checks import check_integer
from keras_ff.datasets import catalog
from keras_ff.datasets import sources
from keras_ff.datasets.splits import Splits
from keras_ff.datasets.splits import check_validation_split
from keras_ff.datasets.splits import hold_out
from keras_ff.type_aliases import Path


def load_arrays(
    name: str,
    data_dir: Path | None = None,
    validation_split: float = 0.1,
    seed: int = 0,
    download: bool = True,
    raw: bool = False,
) -> Splits:
    """Loads a data set as arrays, for training on an accelerator.

    The images are those of `load()`, normalized alike, with the same held-out
    ones. With `raw=True` they are the pixels themselves, which take a quarter
    of the memory; `preprocessing()` gives the layers that augment and
    normalize them inside the model.

    Args:
        name: as in `load()`, other than `"imagenet2012"`, which is too large.
        data_dir: as in `load()`. If it has a file `<name>.npz` with
            `x_train`, `y_train`, `x_test` and `y_test`, as `keras.datasets`
            writes them, TensorFlow is not needed.
        validation_split, seed, download, raw: as in `load()`.

    Returns:
        A `Splits` tuple of pairs: images `(samples, height, width, channels)`
        and int32 labels `(samples,)`. `validation` is `None` if nothing is
        held out.

    Raises:
        ValueError, TypeError, FileNotFoundError, ImportError: as `load()`,
            and if `<name>.npz` is not what it should be.

    Example:

    ```python
    train, validation, test = keras_ff.datasets.load_arrays(
        "cifar10", raw=True
    )
    model = keras_ff.applications.tiny_cnn(
        (32, 32, 3),
        num_classes=10,
        preprocessing=keras_ff.datasets.preprocessing("cifar10", augment=True),
    )
    model.compile(optimizer=keras.optimizers.AdamW(0.03))
    model.fit(*train, batch_size=128, validation_data=validation)
    ```
    """
    catalog.check_fits_memory(name)
    check_integer("seed", seed, minimum=0)
    check_bool("download", download)
    check_bool("raw", raw)
    check_validation_split(validation_split)
    (x, y), test = sources.read(name, data_dir, download)
    chosen, held_out = hold_out(len(y), validation_split, seed)
    validation = (x[held_out], y[held_out]) if len(held_out) else None
    splits = Splits((x[chosen], y[chosen]), validation, test)
    if raw:
        return splits
    return Splits(*(split and _normalized(name, *split) for split in splits))


def _normalized(name, x, y):
    mean, std = catalog.pixel_statistics(name)
    x = x.astype("float32")
    # In place: all images are twice in memory only where they must be.
    x -= mean
    x /= std
    return x, y
