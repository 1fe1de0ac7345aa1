"""Every variant builds; a study runs, goes on where it stopped, and draws."""

import argparse
import json
import types

import keras
import numpy as np
import pytest

import keras_ff

pytest.importorskip("matplotlib")
from examples import ablation  # noqa: E402

pytestmark = pytest.mark.only_on("torch")

INFO = types.SimpleNamespace(input_shape=(8, 8, 1), num_classes=10)
FLAGS = argparse.Namespace(
    width_multiplier=0.1, architecture="tiny_cnn", dataset="digits"
)


@pytest.mark.parametrize(
    "study, variant",
    [
        (study, variant)
        for study in ("caw", "hff")
        for variant in ablation.STUDIES[study].variants()
        # Needs a wide sphere.
        if variant != "fixed, separated"
    ],
)
def test_variants_build(study, variant):
    chosen = ablation.STUDIES[study]
    model = chosen.build(chosen.variants()[variant], INFO, FLAGS, steps=9)
    for layer in model.local_layers:
        head = {id(v) for v in layer.head.trainable_variables}
        if variant.startswith("frozen"):
            assert not head
            shares = keras.ops.convert_to_numpy(layer.head.shares())
            assert np.sort(shares, axis=1)[:, -1].min() > 1 - 1e-6
        elif variant.startswith("fixed"):
            assert id(layer.prototypes) not in head
        elif variant != "DeeperForward":
            assert head


def parts_of(model):
    """What tells networks apart: their weights, and layers without any."""
    shapes = [tuple(v.shape) for v in model.weights]
    heads = [layer.head for layer in model.layers if hasattr(layer, "head")]
    return shapes, [
        type(part).__name__
        for head in heads
        for part in getattr(head, "layers", [])
    ]


def test_variants_of_the_whitened_network():
    study = ablation.STUDIES["whitened"]
    # Auxiliary convolutions average larger maps than 8 x 8.
    info = types.SimpleNamespace(input_shape=(16, 16, 1), num_classes=10)
    models = {
        variant: study.build(change, info, FLAGS, steps=9)
        for variant, change in study.variants().items()
    }
    base = models.pop("whitened network")
    rate = base.optimizer.get_config()["learning_rate"]["config"]
    assert (rate["peak"], rate["steps"]) == (0.1, 9)
    assert base.optimizer.normalize_weights
    # Half of the recipe's width, a tenth of the network's own.
    assert base.local_layers[-1].head.head.prototypes.shape[-1] == 13 * 4
    for name in ("AdamW, rate 0.002", "AdamW, rate 0.005"):
        optimizer = models[name].optimizer
        assert isinstance(optimizer, keras.optimizers.AdamW)
        assert optimizer.weight_decay == 0
        rate = optimizer.get_config()["learning_rate"]["config"]
        assert rate["peak"] == float(name.split()[-1]) and rate["steps"] == 9
    # One thing differs: the optimizer, or what the network is.
    parts = parts_of(base)
    for name, model in models.items():
        muon = isinstance(model.optimizer, keras_ff.optimizers.Muon)
        assert muon == ("AdamW" not in name), name
        assert (parts_of(model) != parts) == muon, name
    blocks = {
        name: len(model.local_layers)
        for name, model in models.items()
        if "loss" in name
    }
    assert list(blocks.values()) == [3, 2, 1]
    # A learned first layer sees normalized pixels, whitening any.
    for name, model in models.items():
        first = type(model.layers[1]).__name__
        learned = name == "learned first layer"
        assert first == ("Normalization" if learned else "Whitening2D")


def test_study_of_the_whitened_network_trains(tmp_path, run_example):
    run_example(
        *("ablation", "whitened", "--dataset", "digits", "--epochs", "2"),
        *("--width-multiplier", "0.05", "--output", tmp_path),
        *("--variants", "whitened network", "learned first layer"),
        *("--seeds", "0"),
    )
    results = json.loads((tmp_path / "ablation.json").read_text())
    for run in results["runs"].values():
        # Ten classes: far above chance after two epochs.
        assert run["0"]["test_accuracy"] > 0.3


METHOD = """
import keras_ff

class Mine(keras_ff.methods.Method):
    name = "mine"
    head = keras_ff.layers.GoodnessProjection
    learning_rate = (0.01, 0.001)
"""


@pytest.mark.parametrize("study", ["caw", "hff", "whitened"])
def test_a_method_of_ones_own_takes_part(study, tmp_path, run_example, capsys):
    (tmp_path / "mine.py").write_text(METHOD)
    run_example(
        *("ablation", study, "--dataset", "digits", "--epochs", "1"),
        *("--methods", f"{tmp_path / 'mine.py'}:Mine", "projection"),
        *("--variants", "mine", "projection", "--seeds", "0"),
        *("--width-multiplier", "0.04", "--output", tmp_path / "run"),
    )
    results = json.loads((tmp_path / "run" / "ablation.json").read_text())
    assert set(results["runs"]) == {"mine", "projection"}
    for run in results["runs"].values():
        assert 0 < run["0"]["test_accuracy"] < 1
    assert "mine" in capsys.readouterr().out


def test_study_resumes_and_reports(tmp_path, run_example, capsys):
    arguments = [
        *("ablation", "hff", "--dataset", "digits", "--epochs", "1"),
        *("--width-multiplier", "0.02", "--output", tmp_path),
        *("--variants", "base", "--seeds", "0"),
    ]
    run_example(*arguments)
    path = tmp_path / "ablation.json"
    results = json.loads(path.read_text())
    assert set(results["runs"]) == {"base"}
    assert (tmp_path / "ablation.png").stat().st_size > 5000
    # What is finished stays as it is.
    results["runs"]["base"]["0"]["test_accuracy"] = 0.125
    path.write_text(json.dumps(results))
    run_example(*arguments)
    # One seed has no spread.
    assert " 12.50  " in capsys.readouterr().out
    with pytest.raises(SystemExit, match="epochs: saved 1, given 2"):
        run_example(*arguments, "--epochs", "2")


def test_differences_are_of_the_same_seed():
    def runs(**accuracies):
        return {
            seed[1:]: {"test_accuracy": value, "val_accuracy": [0.5]}
            for seed, value in accuracies.items()
        }

    lines = ablation.table(
        {
            "runs": {
                "base": runs(s0=0.7, s1=0.8),
                "better": runs(s1=0.81, s0=0.73),
                "begun": runs(s1=0.6),
            }
        }
    ).splitlines()
    assert lines[2].split() == [
        "base",
        "2",
        *"75.00 ± 7.07 50.00 ± 0.00".split(),
    ]
    assert lines[3].split()[5:8] == ["+2.00", "±", "1.41"]
    assert lines[4].split() == ["begun", "1", "60.00", "-20.00", "50.00"]
