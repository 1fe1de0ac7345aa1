"""Recipes are complete, and one of each family trains."""

import json
import pathlib
import subprocess
import sys
import types

import keras
import pytest

import keras_ff

pytest.importorskip("matplotlib")
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from recipes import PUBLISHED  # noqa: E402
from recipes import RECIPES  # noqa: E402
from reproduce import build  # noqa: E402


def run(*arguments):
    return subprocess.run(
        [sys.executable, EXAMPLES / "reproduce.py", *arguments],
        capture_output=True,
        text=True,
    )


def test_published_figures_belong_to_recipes():
    assert set(PUBLISHED) <= set(RECIPES)


@pytest.mark.parametrize(
    "name", ["caw-tiny_cnn-cifar10", "hff-mlp-mnist", "backprop-mlp-digits"]
)
def test_recipes_build(name):
    recipe = RECIPES[name]
    info = types.SimpleNamespace(input_shape=(8, 8, 1), num_classes=10)
    model = build(recipe, info, width_multiplier=0.05)
    assert model.optimizer.weight_decay == recipe["weight_decay"]
    local = isinstance(model, keras_ff.models.ForwardOnlyModel)
    assert local == (recipe["method"] != "backprop")


def test_caw_resnet17_has_the_published_settings():
    recipe = RECIPES["caw-resnet17-mnist"]
    info = types.SimpleNamespace(input_shape=(32, 32, 1), num_classes=10)
    model = build(recipe, info, width_multiplier=0.1)
    assert len(model.local_layers) == 17
    layer = model.local_layers[0]
    assert layer.goodness.pooling == (0.97, 0.03, 0.03)
    assert layer.dropout.rate == 0.1
    assert model.loss.label_smoothing == 0.1
    assert isinstance(model.contribution, keras_ff.contributions.LossAware)


@pytest.mark.skipif(
    keras.backend.backend() != "torch",
    reason="what it calls is tested on every backend; one run is enough",
)
@pytest.mark.parametrize("family", ["deeperforward", "backprop"])
def test_short_run_and_report(family, tmp_path):
    arguments = [f"{family}-tiny_cnn-digits", "--epochs", "1"]
    arguments += ["--width-multiplier", "0.1", "--output", tmp_path / "run"]
    done = run(*arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["config"]["backend"] == keras.backend.backend()
    assert ("layer_accuracy" in metrics) == (family != "backprop")
    table = run("--report", tmp_path).stdout
    assert f"| {family}-tiny_cnn-digits | 0.1 | 1 | 0 |" in table


def test_unknown_recipe_is_refused():
    done = run("caw-lenet-mnist", "--output", "nowhere")
    assert done.returncode == 2
    assert "unknown recipe 'caw-lenet-mnist'" in done.stderr


@pytest.mark.parametrize("flag", ["--epochs", "--width-multiplier"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_numbers_must_be_positive(flag, value, tmp_path):
    done = run("hff-mlp-digits", flag, value, "--output", tmp_path / "run")
    assert done.returncode == 2
    assert f"argument {flag}: must be positive, received {value}" in done.stderr
    assert not (tmp_path / "run").exists()
