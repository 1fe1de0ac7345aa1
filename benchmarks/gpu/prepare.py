"""CIFAR-10 in small files, for a GPU machine that reaches no network.

    python -m benchmarks.gpu.prepare --output .gpu --part-mib 34

Needs the prepared data set (`--data-dir`) and Pillow; there, `python -m
benchmarks.gpu --data .gpu` needs Pillow only. The files come into one folder
a load of at most `--load-mib`.
"""

import argparse
import pathlib

from benchmarks.gpu import parts


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data-dir", help="folder of prepared TFDS data or cifar10.npz")
    add("--output", default=".gpu")
    add("--part-mib", type=float, default=34)
    add("--load-mib", type=float, default=54)
    flags = parser.parse_args()

    import keras_ff

    (x, y), _, (x_test, y_test) = keras_ff.datasets.load_arrays(
        "cifar10", flags.data_dir, validation_split=0, raw=True
    )
    arrays = dict(x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    folder = pathlib.Path(flags.output)
    loads = []
    paths = parts.pack(arrays, folder, flags.part_mib)
    for path in sorted(paths, key=lambda path: -path.stat().st_size):
        size = path.stat().st_size / 2**20
        for load in loads:
            if load["mib"] + size <= flags.load_mib:
                break
        else:
            load = {"mib": 0.0, "folder": folder / f"load{len(loads) + 1}"}
            load["folder"].mkdir(exist_ok=True)
            loads.append(load)
        load["mib"] += size
        path.replace(load["folder"] / path.name)
    for load in loads:
        print(f"{load['folder']}: {load['mib']:.1f} MiB")


if __name__ == "__main__":
    main()
