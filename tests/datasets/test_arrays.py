"""Arrays: the same images as `load()`, batches, layers that preprocess."""

import sys
import warnings

import keras
import numpy as np
import pytest
from keras import ops
from keras import tree
from sklearn.datasets import load_digits

from keras_ff import datasets


@pytest.fixture
def npz(tmp_path):
    """A folder with a small `cifar10.npz`, and its arrays."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, size in (("train", 50), ("test", 10)):
        shape = (size, 32, 32, 3)
        arrays[f"x_{split}"] = rng.integers(0, 256, shape, dtype="uint8")
        # A column, as in keras.datasets.
        arrays[f"y_{split}"] = rng.integers(0, 10, (size, 1), dtype="uint8")
    np.savez(tmp_path / "cifar10.npz", **arrays)
    return tmp_path, arrays


@pytest.mark.only_on("torch")
class TestLoadArrays:
    def test_are_the_images_of_load(self):
        digits = load_digits()
        info = datasets.info("digits")
        for raw in (False, True):
            options = dict(validation_split=0.2, seed=3, raw=raw)
            arrays = datasets.load_arrays("digits", **options)
            batches = datasets.load("digits", 1000, **options)
            for (x, y), dataset in zip(arrays[1:], batches[1:]):
                (images, labels), *_ = dataset.as_numpy_iterator()
                np.testing.assert_array_equal(y, labels)
                np.testing.assert_allclose(x, images, atol=1e-5)
            assert len(arrays.train[1]) == round(1437 * 0.8)
            # All of them, whatever their order.
            x = np.concatenate([x for x, _ in arrays]).astype("float64")
            pixels = digits.data / 16
            if raw:
                pixels = 255 * pixels
            else:
                pixels = (pixels - info.mean[0]) / info.std[0]
            np.testing.assert_allclose(
                np.sort(x.reshape(-1)), np.sort(pixels.reshape(-1)), atol=1e-4
            )

    def test_npz_needs_no_tensorflow(self, npz, monkeypatch):
        folder, arrays = npz
        # Its import is an error.
        monkeypatch.setitem(sys.modules, "tensorflow", None)
        splits = datasets.load_arrays("cifar10", folder, validation_split=5)
        assert [len(y) for x, y in splits] == [45, 5, 10]
        splits = datasets.load_arrays(
            "cifar10", folder, validation_split=0, raw=True
        )
        assert splits.validation is None
        assert sorted(splits.train[1]) == sorted(arrays["y_train"][:, 0])
        np.testing.assert_array_equal(splits.test[0], arrays["x_test"])

    @pytest.mark.parametrize(
        "change, message",
        [
            (lambda a: a.pop("y_test"), "must hold the arrays x_train"),
            (
                lambda a: a.update(x_test=a["x_test"][:, :28]),
                r"uint8 images of shape \(32, 32, 3\).*\(28, 32, 3\)",
            ),
            (lambda a: a["y_train"].fill(10), "from 0 to 9.*Received: 10"),
            (
                lambda a: a.update(y_train=a["y_train"] / 2 + 0.5),
                r"whole numbers in \[0, 10\)",
            ),
            (
                lambda a: a.update(y_train=np.eye(10)[a["y_train"][:, 0]]),
                "rows, not class numbers",
            ),
            (
                lambda a: a.update(y_test=a["y_test"].astype(str)),
                "labels of dtype",
            ),
            (
                lambda a: a.update(x_test=a["x_test"][:0], y_test=np.zeros(0)),
                "0 images and 0 labels",
            ),
        ],
    )
    def test_bad_npz(self, npz, change, message):
        folder, arrays = npz
        change(arrays)
        np.savez(folder / "cifar10.npz", **arrays)
        with pytest.raises(ValueError, match=message):
            datasets.load_arrays("cifar10", folder)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: content[:1000],
            lambda content: b"",
            lambda content: content[:9000] + b"xx" + content[9002:],
            lambda content: content.replace(b"NUMPY", b"NUMPI"),
        ],
        ids=["cut", "empty", "flipped", "header"],
    )
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_damaged_npz(self, npz, damage, save):
        folder, arrays = npz
        path = folder / "cifar10.npz"
        save(path, **arrays)
        content = path.read_bytes()
        if damage(content) == content:
            pytest.skip("the header is compressed")
        path.write_bytes(damage(content))
        with pytest.raises(ValueError, match="could not be read.*savez"):
            datasets.load_arrays("cifar10", folder)

    def test_an_array_in_the_place_of_npz(self, npz):
        with open(npz[0] / "cifar10.npz", "wb") as file:
            np.save(file, np.zeros(3))
        with pytest.raises(ValueError, match="could not be read"):
            datasets.load_arrays("cifar10", npz[0])

    @pytest.mark.parametrize(
        "function", [datasets.load_arrays, datasets.preprocessing]
    )
    def test_too_large(self, function):
        with pytest.raises(ValueError, match="does not fit into memory"):
            function("imagenet2012")

    def test_arguments_are_checked(self):
        with pytest.raises(ValueError, match="`seed` must be at least 0"):
            datasets.load_arrays("digits", seed=-1)
        for load in (datasets.load, datasets.load_arrays):
            with pytest.raises(TypeError, match="`raw`.*raw='no'"):
                load("digits", raw="no")


class TestArrayBatches:
    x, y = np.arange(20).reshape(10, 2), np.arange(10)

    @pytest.mark.parametrize("place", [np.asarray, ops.convert_to_tensor])
    def test_batches_of_an_epoch(self, place):
        arrays = tree.map_structure(place, (self.x, self.y))
        batches = datasets.ArrayBatches(arrays, 4, seed=0)
        orders = []
        for epoch in (0, 1, 0):
            batches.set_epoch(epoch)
            rows = [batches[i] for i in range(len(batches))]
            assert [len(y) for _, y in rows] == [4, 4, 2]
            for x, y in rows:
                assert ops.is_tensor(x) == (place is not np.asarray)
                x, y = map(ops.convert_to_numpy, (x, y))
                np.testing.assert_array_equal(x[:, 0], 2 * y)
            order = np.concatenate([ops.convert_to_numpy(y) for _, y in rows])
            assert sorted(order) == list(range(10))
            orders.append(order.tolist())
        assert orders[0] == orders[2] != orders[1]

    def test_any_model_sees_a_new_order_each_epoch(self):
        seen = []

        class Recording(datasets.ArrayBatches):
            def __getitem__(self, index):
                x, y = super().__getitem__(index)
                seen.extend(y.tolist())
                return x, y

        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse", run_eagerly=True)
        batches = Recording((self.x, self.y), 5, seed=0)
        model.fit(batches, epochs=2, shuffle=False, verbose=0)
        # Keras may look at batches before, to learn their shapes.
        first, second = seen[-20:-10], seen[-10:]
        assert sorted(first) == sorted(second) == list(range(10))
        assert first != second

    @pytest.mark.only_on("torch")
    @pytest.mark.parametrize("shuffle", [True, False])
    def test_shuffling_once_more_is_told(self, shuffle):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse")
        batches = datasets.ArrayBatches((self.x, self.y), 1, seed=0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(batches, verbose=0, epochs=2, shuffle=shuffle)
        told = any("shuffled once more" in str(w.message) for w in caught)
        assert told == shuffle

    @pytest.mark.only_on("torch")
    def test_what_was_stopped_within_an_epoch_begins_anew(self):
        batches = datasets.ArrayBatches((self.x, self.y), 2, seed=0)
        batches.on_epoch_begin()
        # Warnings are errors here.
        for _ in range(2):
            assert [len(batches[i][1]) for i in range(3)] == [2, 2, 2]

    @pytest.mark.only_on("torch")
    def test_steps_per_epoch_go_on_where_the_last_epoch_ended(self):
        batches = datasets.ArrayBatches((self.x, self.y), 4, seed=0)
        passes = []
        for epoch in range(4):
            batches.set_epoch(epoch)
            passes += [batches[i][1].tolist() for i in range(len(batches))]
        batches = datasets.ArrayBatches(
            (self.x, self.y), 4, seed=0, steps_per_epoch=5
        )
        for epoch in (1, 0):
            batches.set_epoch(epoch)
            found = [batches[i][1].tolist() for i in range(len(batches))]
            assert found == passes[5 * epoch : 5 * epoch + 5]

    @pytest.mark.only_on("tensorflow")
    def test_pipeline_has_the_same_batches(self):
        for size, steps in ((4, None), (5, 3), (3, 5)):
            batches = datasets.ArrayBatches(
                ({"a": self.x}, self.y), size, seed=0, steps_per_epoch=steps
            )
            pipeline = batches.as_tf_dataset()
            for epoch in (2, 0):
                batches.set_epoch(epoch)
                found = list(pipeline.as_numpy_iterator())
                assert len(found) == len(pipeline) == len(batches)
                for i, (x, y) in enumerate(found):
                    np.testing.assert_array_equal(x["a"], batches[i][0]["a"])
                    np.testing.assert_array_equal(y, batches[i][1])

    @pytest.mark.only_on("torch")
    @pytest.mark.parametrize(
        "arguments, error, message",
        [
            (lambda x, y: ((x, y[:5]), 4), ValueError, r"\[10, 5\]"),
            (lambda x, y: (x, 4), TypeError, "must be a tuple"),
            (
                lambda x, y: ((x.tolist(), y), 4),
                TypeError,
                "Received: tuple of",
            ),
            (lambda x, y: ((), 4), ValueError, "same number"),
            (lambda x, y: ((x, y), 0), ValueError, "`batch_size` must be at"),
            (lambda x, y: ((x, y), 2.5), TypeError, "`batch_size` must be an"),
            (lambda x, y: ((x, y), 2, -1), ValueError, "`seed` must be at"),
        ],
    )
    def test_wrong_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            datasets.ArrayBatches(*arguments(self.x, self.y))

    @pytest.mark.only_on("torch")
    @pytest.mark.parametrize("index", [-1, 3])
    def test_batches_that_do_not_exist(self, index):
        batches = datasets.ArrayBatches((self.x, self.y), 4)
        with pytest.raises(IndexError, match=f"3 batches, no {index}"):
            batches[index]

    @pytest.mark.only_on("torch")
    def test_in_order(self):
        batches = datasets.ArrayBatches(
            (self.x, self.y), 4, drop_remainder=True
        )
        assert [batches[i][1].tolist() for i in range(len(batches))] == [
            [0, 1, 2, 3],
            [4, 5, 6, 7],
        ]

    @pytest.mark.only_on("torch")
    def test_no_batch(self):
        with pytest.raises(ValueError, match="10 samples.*batch_size=11"):
            datasets.ArrayBatches((self.x, self.y), 11, drop_remainder=True)


class TestPreprocessing:
    def test_normalizes(self):
        info = datasets.info("cifar10")
        x = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3))
        model = keras.Sequential(datasets.preprocessing("cifar10"))
        np.testing.assert_allclose(
            ops.convert_to_numpy(model(x.astype("float32"))),
            (x / 255 - info.mean) / info.std,
            atol=1e-4,
        )
        assert not model.weights

    def test_augmentation_moves_whole_pixels_in_training_only(self):
        *layers, _ = datasets.preprocessing("mnist", augment=True)
        model = keras.Sequential(layers)
        x = np.random.default_rng(0).integers(1, 256, (64, 28, 28, 1))
        x = x.astype("float32")
        np.testing.assert_array_equal(
            ops.convert_to_numpy(model(x, training=False)), x
        )
        moved = ops.convert_to_numpy(model(x, training=True))
        padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
        shifts = set()
        for before, after in zip(padded, moved):
            shifts |= {
                (i, j)
                for i in range(5)
                for j in range(5)
                if np.array_equal(before[i : i + 28, j : j + 28], after)
            }
        # Every image is a shifted one; the shifts differ.
        assert len(shifts) > 10

    def test_every_shift_is_as_likely_as_another(self):
        """As in `load(augment=True)`."""
        shift, *_ = datasets.preprocessing("digits", augment=True)
        x = np.zeros((3000, 8, 8, 1), "float32")
        x[:, 4, 4] = 1
        moved = ops.convert_to_numpy(shift(x, training=True))[..., 0]
        counts = moved.sum(axis=0)[3:6, 3:6]
        assert counts.sum() == 3000
        # Nine even shares; the ends would have a quarter and half of others.
        np.testing.assert_allclose(counts / 3000, 1 / 9, atol=0.03)

    @pytest.mark.only_on("torch")
    def test_size_is_checked(self):
        with pytest.raises(ValueError, match="image_size=\\(1, 2, 3\\)"):
            datasets.preprocessing("mnist", image_size=(1, 2, 3))

    @pytest.mark.only_on("torch")
    def test_augment_is_checked(self):
        with pytest.raises(TypeError, match="augment='no'"):
            datasets.preprocessing("mnist", augment="no")

    def test_resizes(self):
        layers = datasets.preprocessing("mnist", image_size=32)
        x = keras.Sequential(layers)(np.zeros((2, 28, 28, 1), "float32"))
        assert tuple(x.shape) == (2, 32, 32, 1)
