"""The rules about batches: what breaks one reaches no weight."""

import numpy as np


class BatchRules:
    """What samples, labels and weights must be, for the programs of a folder.

    Args:
        manifest: what `training.json` says.
    """

    def __init__(self, manifest):
        self.batch_size = manifest["batch_size"]
        self.num_columns = manifest["num_columns"]
        self._inputs = manifest["inputs"]
        self._labels = manifest["labels"]
        self._task = manifest["task"]

    def samples(self, x):
        """Samples as a list of arrays, one an input, checked."""
        arrays = list(x) if isinstance(x, (list, tuple)) else [x]
        if len(arrays) != len(self._inputs):
            raise ValueError(
                f"The model takes {len(self._inputs)} inputs, as a list of "
                f"arrays. Received: {len(arrays)}"
            )
        arrays = [
            self._input(np.asarray(array), **rule)
            for array, rule in zip(arrays, self._inputs)
        ]
        numbers = [len(array) for array in arrays]
        if len(set(numbers)) > 1:
            raise ValueError(
                "All inputs must hold as many samples. Received: inputs of "
                f"{numbers} samples. No weight was changed."
            )
        return arrays

    def _input(self, array, name, shape, dtype):
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"Samples must be numbers. Received: {name!r} of dtype "
                f"{array.dtype}"
            )
        if array.ndim == 0 or list(array.shape[1:]) != shape:
            raise ValueError(
                f"Samples must have the shape (samples, "
                f"{', '.join(map(str, shape))}). Received: {name!r} of shape "
                f"{array.shape}"
            )
        if not len(array):
            raise ValueError(
                f"`x` must hold samples. Received: {name!r} of shape "
                f"{array.shape}"
            )
        given, array = array, array.astype(dtype)
        wrong = array != given
        if array.dtype.kind in "iu" and wrong.any():
            raise ValueError(
                f"Samples must be whole numbers that fit into {dtype}. "
                f"Received: {given[wrong][0]} in {name!r}. No weight was "
                "changed."
            )
        if array.dtype.kind == "f":
            wrong = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            if wrong.any():
                raise ValueError(
                    "Samples must be finite. Received: NaN or infinity in "
                    f"{int(wrong.sum())} samples, the first at position "
                    f"{int(np.argmax(wrong))}. No weight was changed."
                )
        return array

    def labels(self, y, samples):
        """Labels as the programs take them, checked."""
        y = np.asarray(y)
        shape, dtype = self._labels["shape"], self._labels["dtype"]
        numbered = self._task == "classification" and not shape
        if y.dtype.kind not in "biuf":
            cure = (
                f"whole numbers from 0 to {self.num_columns - 1}; `classes, y "
                "= np.unique(y, return_inverse=True)` makes them of names"
            )
            raise TypeError(
                f"Labels must be {cure if numbered else 'numbers'}. Received: "
                f"labels of dtype {y.dtype}. No weight was changed."
            )
        if numbered:
            if y.ndim == 2 and y.shape[1] == 1:
                y = y[:, 0]
            cure = " Rows of classes: `np.argmax(y, axis=-1)`."
            self._check_shape(y, (samples,), cure=cure * (y.ndim == 2))
            wrong = ~((y >= 0) & (y < self.num_columns) & (y == np.floor(y)))
            if wrong.any():
                raise ValueError(
                    f"Labels must be whole numbers in [0, {self.num_columns})."
                    f" Received: {y[wrong][0]} (at position "
                    f"{int(np.argmax(wrong))}; {int(wrong.sum())} such "
                    "labels). No weight was changed."
                )
            return y.astype(dtype)
        if y.ndim == 1 and shape == [1]:
            y = y[:, None]
        self._check_shape(y, (samples, *shape))
        if not np.isfinite(y).all():
            raise ValueError(
                "Labels must be finite. Received: NaN or infinity. No weight "
                "was changed."
            )
        if self._task != "regression" and ((y < 0) | (y > 1)).any():
            raise ValueError(
                "Labels must be from 0 to 1. Received: values from "
                f"{y.min()} to {y.max()}. No weight was changed."
            )
        if self._task == "classification":
            wrong = np.abs(y.sum(axis=1, dtype="float64") - 1) > 1e-3
            if wrong.any():
                raise ValueError(
                    "Rows of labels must sum to 1. Received: a row that does "
                    f"not, at position {int(np.argmax(wrong))}. No weight was "
                    "changed."
                )
        return y.astype(dtype)

    def weights(self, sample_weight, samples):
        """Sample weights, ones where there are none, checked."""
        if sample_weight is None:
            return np.ones(samples, "float32")
        weights = np.asarray(sample_weight)
        if weights.dtype.kind not in "biuf":
            raise TypeError(
                "`sample_weight` must be numbers. Received: weights of dtype "
                f"{weights.dtype}"
            )
        self._check_shape(weights, (samples,), "`sample_weight`")
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError(
                "`sample_weight` must be finite and not negative. No weight "
                "of the model was changed."
            )
        return weights.astype("float32")

    def _check_shape(self, y, shape, name="Labels", cure=""):
        if y.shape != shape:
            raise ValueError(
                f"{name} must have the shape {shape}. Received: an array of "
                f"shape {y.shape}. No weight was changed.{cure}"
            )
