"""`summary(expand_nested=True)`: all parts, and counts that add up."""

import keras
import numpy as np
import pytest

from keras_ff import layers
from keras_ff import models
from keras_ff import objectives

pytestmark = pytest.mark.only_on("torch")


def make_model():
    return models.ForwardOnlyModel(
        [
            keras.Input((8, 8, 1)),
            layers.CAWConv2D(20, 3, num_classes=10, name="conv"),
            layers.LocalBlock(
                [
                    keras.Sequential([keras.layers.Conv2D(6, 3, name="inner")]),
                    keras.layers.BatchNormalization(),
                ],
                goodness=layers.AuxiliaryHead(
                    keras.layers.Conv2D(4, 1, name="seen"),
                    layers.HypersphericalPrototypes(
                        10, embedding=keras.layers.Dense(5, name="embedding")
                    ),
                    scale=8.0,
                    name="looking",
                ),
                normalization="layer",
                objectives=objectives.SupervisedContrast(units=3),
                name="block",
            ),
        ]
    )


def rows_of(model, **options):
    """Depth, name and number of parameters of every row."""
    printed = []
    model.summary(print_fn=printed.append, line_length=140, **options)
    rows = []
    for line in printed[0].splitlines():
        cells = line.split("│")
        number = cells[3].strip().replace(",", "") if len(cells) > 3 else ""
        if number.isdigit():
            name = cells[1].rstrip()
            depth = name.index("└") // 3 if "└" in name else 0
            rows.append((depth, name.split("(")[0].strip(" └"), int(number)))
    return rows


def test_rows_add_up(monkeypatch):
    # A console so wide that nothing is cut.
    monkeypatch.setenv("COLUMNS", "160")
    model = make_model()
    before = [list(layer.layers) for layer in model.local_layers]
    rows = rows_of(model, expand_nested=True)
    names = [name for _, name, _ in rows]
    assert names[1:5] == ["conv", "conv2d", "dropout", "head"]
    assert names[5] == "normalization"
    for name in ("looking", "seen", "embedding", "prototypes", "scale"):
        assert name in names
    checked = 0
    for i, (depth, name, total) in enumerate(rows):
        inside = []
        for row in rows[i + 1 :]:
            if row[0] <= depth:
                break
            if row[0] == depth + 1:
                inside.append(row[2])
        checked += bool(inside)
        assert not inside or sum(inside) == total, (name, total, inside)
    assert checked >= 4
    totals = {name: total for _, name, total in rows}
    # A kernel; an assignment, a temperature and an epoch.
    assert (totals["conv2d"], totals["conv"]) == (180, 382)
    assert totals["scale"] == 1
    assert sum(n for depth, _, n in rows if not depth) == model.count_params()

    # Nothing is left of it.
    for layer, parts in zip(model.local_layers, before):
        assert all(a is b for a, b in zip(layer.layers, parts, strict=True))
    assert not hasattr(model.local_layers[0].head, "layers")
    assert [name for _, name, _ in rows_of(model)][1:3] == ["conv", "block"]


def test_what_layers_and_contributions_are_called():
    model = make_model()
    conv, block = model.local_layers
    assert repr(conv) == (
        "<CAWConv2D name=conv, layers=[Conv2D, Dropout], "
        "head=<ChannelClassAssignment name=head, num_classes=10, built=True>, "
        "built=True>"
    )
    assert "layers=[Sequential, BatchNormalization], head=<Aux" in str(block)
    assert repr(model.contribution) == "Uniform()"


def make_logged():
    keras.utils.set_random_seed(0)
    blocks = [
        layers.LocalBlock(
            keras.layers.Dense(4), layers.GoodnessProjection(3), name=name
        )
        for name in ("b", "b_10", "a")
    ]
    model = models.ForwardOnlyModel(
        [keras.Input((5,)), *blocks], layer_metrics=True
    )
    model.compile("sgd")
    return model


ORDER = [
    *("accuracy", "loss"),
    *(f"{b}_{k}" for b in ("b", "b_10", "a") for k in ("accuracy", "loss")),
]
X = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")
Y = np.arange(20) % 3


def test_logs_are_in_the_order_of_the_layers():
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(list(logs))
    )
    model = make_logged()
    history = model.fit(
        X, Y, validation_data=(X, Y), callbacks=[callback], verbose=0
    ).history
    assert list(history) == ORDER + [f"val_{key}" for key in ORDER]
    assert seen == [ORDER]
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(logs) == ORDER
    for key, value in logs.items():
        assert value == pytest.approx(history[f"val_{key}"][0], rel=1e-5)
    found = model.evaluate(X, Y, verbose=0)
    wanted = ["loss", "accuracy"]
    wanted += [f"{b}_{k}" for b in ("b", "b_10", "a") for k in wanted[:2]]
    np.testing.assert_allclose(found, [logs[key] for key in wanted], rtol=1e-5)
    for ask in (model.test_on_batch, model.train_on_batch):
        assert list(ask(X, Y, return_dict=True)) == ORDER
