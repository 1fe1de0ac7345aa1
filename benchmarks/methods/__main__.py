"""Every method on the same network, data, split, length and tuning effort.

    python -m benchmarks.methods --dry-run --epochs 6
    python -m benchmarks.methods --epochs 6

Each method of `keras_ff.methods` that has heads for `whitened_cnn` is first
trained for a share of the length with each of a few learning rates, with seed
0; validation chooses. Then it is trained with that one for several seeds, and
the test data is looked at once. The same command goes on where it was killed,
within a training too. At the end the methods' steps are timed in turn, as
times of trainings hours apart say what else the machine did. Into `--output`,
in a folder of the data set, go a file a training, `methods.json`
(`benchmarks.methods.results.read`), `methods.md` and `methods.png`, all of
them after every training.
"""

import argparse
import pathlib
import traceback

import keras_ff
from benchmarks.methods import data
from benchmarks.methods import picture
from benchmarks.methods import results
from benchmarks.methods.runs import Board
from examples.common import folder
from examples.common import options
from examples.recipes import VALIDATION
from keras_ff import files


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.methods",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", choices=list(VALIDATION), default="cifar10")
    add("--data-dir", help="folder of prepared TFDS data or <data set>.npz")
    add(
        "--methods",
        nargs="+",
        default=keras_ff.methods.names(),
        help="names, or FILE.py:NAME of your own",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=options.positive_int, default=6)
    length.add_argument(
        "--minutes",
        type=options.positive_float,
        help="instead: whole epochs that fit, by each method's speed",
    )
    add(
        "--factors",
        nargs="+",
        type=options.positive_float,
        default=[0.5, 1.0, 2.0],
        help="of the recipe's learning rate, to choose from",
    )
    add(
        "--tuning",
        type=options.positive_float,
        default=0.34,
        help="length of a training that chooses, as a share of the whole",
    )
    add("--seeds", type=options.positive_int, default=3, help="how many")
    add(
        "--validation",
        type=options.positive_int,
        help="the last so many training images; default: a tenth",
    )
    add(
        "--samples",
        type=options.positive_int,
        help="the first so many images alone, to try it out",
    )
    add("--width-multiplier", type=options.positive_float, default=1.0)
    add("--dtype", choices=options.DTYPES, default="float32")
    add("--dry-run", action="store_true", help="tell what there is to do")
    here = pathlib.Path(__file__).parents[1]
    add("--output", type=options.folder, default=here / "results" / "methods")
    add(
        "--work",
        type=options.folder,
        default="runs/methods",
        help="folder of what a restart needs, and of the models",
    )
    flags = parser.parse_args()
    if flags.minutes is not None:
        flags.epochs = None
    if flags.tuning > 1:
        parser.error(f"--tuning must be at most 1, received {flags.tuning:g}")
    flags.factors = sorted(set(flags.factors))
    if flags.validation is None:
        flags.validation = max(
            1,
            data.training_images(flags.dataset, flags.data_dir, flags.samples)
            // 10,
        )
    return flags


def main():
    board = Board(parse_arguments())
    with folder.held(board.work):
        settings = board.claim()
        if board.flags.dry_run:
            print(plan(board))
            return
        failed = []
        for runs in (board.tuning, board.final):
            # By then, tuning has chosen, where it did not fail.
            for run in runs():
                if run.factor is not None and board.result(run) is None:
                    if not _train(board, run):
                        failed.append(f"{run.method}/{run.stem}")
                    write(board, settings)
        print(write(board, settings, board.rates()))
    if failed:
        raise SystemExit(
            f"Failed, see above: {', '.join(failed)}. The same command tries "
            "them again."
        )


def _train(board, run):
    try:
        board.train(run)
    except Exception:
        # The others need not wait for it.
        traceback.print_exc()
        return False
    left = sum(map(board.minutes_left, everything(board)))
    print(f"All in all about {left:.1f} minutes are left.", flush=True)
    return True


def everything(board):
    return [*board.tuning(), *board.final()]


def plan(board):
    """All trainings, and how long they will take here."""
    lines, left = [], 0.0
    for run in everything(board):
        minutes = board.minutes_left(run)
        left += minutes
        rate = "chosen rate" if run.factor is None else f"rate x {run.factor:g}"
        lines.append(
            f"{run.method:18}{'tuning' if run.tuning else 'final':8}"
            f"{rate:14}seed {run.seed}{board.epochs_done(run):6} of "
            f"{board.epochs(run)} epochs{minutes:9.1f} minutes left"
        )
    lines += [f"Left out: {m}, {why}" for m, why in board.left_out.items()]
    lines.append(
        f"{len(everything(board))} trainings, about {left:.1f} minutes left"
    )
    return "\n".join(lines)


def write(board, settings, rates=None):
    """Writes the summary, the table and the picture; returns the table."""
    found = results.summary(board, settings, rates)
    text = results.table(found)
    folder.write_json(board.output / results.NAME, found)
    files.write_whole(board.output / "methods.md", text)
    if found["rows"]:
        picture.save(found, board.output / "methods.png")
    return text


if __name__ == "__main__":
    main()
