"""A folder with the layout of the original becomes a data set."""

import shutil

import numpy as np
import pytest

from keras_ff import datasets

pytestmark = pytest.mark.only_on("torch")

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_datasets")

WNIDS = ("n02124075", "n01443537", "n04067472")


def gray(level):
    image = np.full((64, 64, 3), level, "uint8")
    return tf.io.encode_jpeg(image, quality=100).numpy()


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Every class has its gray, so that labels can be told from images."""
    folder = tmp_path_factory.mktemp("original") / "tiny-imagenet-200"
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    lines = []
    for label, wnid in enumerate(WNIDS):
        images = folder / "train" / wnid / "images"
        images.mkdir(parents=True)
        for i in range(6):
            (images / f"{wnid}_{i}.JPEG").write_bytes(gray(60 * label + 10))
        name = f"val_{label}.JPEG"
        (folder / "val" / "images" / name).write_bytes(gray(60 * label + 10))
        lines.append(f"{name}\t{wnid}\t0\t0\t62\t62")
    # In another order than the classes'.
    text = "\n".join(reversed(lines)) + "\n"
    (folder / "val" / "val_annotations.txt").write_text(text)
    return folder


def check(data_dir):
    train, validation, test = datasets.load(
        "tiny_imagenet", batch_size=4, data_dir=data_dir, validation_split=0.2
    )
    counts = []
    mean, std = (np.mean(v) for v in datasets.info("tiny_imagenet")[3:])
    for split in (train, validation, test):
        x, y = (
            np.concatenate(part) for part in zip(*split.as_numpy_iterator())
        )
        assert x.shape[1:] == (64, 64, 3)
        levels = (x.mean(axis=(1, 2, 3)) * std + mean) * 255
        np.testing.assert_allclose(levels, 60 * y + 10, atol=3)
        counts.append(len(y))
    # 18 images, four of them for validation; full batches only.
    assert counts == [12, 4, 3]


def test_folder(original, tmp_path):
    manual = tmp_path / "downloads" / "manual"
    shutil.copytree(original, manual / original.name)
    check(tmp_path)
    # Prepared once, the original is not needed any more.
    shutil.rmtree(manual)
    check(tmp_path)


def test_damaged_records(original, tmp_path):
    manual = tmp_path / "downloads" / "manual"
    shutil.copytree(original, manual / original.name)
    datasets.load_arrays("tiny_imagenet", data_dir=tmp_path)
    (record,) = tmp_path.glob("tiny_imagenet/*/*train*tfrecord*")
    content = record.read_bytes()
    for damaged in (content[:-100], content[:500] + b"x" + content[501:]):
        record.write_bytes(damaged)
        with pytest.raises(ValueError, match="tiny_imagenet.*delete its fold"):
            datasets.load_arrays("tiny_imagenet", data_dir=tmp_path)


def test_zip(original, tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    shutil.make_archive(
        manual / original.name, "zip", original.parent, original.name
    )
    check(tmp_path)


def test_nothing_there_says_where_it_belongs(tmp_path):
    with pytest.raises(FileNotFoundError, match="tiny-imagenet-200.zip") as e:
        datasets.load("tiny_imagenet", data_dir=tmp_path)
    assert str(tmp_path / "downloads" / "manual") in str(e.value)
