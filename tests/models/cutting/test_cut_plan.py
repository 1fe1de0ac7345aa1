import itertools

import keras
import numpy as np
import pytest

from keras_ff.models import cut_plan
from keras_ff.models.cutting.unit_ends import unit_ends

pytestmark = pytest.mark.only_on("torch")
layers = keras.layers


def pyramid(widths=(4, 8, 8, 16, 16)):
    """Convolution, normalization, activation and pooling, repeated."""
    x = inputs = keras.Input((32, 32, 3))
    for i, width in enumerate(widths):
        x = layers.Conv2D(width, 3, padding="same", name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"norm{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{i}")(x)
    return keras.Model(inputs, x, name="pyramid")


@pytest.mark.parametrize("batch_size", [1, 1000])
def test_no_other_cut_needs_less_memory(batch_size):
    model = pyramid()
    # Counted by hand: three maps of 32 x 32, then a quarter, and so on.
    units, taken, kernels, channels = [], [32 * 32 * 3], [], 3
    for i, width in enumerate((4, 8, 8, 16, 16)):
        pixels = (32 >> i) ** 2
        units.append(3 * pixels * width + pixels // 4 * width)
        taken.append(pixels // 4 * width)
        # Kernel and bias, gain and shift.
        kernels.append(9 * channels * width + 3 * width)
        channels = width

    def needed(cuts):
        # Gradients of the blocks before are held.
        return max(
            batch_size * (sum(units[i:j]) + taken[i]) + sum(kernels[:j])
            for i, j in itertools.pairwise((0, *cuts, 5))
        )

    for number in range(1, 6):
        best = min(map(needed, itertools.combinations(range(1, 5), number - 1)))
        plan = cut_plan(model, number, batch_size=batch_size)
        # Cut where the map is smallest: behind the pooling.
        cuts = [int(name.removeprefix("pool")) + 1 for name in plan.cut]
        assert len(cuts) == number - 1 and needed(cuts) == best
        for block, (i, j) in zip(
            plan.blocks, itertools.pairwise((0, *cuts, 5))
        ):
            assert block.activations == 4 * (sum(units[i:j]) + taken[i])


def test_gradients_weigh_more_in_small_batches():
    x = inputs = keras.Input((16,))
    for i in range(4):
        x = layers.Dense(16, name=f"dense{i}")(x)
    model = keras.Model(inputs, x)
    assert cut_plan(model, 2, batch_size=1000).cut == ["dense1"]
    # At the end all gradients are held, so the last block is made small.
    assert cut_plan(model, 2, batch_size=1).cut == ["dense2"]
    model.trainable = False
    assert cut_plan(model, 2, batch_size=1).cut == ["dense1"]


def test_a_plan_counts_every_layer_once_and_builds_nothing():
    model = pyramid()
    layers_before = [len(layer._inbound_nodes) for layer in model.layers]
    plan = cut_plan(model, 3)
    assert sum(b.layers for b in plan.blocks) == len(model.layers) - 1
    assert sum(b.weights for b in plan.blocks) == model.count_params()
    multiplications = sum(
        ((32 >> i) ** 2) * 9 * a * b
        for i, (a, b) in enumerate([(3, 4), (4, 8), (8, 8), (8, 16), (16, 16)])
    )
    assert sum(b.multiplications for b in plan.blocks) == multiplications
    assert plan.blocks[0].first == "conv0" and plan.blocks[-1].last == "pool4"
    for shares in plan.shares.values():
        assert sum(shares) == pytest.approx(1)
    after = [len(layer._inbound_nodes) for layer in model.layers]
    assert after == layers_before


def test_by_weights():
    plan = cut_plan(pyramid(), 2, by="weights")
    # 2384 of 4688 are in the last layer: no cut comes nearer to the half.
    assert plan.cut == ["pool3"]
    assert cut_plan(pyramid(), 2).cut == ["pool0"]


def test_its_text_is_a_table():
    lines = str(cut_plan(pyramid(), 2)).splitlines()
    assert lines[0].startswith("'pyramid' in 2 blocks, even by memory")
    assert lines[1].split() == [
        *("block", "ends", "after", "layers", "weights"),
        *("activations", "multiplications"),
    ]
    number, last, count, weights, *_ = lines[2].split()
    assert (number, last, count, weights) == ("0", "pool0", "4", "128")
    assert len({len(line) for line in lines[1:]}) == 1


def ends(*parts, shape=(8, 8, 4)):
    x = inputs = keras.Input(shape)
    for part in parts:
        x = part(x)
    return list(unit_ends(keras.Model(inputs, x)))


def test_what_belongs_together_is_not_separated():
    def conv(name, **kwargs):
        return layers.Conv2D(4, 3, padding="same", name=name, **kwargs)

    pad = layers.ZeroPadding2D(name="pad")
    norm, relu = (
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
    )
    pool = layers.MaxPooling2D(name="pool")
    assert ends(conv("a"), norm, relu, pad, conv("b")) == ["relu"]
    # Pooled before it is normalized.
    assert ends(conv("a"), pool, norm, relu, conv("b")) == ["relu"]
    assert ends(conv("a"), relu, pool, conv("b")) == ["pool"]
    # An operation, not a layer.
    (name,) = ends(conv("a"), keras.ops.silu, conv("b"))
    assert name.startswith("silu")
    assert ends(layers.Dense(5, name="a"), layers.Dense(6), shape=(4,)) == ["a"]


def attention(x, name, normalize_first):
    y = layers.LayerNormalization(name=f"{name}_norm")
    attend = layers.MultiHeadAttention(2, 4, name=f"{name}_attention")
    add = layers.Add(name=f"{name}_add")
    if normalize_first:
        z = y(x)
        return add([x, attend(z, z)])
    return y(add([x, attend(x, x)]))


@pytest.mark.parametrize(
    "normalize_first, last", [(True, "add"), (False, "norm")]
)
def test_transformers_are_cut_between_their_residual_blocks(
    normalize_first, last
):
    inputs = keras.Input((9,), dtype="int32")
    x = layers.Embedding(20, 8, name="embedding")(inputs)
    for i in range(4):
        x = attention(x, f"block{i}", normalize_first)
    model = keras.Model(inputs, x)
    blocks = [f"block{i}_{last}" for i in range(3)]
    assert list(unit_ends(model)) == ["embedding", *blocks]
    assert cut_plan(model, 4).cut == blocks
    assert cut_plan(model, 2).cut == blocks[1:2]


def test_a_deep_network_is_planned():
    x = inputs = keras.Input((4, 4, 2))
    for i in range(60):
        y = layers.Conv2D(2, 3, padding="same")(x)
        y = layers.BatchNormalization()(y)
        x = layers.ReLU(name=f"out{i}")(layers.Add()([x, y]))
    plan = cut_plan(keras.Model(inputs, x), 10)
    assert [block.layers for block in plan.blocks] == [24] * 10


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (dict(n=6), ValueError, r"into 6 blocks.*1 to 5.*\['pool0', "),
        (dict(n=0), ValueError, "into 0 blocks"),
        (dict(n=2.0), TypeError, "integer. Received: n=2.0 of type float"),
        (dict(n=2, by="time"), ValueError, "'memory', 'weights'.*by='time'"),
        (dict(n=2, batch_size=0), ValueError, "at least 1.*batch_size=0"),
        (dict(n=2, batch_size="8"), TypeError, "integer.*batch_size='8'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        cut_plan(pyramid(), **arguments)


def test_weights_of_a_layer_that_is_used_twice_count_once():
    x = inputs = keras.Input((4,))
    shared = layers.Dense(4)
    model = keras.Model(inputs, layers.Dense(3)(shared(shared(x))))
    plan = cut_plan(model, 1)
    assert plan.blocks[0].weights == model.count_params()
    assert np.isclose(plan.shares["weights"][0], 1)
