"""Every variant builds; a study runs, goes on where it stopped, and draws."""

import argparse
import json
import types

import keras
import numpy as np
import pytest

pytest.importorskip("matplotlib")
from examples import ablation  # noqa: E402

INFO = types.SimpleNamespace(input_shape=(8, 8, 1), num_classes=10)
FLAGS = argparse.Namespace(width_multiplier=0.1, architecture="tiny_cnn")


@pytest.mark.parametrize(
    "study, variant",
    [
        (study, variant)
        for study in ablation.STUDIES
        for variant in ablation.STUDIES[study].variants()
        # Needs a wide sphere.
        if variant != "fixed, separated"
    ],
)
def test_variants_build(study, variant):
    model = ablation.STUDIES[study].build(variant, INFO, FLAGS)
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


@pytest.mark.only_on("torch")
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
