"""Tasks one after another, and few labels: what is counted, and both runs."""

import json

import numpy as np
import pytest

from examples import continual

pytestmark = pytest.mark.only_on("torch")


def test_forgetting_and_means():
    found = [[0.9], [0.5, 0.8], [0.6, 0.2, 1.0]]
    # The best that each old task had been, less what it is: 0.3 and 0.6.
    assert continual.forgetting(found) == pytest.approx(0.45)
    assert continual.mean_accuracies(found) == pytest.approx([0.9, 0.65, 0.6])
    assert continual.forgetting(found[:1]) is None


def test_so_many_of_every_class():
    y = np.arange(60) % 3
    chosen = continual.of_every_class(y, 7, seed=1)
    assert np.bincount(y[chosen]).tolist() == [7, 7, 7]
    assert list(chosen) != list(continual.of_every_class(y, 7, seed=2))


def test_tasks_run_and_go_on(tmp_path, run_example, capsys, monkeypatch):
    monkeypatch.setattr(continual, "UNITS", (20, 20))
    monkeypatch.setattr(continual, "WAYS", ("fit", "slow", "means", "joint"))
    arguments = ("continual", "tasks", "--dataset", "digits", "--images", 60)
    arguments += ("--epochs", 2, "--seeds", 0, "--output", tmp_path)
    path = tmp_path / "continual.json"
    run_example(*arguments)
    runs = json.loads(path.read_text())["runs"]
    assert len(runs) == len(continual.WAYS) * len(continual.LEARNERS)
    for variant, (run,) in zip(runs, map(dict.values, runs.values())):
        rows = [len(row) for row in run["accuracies"]]
        assert rows == ([5] if "joint" in variant else [1, 2, 3, 4, 5])
        # Guessing is right for a tenth.
        assert run["test_accuracy"] > 0.15
    for learner in continual.LEARNERS:
        lost = {
            way: runs[f"{learner}, {way}"]["0"]["forgetting"]
            for way in ("fit", "slow", "means")
        }
        assert lost["fit"] > max(lost["slow"], lost["means"]), learner
    assert runs["hff, means"]["0"]["test_accuracy"] > 0.5

    runs["hff, fit"]["0"]["test_accuracy"] = 0.125
    results = json.loads(path.read_text())
    results["runs"] = runs
    del runs["hff, joint"]
    path.write_text(json.dumps(results))
    capsys.readouterr()
    run_example(*arguments)
    again = json.loads(path.read_text())["runs"]
    assert again["hff, fit"]["0"]["test_accuracy"] == 0.125
    assert "0" in again["hff, joint"]
    printed = capsys.readouterr().out
    assert printed.count("seed 0") == 1 and "forgotten" in printed


def test_few_labels(tmp_path, run_example, capsys, monkeypatch):
    monkeypatch.setattr(continual, "UNITS", (20, 20))
    monkeypatch.setattr(continual, "EPOCHS", {10: 4})
    run_example(
        *("continual", "labels", "--dataset", "digits", "--seeds", 0, 1),
        *("--labels", 10, "--output", tmp_path),
    )
    results = json.loads((tmp_path / "continual.json").read_text())
    best = continual.chosen_rates(results)
    for (method, labels), (rate, runs) in best.items():
        accuracies = {
            name: run["0"]["val_accuracy"]
            for name, run in results["runs"].items()
            if name.startswith(f"{method}, {labels}, ")
        }
        assert len(accuracies) == 3
        assert runs["0"]["val_accuracy"] == max(accuracies.values())
        assert rate in max(accuracies, key=accuracies.get)
        # The others have the first seed alone.
        assert set(runs) == {"0", "1"}
    runs = [run for runs in results["runs"].values() for run in runs]
    assert len(runs) == 9 + 3
    assert capsys.readouterr().out.count("  (rate ") == 3
