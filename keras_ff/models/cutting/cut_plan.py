import itertools
from typing import NamedTuple

import keras

from keras_ff.checks import check_integer
from keras_ff.checks import is_integer
from keras_ff.models.cutting.cut_points import running_nodes
from keras_ff.models.cutting.flat_model import flat_model
from keras_ff.models.cutting.layer_cost import LayerCost
from keras_ff.models.cutting.layer_cost import layer_cost
from keras_ff.models.cutting.layer_cost import num_bytes
from keras_ff.models.cutting.partition import partition
from keras_ff.models.cutting.unit_ends import unit_ends

BY = ("memory", "weights")


class PlannedBlock(NamedTuple):
    """One block of a `CutPlan`.

    Attributes:
        first, last: strings, the names of its first and last layer.
        layers: int, how many it has.
        weights: int, how many it has, without its head.
        activations: int, the bytes that it computes and takes in for one
            sample, without its head.
        multiplications: int, those of one sample's forward pass.
    """

    first: str
    last: str
    layers: int
    weights: int
    activations: int
    multiplications: int


class CutPlan:
    """How a model is cut into blocks, see `cut_plan`.

    Args:
        name: string, the name of the model.
        by: string, what was made even.
        blocks: list of `PlannedBlock`s.
    """

    def __init__(self, name, by, blocks):
        self.name = name
        self.by = by
        self.blocks = blocks

    @property
    def cut(self):
        """The names of the layers after which to cut, as `localize` takes."""
        return [block.last for block in self.blocks[:-1]]

    @property
    def shares(self):
        """What each block has of the whole.

        Returns:
            Dict from `"weights"`, `"activations"` and `"multiplications"` to
            lists of floats that sum to one.
        """
        return {
            what: _shares([getattr(block, what) for block in self.blocks])
            for what in ("weights", "activations", "multiplications")
        }

    def __repr__(self):
        rows: list[tuple[str, ...]] = [
            (
                "block",
                "ends after",
                "layers",
                "weights",
                "activations",
                "multiplications",
            )
        ]
        for i, (block, *shares) in enumerate(
            zip(self.blocks, *self.shares.values())
        ):
            sizes = (
                _short(block.weights, 1000, " kMG"),
                _short(block.activations, 1024, ["B", "KiB", "MiB", "GiB"]),
                _short(block.multiplications, 1000, " kMG"),
            )
            cells = [f"{size} {x:4.0%}" for size, x in zip(sizes, shares)]
            rows.append((str(i), block.last, str(block.layers), *cells))
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [
            "  ".join(
                cell.ljust(width) if column == 1 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths))
            )
            for row in rows
        ]
        head = (
            f"'{self.name}' in {len(self.blocks)} blocks, even by {self.by} "
            "(activations and multiplications of one sample, forward)"
        )
        return "\n".join([head, *lines])


def cut_plan(
    model: keras.Model, n: int, by: str = "memory", batch_size: int = 64
) -> CutPlan:
    """Where `localize` cuts a model into a number of blocks.

    Nothing is built. The plan is the partition whose largest block is the
    smallest. A convolution or dense layer stays with the normalization and
    the activation that follow it, and the blocks of a residual network are
    cut between, not inside. Models nested in the model are looked into, and
    layers that do nothing but call others one after the other.

    Args:
        model: a functional or a built sequential Keras model, see `localize`.
        n: int, the number of blocks.
        by: `"memory"` (what a step holds while a block learns: the
            activations that it computes and takes in, and the gradients of
            all blocks up to it) or `"weights"`. Defaults to `"memory"`.
        batch_size: int, samples of a step, which the memory depends on: the
            more there are, the less gradients weigh. Defaults to `64`.

    Returns:
        A `CutPlan`: `plan.blocks` with the weights, activations and
        multiplications of every block, `plan.shares` of them, and `plan.cut`,
        names for `localize(cut=)`. Printed, it is a table.

    Raises:
        TypeError: if the model cannot be cut, or `n` or `batch_size` is not
            an integer.
        ValueError: if `by` is unknown, `batch_size` is not positive, or the
            model has no so many blocks.

    Example:

    ```python
    resnet = keras.applications.ResNet50(include_top=False, weights=None)
    print(keras_ff.models.cut_plan(resnet, 8))
    ```
    """
    return plan_of(flat_model(model).graph, n, by, batch_size)


def plan_of(graph, n, by="memory", batch_size=64):
    """The `CutPlan` of a graph in which no model is nested."""
    if by not in BY:
        raise ValueError(f"`by` must be one of {BY}. Received: by={by!r}")
    if not is_integer(n):
        raise TypeError(
            "`n` must be the number of blocks, an integer. Received: "
            f"n={n!r} of type {type(n).__name__}"
        )
    check_integer("batch_size", batch_size, minimum=1)
    ends = unit_ends(graph)
    if not 1 <= n <= len(ends) + 1:
        whole = [x.name for x in graph.layers if isinstance(x, keras.Model)]
        raise ValueError(
            f"The model cannot be cut into {n} blocks with weights, only "
            f"into 1 to {len(ends) + 1}. It can be cut after "
            f"{shortened(list(ends))}"
            + (f". Nested models that stay whole: {whole}" if whole else "")
        )
    nodes = running_nodes(graph)
    totals = _totals(nodes)
    borders = [0, *(point.number for point in ends.values()), len(nodes)]
    taken_in = [sum(map(num_bytes, graph.inputs))]
    taken_in += [num_bytes(point.tensor) for point in ends.values()] + [0]
    if by == "memory":
        # Gradients of the blocks before are held when a block learns.
        gradients = [totals[i].gradients for i in borders]
        costs = [
            batch_size * totals[i].activations + held
            for i, held in zip(borders, gradients)
        ]
        entries = [
            batch_size * taken + held
            for taken, held in zip(taken_in, gradients)
        ]
    else:
        costs = [totals[i].weights for i in borders]
        entries = [0] * len(borders)
    chosen = [0, *partition(costs, entries, int(n)), len(borders) - 1]
    blocks = []
    for i, j in itertools.pairwise(chosen):
        first, end = borders[i], borders[j]
        cost = LayerCost(*(b - a for a, b in zip(totals[first], totals[end])))
        blocks.append(
            PlannedBlock(
                nodes[first].operation.name,
                nodes[end - 1].operation.name,
                end - first,
                cost.weights,
                cost.activations + taken_in[i],
                cost.multiplications,
            )
        )
    return CutPlan(graph.name, by, blocks)


def _totals(nodes):
    """The cost of the layers up to each, those in front first."""
    total, seen = LayerCost(), set()
    totals = [total]
    for node in nodes:
        cost = layer_cost(node)
        if id(node.operation) in seen:
            cost = cost._replace(weights=0, gradients=0)
        seen.add(id(node.operation))
        total = LayerCost(*(a + b for a, b in zip(total, cost)))
        totals.append(total)
    return totals


def _shares(values):
    whole = sum(values) or 1
    return [value / whole for value in values]


def _short(number, step, units):
    """A number in three digits."""
    units = list(units)
    while number >= step and len(units) > 1:
        number /= step
        units.pop(0)
    digits = 0 if units[0] in (" ", "B") else 1
    return f"{number:.{digits}f} {units[0]}".rstrip()


def shortened(names):
    return str(names) if len(names) < 10 else f"{names[:9]} and others"
