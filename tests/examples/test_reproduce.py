"""Recipes are complete, and one of each family trains."""

import argparse
import json

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds

import keras_ff

pytest.importorskip("matplotlib")
from examples import recipes  # noqa: E402
from examples.common import folder  # noqa: E402
from examples.common import schedule  # noqa: E402
from examples.recipes import PUBLISHED  # noqa: E402
from examples.recipes import RECIPES  # noqa: E402
from examples.reproduce import build  # noqa: E402
from examples.reproduce import load  # noqa: E402
from examples.reproduce import settings  # noqa: E402
from examples.reproduce import table  # noqa: E402
from examples.reproduce import training_batches  # noqa: E402

pytestmark = pytest.mark.only_on("torch")


def test_published_figures_belong_to_recipes():
    assert set(PUBLISHED) <= set(RECIPES)
    # Nothing that differs is said of recipes that do not exist.
    for name in recipes.DIFFERENT:
        assert any(
            f"{recipe}-".startswith(f"{name}-") or f"-{name}-" in recipe
            for recipe in RECIPES
        )


def test_misspelled_difference_is_refused(monkeypatch):
    monkeypatch.setitem(recipes.DIFFERENT, "caw-mlp", {"weight_decya": 0.1})
    with pytest.raises(ValueError, match=r"'caw-mlp'.*\['weight_decya'\]"):
        recipes.recipes_of("caw")


# Weight decay and learning rates of the papers; HFF publishes none.
@pytest.mark.parametrize(
    "name, decay, rates",
    [
        ("caw-tiny_cnn-cifar10", 5e-4, (0.03, 0.003)),
        ("caw-resnet17-digits", 5e-4, (0.08, 0.006)),
        ("deeperforward-tiny_cnn-mnist", 1e-2, (0.08, 0.008)),
        ("deeperforward-vgg14-mnist", 0.0, (0.08, 0.008)),
        ("deeperforward-resnet17-mnist", 5e-4, (0.08, 0.008)),
        ("hff-mlp-mnist", 1e-3, (1e-3, 1e-5)),
        ("backprop-mlp-digits", 5e-4, (1e-3, 1e-5)),
    ],
)
def test_recipes_build(name, decay, rates):
    recipe = settings(RECIPES[name])
    info = keras_ff.datasets.info(recipe["dataset"])
    model = build(recipe, info, width_multiplier=0.02)
    assert model.optimizer.weight_decay == recipe["weight_decay"] == decay
    assert tuple(recipe["learning_rate"]) == rates
    local = isinstance(model, keras_ff.models.ForwardOnlyModel)
    assert local == (recipe["method"] != "backprop")
    if name == "hff-mlp-mnist":
        assert model.local_layers[0].prototypes.shape == (10, 1, 512)


def test_recipes_of_a_method_from_outside(tmp_path, run_example, capsys):
    path = tmp_path / "outside.py"
    path.write_text(
        "import keras_ff\n"
        "class Outside(keras_ff.methods.Method):\n"
        "    name = 'outside'\n"
        "    head = keras_ff.layers.GoodnessProjection\n"
        "    learning_rate = (0.01, 0.002)\n"
        "    weight_decay = 0.03\n"
    )
    method = ("--method", f"{path}:Outside")
    run_example("reproduce", "--list", *method)
    assert "outside-vgg14-cifar100" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run_example("reproduce", "--list", "--method", f"{path}:Inside")
    assert "argument --method: " in capsys.readouterr().err
    run_example(
        *("reproduce", "outside-mlp-digits", *method, "--epochs", "1"),
        *("--width-multiplier", "0.01", "--output", tmp_path / "run"),
    )
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics["layer_accuracy"]) == 3
    recorded = metrics["config"]["settings"]
    assert recorded["learning_rate"] == [0.01, 0.002]
    assert recorded["weight_decay"] == 0.03
    assert recorded["loss"]["class_name"] == "LocalCrossentropy"


@pytest.mark.parametrize(
    "body, message",
    [
        ("name = 'bare'", "'bare' makes no layers. Received: Mine without `he"),
        ("name = 'caw'; head = Head", "Received: Mine.name='caw'. Give it a"),
        ("name = 'hff'; head = Head", "'hff' names recipes of another method"),
        ("name = 'whitened_cnn'; head = Head", "recipes of another method"),
    ],
)
def test_method_without_recipes(body, message, tmp_path, run_example, capsys):
    path = tmp_path / "mine.py"
    path.write_text(
        "from keras_ff.layers import GoodnessProjection as Head\n"
        "from keras_ff.methods import Method\n"
        f"class Mine(Method):\n    {body}\n"
    )
    with pytest.raises(SystemExit) as end:
        run_example("reproduce", "--list", "--method", f"{path}:Mine")
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert "argument --method: " in error and message in error


def test_caw_resnet17_has_the_published_settings():
    recipe = RECIPES["caw-resnet17-mnist"]
    info = keras_ff.datasets.info("mnist")
    model = build(recipe, info, width_multiplier=0.1)
    assert len(model.local_layers) == 17
    layer = model.local_layers[0]
    assert layer.head.pooling == (0.97, 0.03, 0.03)
    assert layer.dropout.rate == 0.1
    assert model.loss.label_smoothing == 0.1
    assert isinstance(model.contribution, keras_ff.contributions.LossAware)


@pytest.mark.parametrize("family", list(recipes.FAMILIES))
def test_whitened_recipes_are_one_recipe(family):
    names = [n for n in RECIPES if n.startswith(f"{family}-whitened_cnn")]
    if family == "deeperforward":
        assert not names
        return
    assert len(names) == len(recipes.VALIDATION)
    recipe = settings(RECIPES[f"{family}-whitened_cnn-cifar10"])
    assert recipe["validation_split"] == 0.02
    info = keras_ff.datasets.info("cifar10")
    model = build(recipe, info, width_multiplier=0.02, steps=1000)
    # What is written down is what is trained.
    optimizer = model.optimizer.get_config()
    assert recipe["optimizer"]["class_name"] == type(model.optimizer).__name__
    assert recipe["optimizer"]["config"].items() <= optimizer.items()
    rate = optimizer["learning_rate"]["config"]
    assert (rate["peak"], rate["steps"]) == (0.1, 1000)
    assert recipe["learning_rate"] == (0.1, 0.0)
    assert model.loss.label_smoothing == 0.1
    if isinstance(model, keras_ff.models.ForwardOnlyModel):
        assert recipe["contribution"]["class_name"] == "SkipFirst"
        np.testing.assert_array_equal(
            model.contribution.weights, [0, 0, 0, 1, 1, 1]
        )
        assert model.layers[-1].layer_clipnorm is None
    else:
        assert recipe["contribution"] is None


def test_images_are_mirrored_where_that_keeps_their_class():
    generator = np.random.default_rng(0)
    for dataset, mirrored in (("cifar100", True), ("mnist", False)):
        shape = keras_ff.datasets.info(dataset).input_shape
        x = generator.integers(0, 256, (8, *shape), "uint8")
        y = np.arange(8, dtype="int32")
        recipe = RECIPES[f"hff-whitened_cnn-{dataset}"]
        batches = training_batches(recipe, (x, y), 8, seed=0)
        flips = 0
        for epoch in (0, 1):
            batches.set_epoch(epoch)
            for image, number in zip(*batches[0]):
                padded = np.pad(x[number], [(2, 2), (2, 2), (0, 0)], "reflect")
                views = np.lib.stride_tricks.sliding_window_view(padded, shape)
                views = views.reshape(-1, *shape)
                straight = (views == image).all((1, 2, 3)).any()
                flips += (views == image[:, ::-1]).all((1, 2, 3)).any()
                assert straight or mirrored
        # Each of them once in two epochs, or never.
        assert flips == (8 if mirrored else 0)


class Killed(Exception):
    pass


def test_killed_whitened_run_goes_on(
    tmp_path, run_example, monkeypatch, capsys
):
    # Two steps an epoch.
    recipe = dict(RECIPES["caw-whitened_cnn-digits"], batch_size=600)
    monkeypatch.setitem(RECIPES, "caw-whitened_cnn-digits", recipe)
    command = [
        *("reproduce", "caw-whitened_cnn-digits", "--minutes", "0.5"),
        *("--width-multiplier", "0.02", "--output", tmp_path),
    ]
    seconds = {"seconds_of_an_epoch": 12.0, "seconds_to_start": 2.0}
    monkeypatch.setattr(schedule, "measured_speed", lambda *_: seconds)

    def die(path, history):
        raise Killed

    with monkeypatch.context() as patch:
        # After the first epoch's backup.
        patch.setattr(folder, "write_history", die)
        with pytest.raises(Killed):
            run_example(*command)
    keras.utils.clear_session()
    # It keeps its schedule, whatever the machine does meanwhile.
    monkeypatch.setattr(schedule, "measured_speed", None)
    # The whitening is in the weights.
    monkeypatch.setattr(keras_ff.layers.Whitening2D, "adapt", None)
    run_example(*command)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert len(metrics["history"]["val_accuracy"]) == 2
    assert metrics["test_accuracy_validation_selected"] is not None
    assert metrics["config"]["settings"]["schedule"] == "triangular"
    # The schedule went on where it was.
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert int(model.optimizer.iterations) == 4
    assert float(model.optimizer.learning_rate) == 0.0
    assert metrics["epochs"] == 2
    taken = metrics["minutes"]["taken"]
    assert 60 * taken == pytest.approx(sum(metrics["history"]["seconds"]))
    assert metrics["minutes"]["asked"] == 0.5
    command[3] = "0.25"
    with pytest.raises(SystemExit, match="minutes: saved 0.5, given 0.25"):
        run_example(*command)
    run_example("reproduce", "--report", tmp_path)
    assert "| 0.02 | 0.5 minutes (2 epochs) | 1 |" in capsys.readouterr().out
    (tmp_path / "metrics.json").unlink()
    (tmp_path / "schedule.json").unlink()
    command[3] = "0.5"
    with pytest.raises(SystemExit, match="not its schedule"):
        run_example(*command)


def test_minutes_train_as_so_many_epochs_do(tmp_path, run_example, monkeypatch):
    monkeypatch.setattr(schedule, "SECONDS", 0.0)
    of_minutes = schedule.of_minutes

    def two_epochs(minutes, speed):
        return of_minutes(
            2.5 * speed["seconds_of_an_epoch"] / 60,
            {**speed, "seconds_to_start": 0.0},
        )

    monkeypatch.setattr(schedule, "of_minutes", two_epochs)
    recipe = dict(RECIPES["projection-whitened_cnn-digits"], batch_size=600)
    monkeypatch.setitem(RECIPES, "projection-whitened_cnn-digits", recipe)
    losses = []
    for length in (("--minutes", "5"), ("--epochs", "2")):
        keras.utils.clear_session()
        output = tmp_path / length[0]
        run_example(
            *("reproduce", "projection-whitened_cnn-digits", *length),
            *("--width-multiplier", "0.02", "--output", output),
        )
        metrics = json.loads((output / "metrics.json").read_text())
        losses.append(metrics["history"]["loss"])
    assert metrics["minutes"]["asked"] is None
    assert losses[0] == losses[1] and len(losses[0]) == 2


def test_mirrored_images_are_told_of_separately(tmp_path, run_example, capsys):
    rng = np.random.default_rng(0)
    images = {
        f"x_{split}": rng.integers(0, 256, (size, 32, 32, 3), "uint8")
        for split, size in (("train", 260), ("test", 40))
    }
    labels = {
        f"y_{split}": rng.integers(0, 10, size)
        for split, size in (("train", 260), ("test", 40))
    }
    np.savez(tmp_path / "cifar10.npz", **images, **labels)
    command = [
        *("reproduce", "backprop-whitened_cnn-cifar10", "--epochs", "1"),
        *("--width-multiplier", "0.01", "--data-dir", tmp_path),
        *("--output", tmp_path / "run"),
    ]
    run_example(*command)
    path = tmp_path / "run" / "metrics.json"
    plain = json.loads(path.read_text())
    assert "mirrored" not in plain
    # What is asked for later is computed then, and trains nothing.
    run_example(*command, "--mirror")
    metrics = json.loads(path.read_text())
    x, y = images["x_test"], labels["y_test"]
    for key, file in (
        ("test_accuracy_last_epoch", "model.keras"),
        ("test_accuracy_validation_selected", "best.keras"),
    ):
        model = keras.saving.load_model(tmp_path / "run" / file)
        scores = model.predict(x) + model.predict(x[:, :, ::-1].copy())
        expected = np.mean(np.argmax(scores, axis=1) == y)
        assert metrics["mirrored"][key] == pytest.approx(expected)
    del metrics["mirrored"]
    assert metrics == plain
    run_example("reproduce", "--report", tmp_path)
    assert "averaged with the mirrored image |" in capsys.readouterr().out


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run_example):
    """A folder with two finished runs."""
    folder = tmp_path_factory.mktemp("runs")
    for family in ("deeperforward", "backprop"):
        run_example(*short(family), "--output", folder / family)
    return folder


def short(family):
    return [
        "reproduce",
        *(f"{family}-tiny_cnn-digits", "--epochs", "1"),
        *("--width-multiplier", "0.1"),
    ]


class TestShortRuns:
    def test_results(self, runs):
        for family in ("deeperforward", "backprop"):
            path = runs / family / "metrics.json"
            metrics = json.loads(path.read_text())
            recipe = metrics["config"]["settings"]
            assert recipe["optimizer"]["class_name"] == "AdamW"
            assert len(metrics["history"]["val_accuracy"]) == 1
            assert ("layer_accuracy" in metrics) == (family != "backprop")
            # It takes pixels, which its first layers normalize.
            model = keras.saving.load_model(runs / family / "model.keras")
            _, _, (x, y) = keras_ff.datasets.load_arrays("digits", raw=True)
            accuracy = np.mean(np.argmax(model.predict(x), axis=1) == y)
            assert metrics["test_accuracy_last_epoch"] == pytest.approx(
                accuracy, abs=1e-6
            )

    def test_report(self, runs, run_example, capsys):
        (runs / "cut").mkdir()
        half = (runs / "backprop" / "metrics.json").read_text()[:200]
        # What a crash leaves is never called metrics.json.
        (runs / "cut" / "metrics.part").write_text(half)
        for name, text in [
            ("damaged", half),
            ("foreign", "[1]"),
            ("twice", (runs / "backprop" / "metrics.json").read_text()),
        ]:
            (runs / name).mkdir()
            (runs / name / "metrics.json").write_text(text)
        run_example("reproduce", "--report", runs)
        out = capsys.readouterr().out
        for name in ("damaged", "foreign"):
            assert f"no recipe's result: {runs / name}" in out
        assert f"backprop/metrics.json: {runs / 'twice'}" in out
        table = (runs / "report.md").read_text()
        assert table.strip() in out
        assert "| deeperforward-tiny_cnn-digits | 0.1 | 1 | 1 |" in table
        assert table.count("tiny_cnn") == 2
        assert (runs / "report.png").stat().st_size > 5000

    def test_changed_recipe_is_refused(self, runs, run_example):
        path = runs / "backprop" / "config.json"
        config = json.loads(path.read_text())
        config["settings"]["weight_decay"] = 0.25
        path.write_text(json.dumps(config))
        with pytest.raises(SystemExit, match=r"other settings(.|\n)*0\.25"):
            run_example(*short("backprop"), "--output", runs / "backprop")


def test_table_has_mean_and_spread_over_seeds():
    def metrics(accuracy):
        return {
            "test_accuracy_last_epoch": accuracy,
            "test_accuracy_validation_selected": 0.5,
            "seconds": 120,
            "hardware": {"accelerator": "a GPU", "processor": "a CPU"},
        }

    group = [metrics(a) for a in (0.88, 0.90, 0.89)]
    lines = table(
        {("caw-resnet17-cifar10", 1.0, 150, "float32", "jax"): group}
    ).splitlines()
    assert lines[2] == (
        "| caw-resnet17-cifar10 | 1 | 150 | 3 | 89.00 ± 1.00 | 50.00 ± 0.00 "
        "| 89.37 | 2.0 | a GPU, jax, float32 |"
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["caw-lenet-mnist"], "unknown recipe 'caw-lenet-mnist'; the recipes"),
        (["hff-mlp-digits"], "--output is needed"),
        (["--report", "nowhere"], "--report: there is no folder nowhere"),
        ([], "a recipe is needed"),
        (["hff-mlp-digits", "--epochs", "0"], "--epochs: must be a positive"),
        (
            ["hff-mlp-digits", "--epochs", "2", "--minutes", "1"],
            "--minutes: not allowed with argument --epochs",
        ),
        (["hff-mlp-digits", "--minutes", "0"], "must be a positive number"),
        (
            ["hff-mlp-mnist", "--mirror", "--output", "x"],
            "a mirrored image of mnist may be of another class",
        ),
        (
            ["hff-mlp-digits", "--width-multiplier", "-1"],
            "--width-multiplier: must be a positive number, received -1",
        ),
    ],
)
def test_bad_arguments(arguments, message, run_example, capsys):
    with pytest.raises(SystemExit) as end:
        run_example("reproduce", *arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_streamed_recipe_trains_on_imagenet(tmp_path):
    # ResNet-17 would take longer, and is built elsewhere.
    recipe = RECIPES["hff-resnet17-imagenet2012"]
    recipe = dict(recipe, architecture="tiny_cnn", batch_size=2)
    flags = argparse.Namespace(
        dataset="imagenet2012",
        data_dir=None,
        seed=0,
        **{
            key: recipe[key]
            for key in ("batch_size", "augment", "validation_split")
        },
    )
    with tfds.testing.mock_data(num_examples=5):
        train, validation, _ = load(flags)
        info = keras_ff.datasets.info("imagenet2012")
        model = build(recipe, info, width_multiplier=0.02)
        history = model.fit(
            train, validation_data=validation, epochs=1, verbose=0
        ).history
    assert np.isfinite(history["loss"][0])
    assert np.isfinite(history["val_loss"][0])
