"""Tiny-ImageNet, which TensorFlow Datasets does not have."""

import functools
import os
import pathlib

from keras_ff.datasets.extras import import_extra

FOLDER = "tiny-imagenet-200"
HOW = (
    "Get tiny-imagenet-200.zip from http://cs231n.stanford.edu (or the Kaggle "
    "mirror) and put it, or the folder that is in it, into"
)


@functools.cache
def builder_class():
    """The TFDS builder; its test split is the official validation split."""
    tfds = import_extra("tensorflow_datasets")

    class TinyImagenet(tfds.core.GeneratorBasedBuilder):
        """200 classes of ImageNet, 64 x 64 pixels."""

        name = "tiny_imagenet"
        VERSION = tfds.core.Version("1.0.0")
        MANUAL_DOWNLOAD_INSTRUCTIONS = HOW + " the manual download directory."

        def _info(self):
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(
                            shape=(64, 64, 3), encoding_format="jpeg"
                        ),
                        "label": tfds.features.ClassLabel(num_classes=200),
                    }
                ),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            manual = pathlib.Path(dl_manager.manual_dir)
            folder = manual / FOLDER
            if not folder.exists():
                folder = dl_manager.extract(manual / f"{FOLDER}.zip") / FOLDER
            wnids = (folder / "wnids.txt").read_text().split()
            numbers = {wnid: i for i, wnid in enumerate(wnids)}
            return {
                "train": self._generate_examples(_train(folder), numbers),
                "test": self._generate_examples(_validation(folder), numbers),
            }

        def _generate_examples(self, files, numbers):
            for path, wnid in files:
                example = {"image": os.fspath(path), "label": numbers[wnid]}
                yield path.name, example

    return TinyImagenet


def _train(folder):
    """The training images and the names of their classes."""
    for path in sorted((folder / "train").glob("*/images/*")):
        yield path, path.parts[-3]


def _validation(folder):
    """The official validation images and the names of their classes."""
    annotations = folder / "val" / "val_annotations.txt"
    for line in annotations.read_text().splitlines():
        name, wnid, *_ = line.split("\t")
        yield folder / "val" / "images" / name, wnid


def prepare(data_dir=None):
    """The builder with prepared data; prepares it the first time.

    Args:
        data_dir: directory of the prepared data sets. `None` stands for the
            default of TensorFlow Datasets.

    Raises:
        FileNotFoundError: if there is neither prepared nor original data.
    """
    prepared = builder_class()(data_dir=data_dir)
    if not prepared.data_path.exists():
        place = pathlib.Path(prepared.data_dir).parents[1]
        manual = place / "downloads" / "manual"
        names = (FOLDER, f"{FOLDER}.zip")
        if not any((manual / name).exists() for name in names):
            raise FileNotFoundError(
                f'The data set "tiny_imagenet" is not in {place}. {HOW} '
                f"{manual}; `load()` prepares it once, in a few minutes."
            )
        prepared.download_and_prepare()
    return prepared
