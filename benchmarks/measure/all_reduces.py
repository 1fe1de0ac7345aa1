"""The all-reduces of a training step that XLA compiled, and who waits."""

import math
import re
from typing import NamedTuple

import jax
import keras

_INSTRUCTION = re.compile(r"\s*(?:ROOT )?%([\w.\-]+) = (.*?) ([\w\-]+)\((.*)")


class AllReduces(NamedTuple):
    """What was found in a compiled step.

    Attributes:
        number: how often devices add something up, of one or more tensors.
        bytes: how much, over the step.
        waits: how many of them the forward pass of the next layer waits for.
        memory: bytes of temporary memory of the step, on each device.
    """

    number: int
    bytes: int
    waits: int
    memory: int


def all_reduces(model, x, y, layers=()):
    """Compiles a training step for the devices of the distribution in force.

    Args:
        model: a compiled model that was trained already, on JAX.
        x, y: a batch.
        layers: names of layers, in the order in which they run.

    Returns:
        `AllReduces`.
    """
    program = _compiled(model, x, y)
    instructions = _entry(program.as_text())
    found, total = {}, 0
    # What each instruction waits for, directly or not.
    waits = {}
    for name, (operation, operands, origin, size) in instructions.items():
        waits[name] = set().union(*[waits.get(x, set()) for x in operands])
        if operation in ("all-reduce", "all-reduce-start"):
            found[name] = origin
            waits[name].add(name)
            total += size
    late = 0
    for before, layer in zip(layers, layers[1:]):
        awaited = set()
        for name, (_, _, origin, _) in instructions.items():
            if f"jvp({layer})" in origin and "transpose" not in origin:
                awaited |= waits[name]
        late += any(f"transpose(jvp({before}))" in found[x] for x in awaited)
    memory = program.memory_analysis().temp_size_in_bytes
    return AllReduces(len(found), total, late, memory)


def _compiled(model, x, y):
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([v.value for v in group] for group in variables)
    shardings = tuple([v.value.sharding for v in group] for group in variables)
    distribution = keras.distribution.distribution()
    batch = jax.tree.map(
        lambda array: jax.device_put(
            array, distribution.get_data_layout(array.shape).backend_layout
        ),
        (x, y),
    )
    step = jax.jit(
        model.train_step, donate_argnums=0, out_shardings=(None, shardings)
    )
    return step.lower(state, batch).compile()


def _entry(text):
    """The instructions of a program's outermost computation, as they run."""
    text = text[text.index("\nENTRY") :]
    instructions = {}
    for line in text[: text.index("\n}")].splitlines():
        match = _INSTRUCTION.match(line)
        if match:
            name, shapes, operation, rest = match.groups()
            origin = re.search(r'op_name="([^"]*)"', rest)
            instructions[name] = (
                operation,
                re.findall(r"%([\w.\-]+)", rest.split("metadata=")[0]),
                origin.group(1) if origin else "",
                _bytes(shapes),
            )
    return instructions


def _bytes(shapes):
    return sum(
        4 * math.prod(int(size) for size in sizes.split(",") if size)
        for sizes in re.findall(r"f32\[([\d,]*)\]", shapes)
    )
