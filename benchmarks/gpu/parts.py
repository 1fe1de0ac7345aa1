"""CIFAR-10 as small files: images as lossless WebP, concatenated."""

import io
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SPLITS = ("train", "test")


def pack(arrays, folder, part_mib):
    """Writes images and labels as parts of at most `part_mib` MiB.

    Args:
        arrays: dict of `x_train`, `y_train`, `x_test`, `y_test`.
        folder: where to write `cifar10-<split>-<number>.npz`.
        part_mib: float.

    Returns:
        The paths of the parts.
    """
    from PIL import Image

    def encode(image):
        buffer = io.BytesIO()
        Image.fromarray(image).save(
            buffer, "WEBP", lossless=True, quality=100, method=4
        )
        return buffer.getvalue()

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for split in SPLITS:
            blobs = list(pool.map(encode, arrays[f"x_{split}"]))
            # Labels, offsets and the file's own take a little more.
            ends = np.cumsum([len(blob) + 16 for blob in blobs])
            number = ends // int(part_mib * 2**20)
            for part in range(number[-1] + 1):
                rows = np.flatnonzero(number == part)
                sizes = [len(blobs[row]) for row in rows]
                paths.append(folder / f"cifar10-{split}-{part}.npz")
                np.savez(
                    paths[-1],
                    blob=np.frombuffer(
                        b"".join(blobs[row] for row in rows), "uint8"
                    ),
                    offsets=np.cumsum([0, *sizes]),
                    labels=np.asarray(arrays[f"y_{split}"])[rows],
                    parts=number[-1] + 1,
                )
    return paths


def unpack(folders, path):
    """Writes one `cifar10.npz` of all parts below some folders.

    Raises:
        FileNotFoundError: if a part is missing.
    """
    from PIL import Image

    arrays = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for split in SPLITS:
            found = {}
            for folder in folders:
                for file in pathlib.Path(folder).rglob(f"cifar10-{split}-*"):
                    found[file.name] = np.load(file)
            parts = [found[name] for name in sorted(found)]
            if not parts or len(parts) != parts[0]["parts"]:
                raise FileNotFoundError(
                    f"Not all parts of the {split} images are there. Found: "
                    f"{sorted(found)} in {[str(x) for x in folders]}"
                )
            images = []
            for part in parts:
                blob, offsets = part["blob"].tobytes(), part["offsets"]

                def decode(i):
                    image = io.BytesIO(blob[offsets[i] : offsets[i + 1]])
                    return np.asarray(Image.open(image).convert("RGB"))

                images += pool.map(decode, range(len(offsets) - 1))
            arrays[f"x_{split}"] = np.stack(images)
            arrays[f"y_{split}"] = np.concatenate([x["labels"] for x in parts])
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return arrays
