import sys

import keras
import numpy as np
import pytest
import python_processes
import tensorflow as tf
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from keras_ff import datasets
from keras_ff.datasets import sources

pytestmark = pytest.mark.only_on("torch")

NUM_TRAIN, NUM_TEST = 103, 20

# The first labels of epochs 0 and 7 of digits.
FIRST = [4, 6, 2, 7, 8, 3, 4, 3]
SEVENTH = [5, 1, 5, 0, 7, 8, 8, 0]


def pixels(images, name="cifar10"):
    """Undoes the normalization."""
    _, _, _, mean, std = datasets.info(name)
    pixels = (images * np.float32(std) + np.float32(mean)) * 255
    return np.round(pixels).astype(int)


def collect(dataset):
    """All images and labels of one pass."""
    images, labels = zip(*dataset.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(labels)


def numbers(dataset):
    """Which images one pass has, by the label that numbers them."""
    return collect(dataset)[1].tolist()


@pytest.fixture
def data(monkeypatch):
    """Random images in the place of CIFAR-10, each labeled by its number."""
    rng = np.random.default_rng(0)
    size = (NUM_TRAIN + NUM_TEST, 32, 32, 3)
    images = rng.integers(0, 256, size, dtype="uint8")
    labels = np.arange(len(images), dtype="int32")
    monkeypatch.setattr(
        sources,
        "read",
        lambda *args: (
            (images[:NUM_TRAIN], labels[:NUM_TRAIN]),
            (images[NUM_TRAIN:], labels[NUM_TRAIN:]),
        ),
    )
    return images


def load(**kwargs):
    return datasets.load("cifar10", **{"batch_size": 10, **kwargs})


class TestInfo:
    def test_digits_statistics_are_those_of_the_data(self):
        info = datasets.info("digits")
        images = load_digits().images / 16
        assert info.input_shape == (8, 8, 1)
        assert info.num_classes == 10
        np.testing.assert_allclose(info.mean, images.mean(), atol=5e-5)
        np.testing.assert_allclose(info.std, images.std(), atol=5e-5)

    @pytest.mark.parametrize("name", ["imagenet", 3, ["mnist"]])
    def test_unknown_name(self, name):
        with pytest.raises(ValueError, match='"mnist", "fashion_mnist"'):
            datasets.info(name)
        with pytest.raises(ValueError, match="Received: name="):
            datasets.load(name)


class TestBatches:
    def test_normalized_as_numpy_does(self, data):
        info = datasets.info("cifar10")
        images, labels = collect(load().test)
        expected = (data[NUM_TRAIN:] / 255 - info.mean) / info.std
        np.testing.assert_allclose(images, expected, atol=1e-5)
        assert images.dtype == "float32"
        assert labels.dtype == "int32"
        assert labels.tolist() == list(range(NUM_TRAIN, NUM_TRAIN + NUM_TEST))

    def test_training_images_keep_their_labels(self, data):
        images, labels = collect(load().train)
        np.testing.assert_array_equal(pixels(images), data[labels])

    def test_drop_remainder_is_for_training_only(self, data):
        splits = load(validation_split=15, batch_size=16)
        assert [len(split) for split in splits] == [5, 1, 2]
        assert splits.train.element_spec[0].shape == (16, 32, 32, 3)
        assert len(numbers(splits.train)) == 80
        assert len(numbers(splits.validation)) == 15
        assert len(numbers(splits.test)) == NUM_TEST

        train = load(validation_split=15, batch_size=16, drop_remainder=False)
        assert len(train.train) == 6
        assert len(set(numbers(train.train))) == 88

    @pytest.mark.parametrize("size", [40, (16, 48)])
    def test_image_size(self, data, size):
        images, _ = collect(load(image_size=size).test)
        plain, _ = collect(load().test)
        size = (40, 40) if size == 40 else size
        assert images.shape == (NUM_TEST, *size, 3)
        expected = tf.image.resize(plain, size, antialias=True)
        np.testing.assert_allclose(images, expected, atol=1e-5)


class TestSplits:
    @pytest.mark.parametrize(
        "split, size", [(0, 0), (0.0, 0), (0.1, 10), (0.001, 1), (30, 30)]
    )
    def test_disjoint_and_complete(self, data, split, size):
        splits = load(
            validation_split=split, drop_remainder=False, augment=True
        )
        train, test = numbers(splits.train), numbers(splits.test)
        validation = []
        if size:
            validation = numbers(splits.validation)
        else:
            assert splits.validation is None
        assert len(validation) == size
        assert sorted(train + validation) == list(range(NUM_TRAIN))
        assert min(test) == NUM_TRAIN

    def test_held_out_images_depend_on_the_seed_only(self, data):
        validation = numbers(load().validation)
        other = load(batch_size=3, augment=True, drop_remainder=False)
        other.train.set_epoch(5)
        assert numbers(other.validation) == validation
        assert numbers(load(seed=1).validation) != validation

    def test_digits(self):
        splits = datasets.load("digits", batch_size=100, drop_remainder=False)
        parts = [collect(split) for split in splits]
        assert [len(labels) for _, labels in parts] == [1293, 144, 360]
        assert min(np.bincount(parts[2][1])) >= 34
        # All images differ, so none can be in two parts.
        images = np.concatenate([pixels(x, "digits") for x, _ in parts])
        assert len(np.unique(images.reshape(len(images), -1), axis=0)) == 1797


class TestOrder:
    def test_depends_on_seed_and_epoch_only(self, data):
        first, again = load().train, load(augment=True).train
        epochs = [numbers(first) for _ in range(3)]
        assert epochs == [numbers(again) for _ in range(3)]
        assert epochs[0] != epochs[1] != epochs[2]
        assert numbers(load(seed=1).train) != epochs[0]

    def test_set_epoch(self, data):
        train = load().train
        epochs = [numbers(train) for _ in range(3)]
        train.set_epoch(1)
        assert [numbers(train) for _ in range(2)] == epochs[1:]

    def test_set_epoch_between_iterator_and_first_batch(self, data):
        train = load().train
        epochs = [numbers(train) for _ in range(2)]
        iterator = iter(train)
        train.set_epoch(1)
        labels = np.concatenate([labels.numpy() for _, labels in iterator])
        assert labels.tolist() == epochs[1]

    def test_same_everywhere(self):
        # Whatever the process, the backend or the machine.
        train = datasets.load("digits", batch_size=8).train
        assert next(iter(train))[1].numpy().tolist() == FIRST
        train.set_epoch(7)
        assert next(iter(train))[1].numpy().tolist() == SEVENTH

    def test_epoch_is_checked(self, data):
        train = load().train
        with pytest.raises(ValueError, match="epoch=-1"):
            train.set_epoch(-1)
        with pytest.raises(TypeError, match="epoch=1.5"):
            train.set_epoch(1.5)


class TestAugment:
    def test_usual_recipe_moves_each_image_by_itself(self, data):
        images, labels = collect(load(augment=True).train)
        moves = set()
        border = [(0, 0), (4, 4), (4, 4), (0, 0)]
        padded = np.pad(data, border)
        for image, label in zip(pixels(images), labels):
            found = [
                (top, left, flip)
                for top in range(9)
                for left in range(9)
                for flip in (1, -1)
                if np.array_equal(
                    image,
                    padded[label, top : top + 32, left : left + 32][:, ::flip],
                )
            ]
            assert len(found) == 1
            moves.update(found)
        assert len(moves) > 40
        tops, lefts, flips = map(set, zip(*moves))
        assert tops == lefts == set(range(9))
        assert flips == {1, -1}

    def test_gray_images_are_shifted_not_flipped(self):
        kwargs = {"batch_size": 50, "drop_remainder": False}
        shifted = datasets.load("digits", augment=True, **kwargs).train
        plain = datasets.load("digits", **kwargs).train
        shifted, plain = collect(shifted)[0], collect(plain)[0]
        black = plain.min()
        padded = np.pad(
            plain, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=black
        )
        windows = np.stack(
            [
                padded[:, top : top + 8, left : left + 8]
                for top in range(3)
                for left in range(3)
            ]
        )
        same = (windows == shifted).all(axis=(2, 3, 4))
        assert same.any(axis=0).all()
        assert same.any(axis=1).all()

    @pytest.mark.parametrize("augment", [True, "layers"])
    def test_changes_only_training_data(self, data, augment):
        if augment == "layers":
            augment = [keras.layers.RandomFlip(), keras.layers.Rescaling(0.5)]
        plain, augmented = load(), load(augment=augment)
        assert not np.array_equal(
            collect(plain.train)[0], collect(augmented.train)[0]
        )
        for a, b in zip(plain[1:], augmented[1:]):
            np.testing.assert_array_equal(collect(a)[0], collect(b)[0])

    def test_set_epoch_repeats_it(self, data):
        train = load(augment=True).train
        first, second = collect(train)[0], collect(train)[0]
        train.set_epoch(0)
        np.testing.assert_array_equal(collect(train)[0], first)
        np.testing.assert_array_equal(collect(train)[0], second)
        assert not np.array_equal(first, second)

    def test_layers_see_pixels_from_0_to_255(self, data):
        images, labels = collect(load(augment=keras.layers.Rescaling(0)).train)
        np.testing.assert_array_equal(pixels(images), 0)
        layer = keras.layers.Rescaling(-1, offset=255)
        images, labels = collect(load(augment=layer).train)
        np.testing.assert_array_equal(pixels(images), 255 - data[labels])

    @pytest.mark.only_on("tensorflow", "jax", "torch")
    def test_seeded_layers_are_reproducible(self, data):
        def images():
            layers = [
                keras.layers.RandomTranslation(0.2, 0.2, seed=1),
                keras.layers.RandomBrightness(0.1, seed=2),
            ]
            return collect(load(augment=layers).train)[0]

        np.testing.assert_array_equal(images(), images())


class TestTensorFlowDatasets:
    @pytest.mark.parametrize("name", ["mnist", "cifar100"])
    def test_mock_data(self, name):
        info = datasets.info(name)
        with tfds.testing.mock_data(num_examples=20):
            splits = datasets.load(name, batch_size=6, augment=True)
        assert [len(split) for split in splits] == [3, 1, 4]
        for split in splits:
            images, labels = collect(split)
            assert images.shape[1:] == info.input_shape
            assert labels.max() < info.num_classes

    @pytest.mark.parametrize("augment", [False, True])
    def test_streamed(self, augment):
        with tfds.testing.mock_data(num_examples=7):
            train, validation, test = datasets.load(
                "imagenet2012", 2, augment=augment, validation_split=2
            )
            assert [len(split) for split in (train, validation, test)] == [
                2,
                1,
                4,
            ]
            (images, labels), (again, _) = collect(train), collect(train)
            assert images.shape == (4, 224, 224, 3)
            assert images.dtype == "float32" and labels.max() < 1000
            assert not np.array_equal(images, again)
            train.set_epoch(0)
            np.testing.assert_array_equal(collect(train)[0], images)
            # Mock splits are alike: the held-out images are the first two.
            np.testing.assert_array_equal(
                collect(validation)[0], collect(test)[0][:2]
            )

    def test_absent(self, tmp_path):
        with pytest.raises(FileNotFoundError) as error:
            datasets.load("cifar10", data_dir=tmp_path, download=False)
        for part in ['"cifar10"', str(tmp_path), "tensorflow_datasets.load("]:
            assert part in str(error.value)

    @pytest.mark.parametrize(
        "cause",
        [ConnectionError("offline"), tfds.download.DownloadError("404")],
    )
    def test_failed_download(self, monkeypatch, cause):
        def fail(*args, **kwargs):
            raise cause

        monkeypatch.setattr(tfds, "load", fail)
        with pytest.raises(FileNotFoundError, match="downloading it failed"):
            datasets.load("mnist")

    @pytest.mark.only_on("tensorflow")
    def test_real_data(self, real_data_dir):
        train, validation, test = datasets.load(
            "fashion_mnist", 500, data_dir=real_data_dir, download=False
        )
        images, labels = collect(train)
        held_out = collect(validation)[1]
        assert (len(labels), len(held_out)) == (54_000, 6_000)
        counts = np.bincount(np.concatenate([labels, held_out]))
        assert counts.tolist() == [6000] * 10
        assert np.bincount(collect(test)[1]).tolist() == [1000] * 10
        assert abs(images.mean()) < 0.01
        assert abs(images.std() - 1) < 0.01


class TestErrors:
    @pytest.mark.parametrize(
        "kwargs, error, match",
        [
            ({"batch_size": 0}, ValueError, "batch_size=0"),
            ({"batch_size": 2.5}, TypeError, "batch_size=2.5"),
            ({"batch_size": True}, TypeError, "batch_size=True"),
            ({"batch_size": 99}, ValueError, "batch_size=99 is more than"),
            ({"seed": -1}, ValueError, "seed=-1"),
            ({"seed": None}, TypeError, "seed=None"),
            ({"validation_split": 1.0}, ValueError, "validation_split=1.0"),
            ({"validation_split": -2}, ValueError, "validation_split=-2"),
            ({"validation_split": "a"}, TypeError, "validation_split='a'"),
            ({"validation_split": NUM_TRAIN}, ValueError, "103 of 103"),
            ({"augment": "flip"}, TypeError, "augment='flip'"),
            ({"augment": [abs]}, TypeError, "built-in function abs"),
            ({"image_size": 0}, ValueError, "image_size=0"),
            ({"image_size": (1, 2, 3)}, ValueError, "image_size=(1, 2, 3)"),
        ],
    )
    def test_bad_argument(self, data, kwargs, error, match):
        with pytest.raises(error) as raised:
            load(**kwargs)
        assert match in str(raised.value)

    @pytest.mark.parametrize(
        "name, module",
        [
            ("mnist", "tensorflow"),
            ("mnist", "tensorflow_datasets"),
            ("digits", "sklearn.datasets"),
        ],
    )
    def test_missing_extra(self, monkeypatch, name, module):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=rf"{module}.*keras_ff\[dataset"):
            datasets.load(name)

    @pytest.mark.skipif(
        keras.config.backend() == "tensorflow",
        reason="this backend is one of the extras",
    )
    def test_import_needs_no_extra(self):
        code = "import sys\n"
        for name in ["tensorflow", "tensorflow_datasets", "sklearn"]:
            code += f"sys.modules['{name}'] = None\n"
        code += "import keras_ff.datasets"
        python_processes.run(["-c", code], check=True)


@pytest.mark.only_on("tensorflow", "jax", "torch")
class TestFit:
    @pytest.fixture
    def model(self):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(10, kernel_initializer="zeros"),
            ]
        )
        model.compile(
            keras.optimizers.SGD(0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    def fit(self, model, splits, **kwargs):
        callback = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, _: splits.train.set_epoch(epoch)
        )
        return model.fit(
            splits.train,
            validation_data=splits.validation,
            shuffle=False,
            verbose=0,
            callbacks=[callback],
            **kwargs,
        ).history

    def load(self):
        return datasets.load("digits", batch_size=64, augment=True)

    def test_learns(self, model):
        splits = self.load()
        history = self.fit(model, splits, epochs=5)
        assert history["val_accuracy"][-1] > 0.7
        assert model.evaluate(splits.test, verbose=0)[1] > 0.7
        assert model.predict(splits.test, verbose=0).shape == (360, 10)

    def test_resumed_run_continues_exactly(self, model):
        start = model.get_weights()
        self.fit(model, self.load(), epochs=3)
        whole = model.get_weights()
        model.set_weights(start)
        self.fit(model, self.load(), epochs=1)
        self.fit(model, self.load(), initial_epoch=1, epochs=3)
        for a, b in zip(whole, model.get_weights()):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
