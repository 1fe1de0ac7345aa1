"""The table of all methods: planned, killed, resumed, written and read."""

import json
import sys
from unittest import mock

import keras
import numpy as np
import pytest

import keras_ff
from benchmarks.methods import results
from examples.common import folder
from examples.common import schedule

pytest.importorskip("matplotlib")
pytest.importorskip("psutil")
from benchmarks.methods import __main__ as leaderboard  # noqa: E402

pytestmark = pytest.mark.only_on("torch")


class Killed(BaseException):
    pass


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Function that runs the command, with a small network."""
    monkeypatch.setattr(
        "examples.common.pictures.draw", lambda *arguments: None
    )

    def run(*arguments, methods=("projection", "backprop")):
        arguments = [
            *("methods", "--dataset", "digits", "--samples", "300"),
            *("--width-multiplier", "0.02", "--factors", "0.5", "1"),
            *("--methods", *methods, "cw"),
            *("--output", tmp_path / "results", "--work", tmp_path / "work"),
            *arguments,
        ]
        with mock.patch.object(sys, "argv", [*map(str, arguments)]):
            leaderboard.main()
        return tmp_path / "results" / "digits"

    return run


def test_killed_within_a_training_it_goes_on(
    run, tmp_path, monkeypatch, capsys
):
    trained = []
    fit = keras_ff.models.ForwardOnlyModel.fit

    def counted(self, *args, **options):
        trained.append((options["initial_epoch"], options["epochs"]))
        return fit(self, *args, **options)

    write_history = folder.write_history

    def die(path, history):
        write_history(path, history)
        if "work/digits/projection/rate" in str(path):
            raise Killed

    def start(*arguments):
        return run(
            *("--epochs", "2", "--tuning", "0.5", "--seeds", "1", *arguments),
            methods=["projection"],
        )

    with monkeypatch.context() as patch:
        # After the first epoch of the first training for the table.
        patch.setattr(folder, "write_history", die)
        with pytest.raises(Killed):
            start()
    tuned = tmp_path / "results" / "digits" / "projection"
    assert {path.name for path in tuned.iterdir()} == {
        "tuning-rate-0.5-seed-0.json",
        "tuning-rate-1.0-seed-0.json",
    }
    # Choosing does not look at test data.
    for path in tuned.iterdir():
        assert json.loads(path.read_text())["test_accuracy_last_epoch"] is None
        assert "layer_accuracy" not in json.loads(path.read_text())
    capsys.readouterr()
    start("--dry-run")
    plan = capsys.readouterr().out
    (begun,) = [
        line
        for line in plan.splitlines()
        if line.startswith("projection") and "final" in line
    ]
    assert "1 of 2 epochs" in begun
    assert "3 trainings, about 0.0 minutes left" in plan

    monkeypatch.setattr(keras_ff.models.ForwardOnlyModel, "fit", counted)
    path = start()
    assert trained == [(1, 2)]
    found = results.read(path)
    assert found == results.read(path / "methods.json")
    assert [row["method"] for row in found["rows"]] == ["projection"]
    assert set(found["left_out"]) == {"cw", "forward_forward"}
    for row in found["rows"]:
        tuning = row["tuning"]
        assert row["factor"] == float(max(tuning, key=tuning.get))
        assert row["learning_rate"] == pytest.approx(0.1 * row["factor"])
        assert row["seeds"] == [0] and row["epochs"] == [2]
        assert len(row["val_accuracy"][0]) == 2
        assert row["peak_memory"]["bytes"] > 0
        # 270 images that train, in whole batches, for two epochs.
        images = json.loads((path / "rates.json").read_text())["images"]
        assert 0 < images <= 270
        minutes = 2 * images / row["images_per_second"] / 60
        assert row["minutes"] == [pytest.approx(minutes)]
        model = keras.saving.load_model(
            tmp_path
            / f"work/digits/{row['method']}/rate-{row['factor']}-seed-0"
            / "model.keras"
        )
        x, y = (array[:300] for array in digits_test())
        accuracy = np.mean(np.argmax(model.predict(x), axis=1) == y)
        assert row["test_accuracy_last_epoch"] == [pytest.approx(accuracy)]
        # The last tenth of the images.
        x, y = (array[270:300] for array in digits_train())
        accuracy = np.mean(np.argmax(model.predict(x), axis=1) == y)
        assert row["val_accuracy"][0][-1] == pytest.approx(accuracy)
    assert "of which the last 30 validate" in (path / "methods.md").read_text()
    assert (path / "methods.png").stat().st_size > 5000

    # Nothing is trained again, and other conditions are refused.
    del trained[:]
    start()
    assert not trained
    with pytest.raises(SystemExit, match="epochs: saved 2, given 3"):
        start("--epochs", "3")


def digits_train():
    from keras_ff.datasets import sources

    return sources.read("digits")[0]


def digits_test():
    from keras_ff.datasets import sources

    return sources.read("digits")[1]


def test_minutes_are_whole_epochs_of_each_methods_speed(
    run, monkeypatch, capsys
):
    seconds = iter([10.0, 25.0])
    monkeypatch.setattr(
        schedule,
        "measured_speed",
        lambda *_: {
            "seconds_of_an_epoch": next(seconds),
            "seconds_to_start": 5.0,
        },
    )
    path = run("--minutes", "1", "--tuning", "0.4", "--dry-run")
    lines = capsys.readouterr().out.splitlines()
    # 55 seconds: five epochs of ten, two of 25; two and one to choose.
    epochs = {tuple(line.split()[:2]): line for line in lines}
    for key, number in (
        (("projection", "tuning"), 2),
        (("projection", "final"), 5),
        (("backprop", "tuning"), 1),
        (("backprop", "final"), 2),
    ):
        assert f" 0 of {number} epochs" in epochs[key]
    # Two of two epochs and three of five; two of one and three of two.
    # (4 + 15) * 10 + (2 + 6) * 25 seconds.
    assert "10 trainings, about 6.5 minutes left" in lines[-1]
    # It claims nothing.
    assert not path.exists()


def test_method_that_fails_does_not_stop_the_others(run, monkeypatch, capsys):
    trained = []

    def train(self, run):
        if run.method == "projection":
            raise ValueError("no such thing")
        trained.append(run)

    monkeypatch.setattr(leaderboard.Board, "train", train)
    with pytest.raises(SystemExit, match="Failed.*: projection/tuning"):
        run("--epochs", "1", "--seeds", "1")
    assert "no such thing" in capsys.readouterr().err
    assert [(r.method, r.factor) for r in trained] == [
        ("backprop", 0.5),
        ("backprop", 1.0),
    ]


def test_every_method_has_a_row_or_a_reason(tmp_path):
    with mock.patch.object(sys, "argv", ["methods", "--dataset", "digits"]):
        board = leaderboard.Board(leaderboard.parse_arguments())
    both = {*board.methods, *board.left_out}
    assert both == {*keras_ff.methods.names(), "forward_forward"}
    assert not {*board.methods} & {*board.left_out}
    for run in board.tuning():
        assert board.recipe(run)["architecture"] == "whitened_cnn"
        assert board.recipe(run)["width"] == 1.0


def test_table_has_means_and_spreads():
    row = {
        "method": "caw",
        "paper": "a paper",
        "test_accuracy_last_epoch": [0.88, 0.90, 0.89],
        "test_accuracy_validation_selected": [0.5],
        "seeds": [0, 1, 2],
        "epochs": [6, 6, 7],
        "minutes": [10.0, 11.0, 12.0],
        "images_per_second": 100.0,
        "peak_memory": {"bytes": 3 * 2**20, "what": ""},
        "parameters": 1340000,
        "learning_rate": 0.05,
        "hardware": {"accelerator": None, "processor": "a CPU", "cores": 2},
        "versions": {"keras": "3"},
    }
    settings = {
        "dataset": "cifar10",
        "epochs": None,
        "minutes": 15.0,
        "samples": None,
        "validation": 5000,
        "tuning": 0.34,
        "width_multiplier": 1.0,
        "factors": [0.5, 1.0],
        "backend": "torch",
        "dtype": "float32",
    }
    text = results.table(
        {"rows": [row], "settings": settings, "left_out": {"cw": "because"}}
    )
    assert text.splitlines()[2] == (
        "| caw (a paper) | 89.00 ± 1.00 | 50.00 | 3 | 6 or 7 | 11.0 | 100 "
        "| 3 MiB | 1,340,000 | 0.05 |"
    )
    assert "fit into 15 min" in text and "shifts by up to 2 pixels and" in text
    assert "2 factors (0.5, 1) of 0.1" in text
    assert "- Left out: cw, because." in text


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--tuning", "2"), "--tuning must be at most 1, received 2"),
        (("--epochs", "1", "--minutes", "1"), "not allowed with argument"),
    ],
)
def test_bad_arguments(arguments, message, run, capsys):
    with pytest.raises(SystemExit):
        run(*arguments)
    assert message in capsys.readouterr().err


def test_too_few_images(run):
    with pytest.raises(SystemExit, match="less 100 that validate.*--samples"):
        run("--epochs", "1", "--validation", "100")
